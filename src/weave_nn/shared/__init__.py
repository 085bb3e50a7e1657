"""What every service stands on: configuration, database, bus, HTTP, errors, observability."""
