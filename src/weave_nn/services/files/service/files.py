"""Reading and changing files: the implementation of the service's contract."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import PurePosixPath

from weave_nn.services.files.contract import (
    FileContent,
    FileInfo,
    FilePage,
    FileStream,
    Folder,
    Moved,
    NoteView,
    Operation,
    SortKey,
    Trashed,
    Written,
)
from weave_nn.services.files.events import LineEdit
from weave_nn.services.files.repository import FileRepository
from weave_nn.services.files.service.batch import plan_batch
from weave_nn.services.files.service.line_edits import EditLedger, append_text, append_to_section, edit_lines
from weave_nn.services.files.service.listing import list_page
from weave_nn.services.files.service.moving import folder_files, move_changes, prune_folders
from weave_nn.services.files.service.recording import Recorder
from weave_nn.shared.errors import InvalidInput, TooLarge
from weave_nn.vault.changes import ABSENT, Absent, Applied, Delete, Restore, Trash, Write, stage
from weave_nn.vault.errors import AlreadyExists, NoteNotFound, StaleVersion, printable
from weave_nn.vault.parse import parse
from weave_nn.vault.patch import Patch, PatchWarning, apply_patch, replace_text
from weave_nn.vault.paths import is_note, normalize, normalize_folder
from weave_nn.vault.periodic import (
    DAILY_NOTES_PATH,
    PERIODIC_NOTES_PATH,
    Period,
    PeriodicSettings,
    expand_template,
    periodic_path,
    read_settings,
    template_path,
)
from weave_nn.vault.scan import FileStat, scan
from weave_nn.vault.store import Vault
from weave_nn.vault.text import is_valid_utf8
from weave_nn.vault.trash import TRASH, original

_REPLACED_WHILE_EDITING = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest note that is edited or read whole, and the largest file of any kind, in bytes."""

    note_bytes: int = 64 * 1024 * 1024
    file_bytes: int = 2 * 1024 * 1024 * 1024


