"""Noticing what others changed in the vault.

The file system's notices are only hints where to look. What is announced is the difference between a file's row and
the file itself, found and settled under the vault's lock: a notice that is late, doubled or about our own write finds
no difference, and a missed one is found by the next survey.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from weave_nn.services.files.contract import Observed, Survey
from weave_nn.services.files.events import FileCreated, FileDeleted, FileRenamed, FileUpdated, VaultReindexed
from weave_nn.services.files.models import FileRow
from weave_nn.services.files.repository import FileRepository
from weave_nn.services.files.service.recording import row_of
from weave_nn.shared.bus import Outbox
from weave_nn.shared.errors import Unavailable
from weave_nn.vault.errors import NotAFile, NoteNotFound, PathRefused
from weave_nn.vault.paths import is_hidden
from weave_nn.vault.store import FileStat, Vault


class ObserverService:
    """Implements `ObserverContract` in one transaction."""

    def __init__(self, vault: Vault, vault_id: str, files: FileRepository, outbox: Outbox) -> None:
        self._vault = vault
        self._vault_id = vault_id
        self._files = files
        self._outbox = outbox

    def survey(self) -> Survey:
        """Compare the marks of all files with the known ones."""
        # The rows are read before the disk: a file that is written meanwhile then looks changed, and is looked at,
        # while the other order would make a file that was just accepted look gone.
        known = self._files.marks()
        first = self._files.indexed_at() is None
        snapshot = self._vault.scan()
        present = [
            path
            for path, stat in snapshot.files.items()
            if known.get(path) != (stat.size, stat.mtime_ns, stat.changed_ns)
        ]
        gone = [path for path in known if path not in snapshot.files]
        return Survey(
            present=tuple(sorted(present)),
            gone=tuple(sorted(gone)),
            files=len(snapshot.files),
            skipped=tuple((skipped.name, skipped.reason) for skipped in snapshot.skipped),
            first=first,
        )

    def observe(self, paths: Sequence[str], *, announce: bool = True) -> Observed:
        """Settle the difference between these files and their rows."""
        self._files.lock()
        present: dict[str, tuple[str, FileStat]] = {}
        absent: list[str] = []
        unsettled: list[str] = []
        for path in dict.fromkeys(paths):
            try:
                seen = self._look(path)
            except (Unavailable, OSError):
                unsettled.append(path)
                continue
            if seen is None:
                absent.append(path)
            else:
                present[path] = seen
        if absent:
            # A vault whose disk was unmounted is no empty vault.
            self._vault.check_present()
        outcome = _Outcome(self._outbox if announce else None)
        known = self._files.get_many([*present, *absent])
        appeared = [etag for path, (etag, _) in present.items() if path not in known]
        origins = self._files.with_etags(appeared)
        for path, (etag, stat) in present.items():
            self._settle_present(known.get(path), etag, stat, origins.get(etag, []), outcome)
        self._files.add_many(outcome.new)
        # A file that was found again elsewhere has no row at its old place any more.
        self._settle_absent([path for path in absent if path in known and path not in outcome.origins], known, outcome)
        return Observed(outcome.created, outcome.updated, outcome.renamed, outcome.deleted, tuple(unsettled))

    def finish_survey(self) -> int:
        """Mark the vault as known, and announce it."""
        self._files.lock()
        self._files.mark_indexed(datetime.now(UTC))
        count = self._files.count()
        self._outbox.announce(VaultReindexed(files=count))
        return count

    def _look(self, path: str) -> tuple[str, FileStat] | None:
        if is_hidden(path):
            return None
        try:
            with self._vault.open(path) as file:
                return file.etag, file.stat
        except (NoteNotFound, NotAFile, PathRefused):
            return None

    def _settle_present(
        self,
        row: FileRow | None,
        etag: str,
        stat: FileStat,
        candidates: list[str],
        outcome: "_Outcome",
    ) -> None:
        path = stat.path
        seen = row_of(self._vault_id, etag, stat)
        if row is None:
            # The file that it was before is the known one of this content that is gone, if there is just one.
            gone = [origin for origin in candidates if origin not in outcome.origins and self._is_gone(origin)]
            if len(gone) == 1:
                self._files.remove(gone)
                outcome.rename(FileRenamed(path=path, previous_path=gone[0], etag=etag, size=stat.size))
            else:
                outcome.create(FileCreated(path=path, etag=etag, size=stat.size))
            outcome.new.append(seen)
            return
        if row.etag != etag:
            outcome.update(FileUpdated(path=path, etag=etag, size=stat.size, previous_etag=row.etag))
        self._files.save(seen)

    def _is_gone(self, path: str) -> bool:
        try:
            self._vault.stat(path)
        except (NoteNotFound, NotAFile):
            return True
        except Unavailable:
            return False
        return False

    def _settle_absent(self, gone: Sequence[str], known: dict[str, FileRow], outcome: "_Outcome") -> None:
        for path in gone:
            outcome.delete(FileDeleted(path=path, etag=known[path].etag))
        self._files.remove(gone)


class _Outcome:
    """Counts what was found, and announces it where that is wanted."""

    def __init__(self, outbox: Outbox | None) -> None:
        self._outbox = outbox
        self.created = self.updated = self.renamed = self.deleted = 0
        self.origins: set[str] = set()
        self.new: list[FileRow] = []

    def create(self, event: FileCreated) -> None:
        self.created += 1
        self._announce(event)

    def update(self, event: FileUpdated) -> None:
        self.updated += 1
        self._announce(event)

    def rename(self, event: FileRenamed) -> None:
        self.renamed += 1
        self.origins.add(event.previous_path)
        self._announce(event)

    def delete(self, event: FileDeleted) -> None:
        self.deleted += 1
        self._announce(event)

    def _announce(self, event: FileCreated | FileUpdated | FileRenamed | FileDeleted) -> None:
        if self._outbox is not None:
            self._outbox.announce(event)
