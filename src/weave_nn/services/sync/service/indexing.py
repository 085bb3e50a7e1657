"""Keeping the index true to the vault.

One rule everywhere: look at the file, and make the index say what is there. Reading and parsing happen before the
transaction begins; inside it the files' marks are looked at once more, so that of two that look at the same file at the
same time the later one wins, whatever the order in which they finish. Transactions are small, since the database has
one writer: others wait for one of them at most. In bulk they do not wait for the disk either: what a loss of power
takes from the index is made again.
"""

import contextlib
import itertools
import unicodedata
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from weave_nn.services.sync.adapters.fulltext import adapter_for
from weave_nn.services.sync.models import SCHEMA
from weave_nn.services.sync.repository.records import FileRecord
from weave_nn.services.sync.repository.writing import IndexWriter, Known
from weave_nn.services.sync.service.extraction import extract
from weave_nn.shared.db import Database, UnitOfWork
from weave_nn.shared.errors import TooLarge, Unavailable
from weave_nn.vault.errors import NotAFile, NoteNotFound, PathRefused
from weave_nn.vault.paths import is_note
from weave_nn.vault.reading import read_many
from weave_nn.vault.store import FileStat, Vault

INDEX_VERSION = 1
"""Raise it whenever the same note would be indexed otherwise than before: every note is then read again."""

NOTE_LIMIT_BYTES = 64 * 1024 * 1024
BATCH_NOTES = 96
BATCH_BYTES = 384 * 1024
LISTING_BATCH = 200
RETRY_LIMIT = 5
TENDED_NOTES = 500

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no such file in the vault."""

    path: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The file cannot be read, for a reason."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was done: files found, notes read, files forgotten, and what could not be read, with the reason."""

    files: int
    read: int
    removed: int
    unreadable: dict[str, str] = field(default_factory=dict)