class FileService:
    """Implements `FilesContract` in one transaction."""

    def __init__(self, vault: Vault, files: FileRepository, recorder: Recorder, limits: Limits) -> None:
        self._vault = vault
        self._files = files
        self._recorder = recorder
        self._limits = limits

    def list_files(
        self,
        *,
        glob: str | None = None,
        folder: str | None = None,
        sort: SortKey = "path",
        limit: int = 100,
        cursor: str | None = None,
    ) -> FilePage:
        """List what was last seen; a change on the disk shows as soon as it is noticed."""
        inside = normalize_folder(folder) if folder else None
        return list_page(self._files, glob=glob, folder=inside, sort=sort, limit=limit, cursor=cursor)

    def list_folder(self, path: str) -> Folder:
        """List one level, as it is on the disk now."""
        listing = self._vault.folder(path)
        return Folder(listing.path, listing.folders, tuple(stat.path for stat in listing.files))

    def stat_file(self, path: str) -> FileInfo:
        """Describe a file as it is on the disk now."""
        with self._vault.open(path) as file:
            return info_of(file.stat, file.etag)

    def read_file(self, path: str) -> FileContent:
        """Read a file whole."""
        read = self._vault.read(path, limit_bytes=self._limits.note_bytes)
        return FileContent(info_of(read.stat, read.etag), read.content)

    def stream_file(self, path: str, *, start: int = 0, length: int | None = None) -> FileStream:
        """Open a file for reading; it is closed when its chunks are consumed or dropped."""
        with ExitStack() as stack:
            file = stack.enter_context(self._vault.open(path))
            opened = stack.pop_all()

        def chunks() -> Iterable[bytes]:
            with opened:
                yield from file.chunks(start, None if length is None else start + length)

        return FileStream(info_of(file.stat, file.etag), chunks())

    def view_note(self, path: str) -> NoteView:
        """Read and parse a note."""
        read = self.read_file(path)
        return NoteView(read.info, read.content, parse(read.content))

    def list_trash(self) -> tuple[Trashed, ...]:
        """List the trash, as it is on the disk now."""
        try:
            self._vault.locate(TRASH, hidden=True)
        except NoteNotFound:
            return ()
        found = scan(self._vault.root, TRASH).files.values()
        latest_first = sorted(found, key=lambda stat: stat.changed_ns, reverse=True)
        return tuple(Trashed(stat.path, original(stat.path), stat.size) for stat in latest_first)

    def periodic_path(self, period: Period, day: date) -> str:
        """Name a periodic note."""
        return periodic_path(self._periodic_settings(), period, day)

    def create_file(self, path: str, content: bytes | Iterable[bytes]) -> Written:
        """Make a file that is not there yet."""
        return self._write(path, content, ABSENT)

    def write_file(self, path: str, content: bytes | Iterable[bytes], *, if_match: str | None = None) -> Written:
        """Make or replace a file."""
        return self._write(path, content, if_match)

    def append_file(
        self,
        path: str,
        content: bytes,
        *,
        heading: str | None = None,
        if_match: str | None = None,
    ) -> Written:
        """Add text at the end of a note or of a section, or make it."""
        if heading is None:
            return self._edit(path, lambda present: append_text(present, content), if_match, create=True)
        text = content.decode(errors="replace")
        return self._edit(path, lambda present: append_to_section(present, heading, text), if_match, create=True)

    def patch_file(self, path: str, patches: Sequence[Patch], *, if_match: str | None = None) -> Written:
        """Apply patches to a note."""
        warnings: list[PatchWarning] = []

        def apply_all(content: bytes) -> bytes:
            warnings.clear()
            for patch in patches:
                patched = apply_patch(content, patch)
                content = patched.content
                warnings.extend(patched.warnings)
            return content

        written = self._edit(path, apply_all, if_match)
        return replace(written, warnings=tuple(warnings))

    def replace_text(
        self,
        path: str,
        old: str,
        new: str,
        *,
        every: bool = False,
        if_match: str | None = None,
    ) -> Written:
        """Replace a piece of a note's text literally."""
        expected = None if every else 1
        return self._edit(path, lambda text: replace_text(text, old, new, expected_occurrences=expected), if_match)

    def edit_note(
        self,
        path: str,
        edit_id: str,
        edits: Sequence[LineEdit],
        ledger: EditLedger,
        *,
        create: bool,
    ) -> tuple[str, str]:
        """Make the line edits of an event once, however often it comes; gives the note's path and version."""
        self._files.lock()
        before = self._content_or_none(path)
        if before is None and not create:
            raise NoteNotFound(path)
        content = before.content if before else b""
        if ledger.is_done(edit_id, edits, content) and before:
            return before.info.path, before.info.etag
        after = edit_lines(content, edits)
        ledger.begin(edit_id, content, after)
        try:
            written = self._write(path, after, before.info.etag if before else ABSENT)
        except BaseException:
            ledger.forget(edit_id)
            raise
        return written.path, written.etag

    def open_periodic(self, period: Period, day: date) -> Written:
        """Make the periodic note of a day from its template, unless it exists."""
        settings = self._periodic_settings()
        path = periodic_path(settings, period, day)
        present = self._content_or_none(path)
        if present is None:
            try:
                return self._write(path, self._from_template(settings, period, day, path), ABSENT)
            except AlreadyExists:
                present = self.read_file(path)
        return Written(path, present.info.etag, present.info.size, created=False)

    def move_file(
        self,
        path: str,
        destination: str,
        *,
        if_match: str | None = None,
        overwrite: bool = False,
    ) -> Moved:
        """Move a file or a folder, and rewrite the links to it."""
        self._files.lock()
        plan = move_changes(self._vault, path, destination, if_match=if_match, overwrite=overwrite)
        applied = self._recorder.apply(plan.changes)
        if plan.from_folder is not None:
            prune_folders(self._vault, plan.from_folder)
        return plan.result(applied)

    def copy_file(self, path: str, destination: str, *, overwrite: bool = False) -> Written:
        """Copy a file."""
        with self._vault.open(path) as file:
            return self._write(destination, file.chunks(), None if overwrite else ABSENT)

    def delete_file(self, path: str, *, if_match: str | None = None, permanent: bool = False) -> Trashed | None:
        """Move a file or folder to the trash, or remove it."""
        path = normalize(path)
        self._files.lock()
        folder = self._vault.locate(path).is_dir()
        if folder and if_match is not None:
            raise InvalidInput(f"{printable(path)} is a folder, which has no version.", hint="Leave If-Match out.")
        paths = folder_files(self._vault, path) if folder else [path]
        kind = Delete if permanent else Trash
        applied = self._recorder.apply([kind(each, if_match) for each in paths]) if paths else ()
        if folder:
            prune_folders(self._vault, path)
        if permanent:
            return None
        if folder or not applied:
            size = sum(change.stat.size for change in applied if change.stat)
            return Trashed(f"{TRASH}/{path}", path, size)
        return trashed_of(applied[0])

    def restore_file(self, trash_path: str, *, destination: str | None = None) -> Written:
        """Put a trashed file back."""
        self._files.lock()
        if not self._vault.locate(trash_path, hidden=True).is_dir():
            (applied,) = self._recorder.apply([Restore(trash_path, destination)])
            return written_of(applied)
        source = normalize(trash_path, hidden=True)
        target = normalize(destination or original(source))
        moves = [(path, target + original(path)[len(original(source)) :]) for path in folder_files(self._vault, source)]
        restored = self._recorder.apply([Restore(path, new) for path, new in moves]) if moves else ()
        prune_folders(self._vault, source)
        return Written(target, "", sum(written_of(each).size for each in restored), created=True)

    def run_batch(self, operations: Sequence[Operation]) -> tuple[Written | Moved | Trashed, ...]:
        """Do several operations, all or none."""
        self._files.lock()
        plan = plan_batch(self._vault, operations, self._limits.note_bytes)
        return plan.results(self._recorder.apply(plan.changes))

    def _periodic_settings(self) -> PeriodicSettings:
        files = (DAILY_NOTES_PATH, PERIODIC_NOTES_PATH)
        contents = [self._content_or_none(path, hidden=True) for path in files]
        return read_settings(*(found.content if found else None for found in contents))

    def _from_template(self, settings: PeriodicSettings, period: Period, day: date, path: str) -> bytes:
        template = template_path(settings, period)
        found = self._content_or_none(template) if template else None
        if found is None or not is_valid_utf8(found.content):
            return b""
        now = datetime.now().astimezone()
        return expand_template(found.content.decode(), title=PurePosixPath(path).stem, day=day, now=now).encode()

    def _write(self, path: str, content: bytes | Iterable[bytes], expect: str | Absent | None) -> Written:
        limit = self._limits.note_bytes if is_note(path) else self._limits.file_bytes
        chunks = [content] if isinstance(content, bytes) else content
        staged = stage(self._vault, path, chunks, limit_bytes=limit)
        try:
            (applied,) = self._recorder.apply([Write(path, staged, expect)])
        finally:
            staged.discard()
        return written_of(applied)

    def _edit(
        self,
        path: str,
        edit: Callable[[bytes], bytes],
        if_match: str | None,
        *,
        create: bool = False,
    ) -> Written:
        """Write `edit` of the present content; when somebody else writes in between, edit what they wrote."""
        for _ in range(_REPLACED_WHILE_EDITING):
            present = self._content_or_none(path)
            if present is None and not (create and if_match is None):
                raise NoteNotFound(path) if if_match is None else StaleVersion(path, None)
            if present is not None and if_match not in {None, present.info.etag}:
                raise StaleVersion(path, present.info.etag)
            content = edit(present.content if present else b"")
            if len(content) > self._limits.note_bytes:
                raise TooLarge(f"{printable(path)} would have {len(content)} bytes, more than a note may have.")
            try:
                return self._write(path, content, present.info.etag if present else ABSENT)
            except (StaleVersion, AlreadyExists) as error:
                if if_match is not None:
                    raise
                latest = error
        raise latest

    def _content_or_none(self, path: str, *, hidden: bool = False) -> FileContent | None:
        try:
            read = self._vault.read(path, hidden=hidden, limit_bytes=self._limits.note_bytes)
        except NoteNotFound:
            return None
        return FileContent(info_of(read.stat, read.etag), read.content)


def info_of(stat: FileStat, etag: str) -> FileInfo:
    """A file's description from what the file system says."""
    return FileInfo(
        path=stat.path,
        etag=etag,
        size=stat.size,
        created=datetime.fromtimestamp(stat.created_ns / 1e9, UTC),
        modified=datetime.fromtimestamp(stat.mtime_ns / 1e9, UTC),
    )


def written_of(applied: Applied) -> Written:
    """The outcome of a write or a restore."""
    size = applied.stat.size if applied.stat else 0
    created = applied.previous_etag is None or applied.source is not None
    return Written(applied.path, applied.etag or "", size, created=created)


def trashed_of(applied: Applied) -> Trashed:
    """The outcome of moving one file to the trash."""
    return Trashed(applied.path, applied.source or "", applied.stat.size if applied.stat else 0)
