"""The task service: every checkbox of the vault as a task that can be asked for and worked on.

Owns: the tables `task`, `task_note` and `task_request`. What they say about notes is rebuilt from the vault at any
time; what was asked over the API stays in them until the note says the same.
Publishes: `task.created`, `.updated`, `.completed`, `.deleted`, `.conflict`; and `vault.file.edit_requested`, by which
it has its lines changed in notes.
Consumes: `vault.file.created|updated|deleted|renamed|edited|edit_rejected` and `vault.reindexed` (queue `task_sync`).
"""