class Indexer:
    """The index of one vault. Safe to use from several threads, and beside other processes that do the same."""

    def __init__(self, database: Database, vault: Vault, vault_id: str) -> None:
        self._database = database
        self._vault = vault
        self._vault_id = vault_id

    def look_at(self, work: UnitOfWork, paths: Sequence[str]) -> None:
        """Make the index say what is at these paths now. Nothing may have been done in the transaction before."""
        found = [self._look(path) for path in paths]
        for _ in range(RETRY_LIMIT):
            stale = self._record(work.session, found)
            if not stale:
                return
            found = [self._look(path) for path in stale]
        raise Unavailable(f"{', '.join(stale)} changes faster than it can be read.", hint="Try again.")

    def reconcile(
        self, *, progress: Progress | None = None, stop: Callable[[], bool] = lambda: False, anew: bool = False
    ) -> Reconciled:
        """Make the index say what is in the vault now; only what has changed since it was read is read again.

        With `anew` every note is read again, whatever is known of it.

        `progress` is called with how many of how many notes are read; `stop` is asked between transactions. Can be
        interrupted at any point and begun again: what is done stays done. Raises `ScanFailed` if the vault cannot be
        listed whole: nothing is taken for deleted then.
        """
        with self._database.write() as work:
            self._begin(work.session, anew=anew)
        files = self._vault.scan().files
        with self._database.read() as work:
            known = self._writer(work.session).known()
        gone = [path for path in known if path not in files]
        self._list([Absent(path) for path in gone], stop)
        # All files are listed before the first note is read, so that links find their targets at once; in the order in
        # which notes are read, since full-text indexes are made much faster in the order of the ids that this gives.
        self._list([FileRecord(files[path].settled()) for path in sorted(files.keys() - known.keys())], stop)
        changed = sorted(path for path, stat in files.items() if _differs(stat, known.get(path)))
        unreadable: dict[str, str] = {}
        read = 0
        with contextlib.closing(self._batches(changed, known, unreadable)) as batches:
            for batch in batches:
                if stop():
                    break
                with self._database.write(durable=False) as work:
                    stale = self._record(work.session, batch)
                read += len(batch) - len(stale)
                self._catch_up(stale)
                if progress:
                    progress(read, len(changed))
        if read >= TENDED_NOTES:
            self._database.tend([*(table.name for table in SCHEMA.metadata.sorted_tables), "note_search"])
        return Reconciled(len(files), read, len(gone), unreadable)

    def _begin(self, session: Session, *, anew: bool) -> None:
        writer = self._writer(session)
        if writer.lock() != _version() or anew:
            writer.forget_content()
            writer.set_version(_version())

    def _list(self, records: Sequence[FileRecord | Absent], stop: Callable[[], bool]) -> None:
        for start in range(0, len(records), LISTING_BATCH):
            if stop():
                return
            with self._database.write(durable=False) as work:
                stale = self._record(work.session, records[start : start + LISTING_BATCH])
            self._catch_up(stale)

    def _catch_up(self, stale: Sequence[str]) -> None:
        if stale:
            with self._database.write() as work:
                self.look_at(work, stale)

    def _batches(
        self, paths: Sequence[str], known: dict[str, Known], unreadable: dict[str, str]
    ) -> Generator[list[FileRecord | Absent]]:
        batch: list[FileRecord | Absent] = []
        size = 0
        # What another version of a note is known by is looked at here, where reading may be all that there is to do.
        unread = [path for path in paths if path not in known or known[path].etag is None]
        again = [path for path in paths if path in known and known[path].etag is not None]
        with contextlib.closing(read_many(self._vault, unread, _look_or_tell)) as first:
            for found in itertools.chain(first, (_look_or_tell(self._vault, path, known[path]) for path in again)):
                if isinstance(found, Unreadable):
                    unreadable[found.path] = found.reason
                    continue
                batch.append(found)
                size += found.stat.size if isinstance(found, FileRecord) and found.note else 0
                if size >= BATCH_BYTES or len(batch) >= BATCH_NOTES:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch

    def _look(self, path: str) -> FileRecord | Absent:
        return _look(self._vault, path)

    def _record(self, session: Session, found: Sequence[FileRecord | Absent]) -> list[str]:
        """Write what was found, as far as it is still so; gives the paths of the rest."""
        writer = self._writer(session)
        # From here on nobody else records, so what is still so now stays so in the index.
        if writer.lock() is None:
            writer.set_version(_version())
        known = writer.known([_path(each) for each in found])
        gone: list[str] = []
        present: list[FileRecord] = []
        stale: list[str] = []
        for each in found:
            if not self._is_still(each):
                stale.append(_path(each))
            elif isinstance(each, Absent):
                gone.append(each.path)
            elif each.etag is None or each.etag != _etag(known, each):
                if each.etag is not None and each.note is None:
                    stale.append(_path(each))
                elif each.etag is not None or not is_note(each.stat.path) or each.stat.path not in known:
                    present.append(each)
            else:
                present.append(each._replace(note=None))
        writer.remove(gone)
        writer.put(present)
        return stale

    def _is_still(self, found: FileRecord | Absent) -> bool:
        if isinstance(found, FileRecord) and found.etag is None and is_note(found.stat.path):
            # A note that is only listed is looked at when it is read.
            return True
        try:
            stat = self._vault.stat(_path(found))
        except (NoteNotFound, NotAFile, PathRefused):
            return isinstance(found, Absent)
        return isinstance(found, FileRecord) and (stat.size, stat.mtime_ns) == (found.stat.size, found.stat.mtime_ns)

    def _writer(self, session: Session) -> IndexWriter:
        return IndexWriter(session, self._vault_id, adapter_for(session.get_bind().dialect.name))


def _look(vault: Vault, path: str, known: Known | None = None) -> FileRecord | Absent:
    """What is at a path now. Slow: the file is read and parsed."""
    try:
        if not is_note(path):
            return FileRecord(vault.stat(path).settled())
        content = vault.read(path, limit_bytes=NOTE_LIMIT_BYTES)
    except (NoteNotFound, NotAFile, PathRefused):
        return Absent(path)
    if known is not None and known.etag == content.etag:
        return FileRecord(content.stat.settled(), content.etag)
    return FileRecord(content.stat.settled(), content.etag, extract(path, content.content))


def _look_or_tell(vault: Vault, path: str, known: Known | None = None) -> FileRecord | Absent | Unreadable:
    try:
        return _look(vault, path, known)
    except (Unavailable, TooLarge) as error:
        return Unreadable(path, error.detail)


def _version() -> int:
    """The version of the index: of the program's way, and of the tables of characters that come with Python."""
    return 100 * INDEX_VERSION + int(unicodedata.unidata_version.partition(".")[0])


def _path(found: FileRecord | Absent) -> str:
    return found.path if isinstance(found, Absent) else found.stat.path


def _etag(known: dict[str, Known], record: FileRecord) -> str | None:
    return known[record.stat.path].etag if record.stat.path in known else None


def _differs(stat: FileStat, known: Known | None) -> bool:
    if known is None:
        return is_note(stat.path)
    unread = is_note(stat.path) and known.etag is None
    return unread or (stat.size, stat.mtime_ns, stat.changed_ns) != (known.size, known.mtime_ns, known.changed_ns)
