"""The services. Each owns its tables and its part of the API; they meet at `contract.py` and `events.py` only."""
