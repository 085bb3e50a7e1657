"""The sync service's decisions."""
