"""What others may ask of the sync service."""
