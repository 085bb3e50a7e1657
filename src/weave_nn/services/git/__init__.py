"""The git service: every change of the vault is in its git history without anyone thinking of it.

Owns: commits that it makes, and the tables `git_pending` (what changed and is not committed yet) and `git_state`.
Publishes: `git.commit.created`, `git.conflict.kept`.
Consumes: `vault.file.created|updated|deleted|renamed` and `vault.reindexed` (queue `git_auto_commit`).
"""
