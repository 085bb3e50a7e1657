"""The only SQL of the sync service, but for full-text search, which is an adapter's."""
