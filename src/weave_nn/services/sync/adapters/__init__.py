"""What the sync service drives: the full-text search of each database."""
