"""The decisions of the task service."""
