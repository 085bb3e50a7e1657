"""The file service: the only writer of the vault.

Owns: the files of the vault, and the table `file` of what it last saw of each (rebuilt from the vault at any time).
Publishes: `vault.file.created`, `.updated`, `.deleted`, `.renamed`, `.edited`, `.edit_rejected`, `vault.reindexed`.
Consumes: `vault.file.edit_requested` (queue `file_edits`), by which other services have a note changed.
"""
