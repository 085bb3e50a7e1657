"""The sync service: search, links and what else is asked about the notes as a whole.

Owns: the index of the vault (notes, links, tags, headings, blocks, properties, full text), rebuilt from the vault at
any time. Publishes: nothing. Consumes: `vault.file.*` and `vault.reindexed` (queue `mcp_sync`).
"""
