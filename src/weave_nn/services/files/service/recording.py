"""Changing the vault and saying so: files, rows and events together.

The order matters. The vault's lock is taken first, so that writers of all processes follow one another; then the files
are changed, then the rows and the outbox. A crash between the last two leaves a file that its row does not describe,
which the next survey finds and announces: no change of a file is ever kept silent.
"""

from collections.abc import Sequence
from pathlib import Path

from weave_nn.services.files.events import FileCreated, FileDeleted, FileRenamed, FileUpdated
from weave_nn.services.files.models import FileRow
from weave_nn.services.files.repository import FileRepository
from weave_nn.shared.bus import Outbox
from weave_nn.vault import changes as vault_changes
from weave_nn.vault.changes import Applied, Change
from weave_nn.vault.paths import is_hidden
from weave_nn.vault.scan import FileStat
from weave_nn.vault.store import Vault


class Recorder:
    """Makes changes to one vault and records each in the row and the event that belong to it."""

    def __init__(self, vault: Vault, vault_id: str, journal: Path, files: FileRepository, outbox: Outbox) -> None:
        self.vault = vault
        self._vault_id = vault_id
        self._journal = journal
        self._files = files
        self._outbox = outbox

    def apply(self, changes: Sequence[Change], *, hidden: bool = False) -> tuple[Applied, ...]:
        """Make all changes or none (see `weave_nn.vault.changes.apply`), and announce them in the order made."""
        self._files.lock()
        applied = vault_changes.apply(self.vault, changes, journal=self._journal, hidden=hidden)
        for change in applied:
            self._record(change)
        return applied

    def _record(self, applied: Applied) -> None:
        source = applied.source
        from_vault = source is not None and not is_hidden(source)
        to_vault = applied.etag is not None and not is_hidden(applied.path)
        if source is not None and from_vault and to_vault:
            self._renamed(source, applied)
        elif to_vault:
            self._written(applied)
        elif from_vault or (applied.etag is None and not is_hidden(applied.path)):
            self._gone(source or applied.path, applied.previous_etag or "")

    def _renamed(self, source: str, applied: Applied) -> None:
        if applied.etag is None or applied.stat is None:
            # A later change of the same list has taken the file away again, and speaks for both.
            self._files.remove([source])
            return
        self._files.remove([source])
        self._files.save(row_of(self._vault_id, applied.etag, applied.stat))
        size = applied.stat.size
        self._outbox.announce(
            FileRenamed(path=applied.path, previous_path=source, etag=applied.etag, size=size),
        )

    def _written(self, applied: Applied) -> None:
        if applied.etag is None or applied.stat is None:
            return
        self._files.save(row_of(self._vault_id, applied.etag, applied.stat))
        size = applied.stat.size
        previous = applied.previous_etag if applied.source is None else None
        if previous is None:
            self._outbox.announce(FileCreated(path=applied.path, etag=applied.etag, size=size))
        elif previous != applied.etag:
            self._outbox.announce(
                FileUpdated(path=applied.path, etag=applied.etag, size=size, previous_etag=previous),
            )

    def _gone(self, path: str, etag: str) -> None:
        self._files.remove([path])
        self._outbox.announce(FileDeleted(path=path, etag=etag))


def row_of(vault_id: str, etag: str, stat: FileStat) -> FileRow:
    """What is remembered of a file."""
    return FileRow(
        vault_id=vault_id,
        path=stat.path,
        etag=etag,
        size=stat.size,
        created_ns=stat.created_ns,
        modified_ns=stat.mtime_ns,
        changed_ns=stat.changed_ns,
    )
