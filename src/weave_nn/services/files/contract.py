"""The file service's door: what can be asked of the vault's files.

Paths are vault paths: relative, `/`-separated, NFC. An `etag` is the SHA-256 of a file's bytes in hex. Whoever changes
an existing file may say with `if_match` which version they saw; when it is stale, `StaleVersion` is raised with the
present one and nothing is changed. Every method raises `PathRefused` for a path that can never be served and
`NoteNotFound` for one that is not there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol

from weave_nn.shared.contracts import command, query
from weave_nn.vault.parse import Note
from weave_nn.vault.patch import Patch, PatchWarning
from weave_nn.vault.periodic import Period
from weave_nn.vault.rename import UnwritableLink

SortKey = Literal["path", "-path", "modified", "-modified", "size", "-size"]


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One file as it was last seen. `size` in bytes; `created` and `modified` as the file system tells them."""

    path: str
    etag: str
    size: int
    created: datetime
    modified: datetime


@dataclass(frozen=True, slots=True)
class FilePage:
    """Some of the files asked for; `next_cursor` asks for the following ones and is None at the end."""

    files: tuple[FileInfo, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Folder:
    """One level of the vault: the paths of the folders and files in `path`, sorted, hidden ones left out."""

    path: str
    folders: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file's whole content with the version that it is."""

    info: FileInfo
    content: bytes


@dataclass(frozen=True, slots=True)
class FileStream:
    """A file's content in `chunks`, to be consumed once; all of them are of the version `info.etag`."""

    info: FileInfo
    chunks: Iterable[bytes]


@dataclass(frozen=True, slots=True)
class NoteView:
    """A note with what it says of itself: frontmatter, links, tags, headings and blocks with their positions."""

    info: FileInfo
    content: bytes
    note: Note


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a write: the file's path and its new version; `created` if it was not there before.

    `warnings` are what the writer of a patch should know though it was applied.
    """

    path: str
    etag: str
    size: int
    created: bool
    warnings: tuple[PatchWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """The outcome of a move: every file that changed its path, and every note whose links were rewritten.

    `unwritable` are links that cannot be written so that they lead to the new path; they were left as they are.
    """

    path: str
    etag: str
    moved: tuple[tuple[str, str], ...]
    rewritten: tuple[str, ...]
    links: int
    unwritable: tuple[UnwritableLink, ...] = ()


@dataclass(frozen=True, slots=True)
class Trashed:
    """A file in the vault's `.trash`: where it is now, and the path that it had."""

    trash_path: str
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a batch. Which fields count depends on `kind`; an absent `if_match` accepts any version."""

    kind: Literal["create", "update", "append", "move", "delete"]
    path: str
    content: bytes = b""
    destination: str = ""
    if_match: str | None = None


class FilesContract(Protocol):
    """Reading and changing the vault's files."""

    @query
    def list_files(
        self,
        *,
        glob: str | None = None,
        folder: str | None = None,
        sort: SortKey = "path",
        limit: int = 100,
        cursor: str | None = None,
    ) -> FilePage:
        """List files, at most `limit` (1-1000) at a time.

        `glob` is matched against the whole path (`**` crosses folders), `folder` takes a folder with all below it.
        Raises `InvalidInput` for a cursor of another listing.
        """
        ...

    @query
    def list_folder(self, path: str) -> Folder:
        """List one level; `path` is "" for the vault itself."""
        ...

    @query
    def stat_file(self, path: str) -> FileInfo:
        """Describe a file without its content."""
        ...

    @query
    def read_file(self, path: str) -> FileContent:
        """Read a file of at most the note limit whole; raises `TooLarge` beyond it (stream it instead)."""
        ...

    @query
    def stream_file(self, path: str, *, start: int = 0, length: int | None = None) -> FileStream:
        """Read a file of any size, or `length` bytes of it from `start`."""
        ...

    @query
    def view_note(self, path: str) -> NoteView:
        """Read and parse a note; what cannot be parsed is among `note.problems`."""
        ...

    @query
    def list_trash(self) -> tuple[Trashed, ...]:
        """List what can be restored, latest first."""
        ...

    @query
    def periodic_path(self, period: Period, day: date) -> str:
        """Name the periodic note of a day by the vault's own settings; it need not exist."""
        ...

    @command
    def create_file(self, path: str, content: bytes | Iterable[bytes]) -> Written:
        """Make a file that is not there yet, with its folders; raises `AlreadyExists` if it is."""
        ...

    @command
    def write_file(self, path: str, content: bytes | Iterable[bytes], *, if_match: str | None = None) -> Written:
        """Make or replace a file. Given `if_match`, only that version is replaced, and a missing file is stale."""
        ...

    @command
    def append_file(
        self,
        path: str,
        content: bytes,
        *,
        heading: str | None = None,
        if_match: str | None = None,
    ) -> Written:
        """Add text at the end of a note, on a line of its own; makes the note when it is missing.

        With `heading`, at the end of that section, which is made when it is missing; a list goes on there, and
        anything else becomes a paragraph of its own.
        """
        ...

    @command
    def patch_file(self, path: str, patches: Sequence[Patch], *, if_match: str | None = None) -> Written:
        """Apply patches one after the other, all or none; bytes outside of their targets stay as they are."""
        ...

    @command
    def replace_text(
        self,
        path: str,
        old: str,
        new: str,
        *,
        every: bool = False,
        if_match: str | None = None,
    ) -> Written:
        """Replace a piece of text literally; it must occur once, or `every` occurrence is replaced."""
        ...

    @command
    def open_periodic(self, period: Period, day: date) -> Written:
        """Make the periodic note of a day from the vault's template, unless it exists already."""
        ...

    @command
    def move_file(
        self,
        path: str,
        destination: str,
        *,
        if_match: str | None = None,
        overwrite: bool = False,
    ) -> Moved:
        """Rename or move a file, or a folder with all in it, and rewrite every link to it in the vault.

        All or nothing: when any file that has to change was changed meanwhile, nothing is. A file that `overwrite`
        lets it replace goes to the trash.
        """
        ...

    @command
    def copy_file(self, path: str, destination: str, *, overwrite: bool = False) -> Written:
        """Copy a file; links stay with the original."""
        ...

    @command
    def delete_file(self, path: str, *, if_match: str | None = None, permanent: bool = False) -> Trashed | None:
        """Move a file or folder to the vault's `.trash`; with `permanent`, remove it and return None."""
        ...

    @command
    def restore_file(self, trash_path: str, *, destination: str | None = None) -> Written:
        """Put a trashed file, or a folder with all in it, back where it was, or at `destination`.

        Raises `AlreadyExists` if something is there. Of a folder the etag is empty.
        """
        ...

    @command
    def run_batch(self, operations: Sequence[Operation]) -> tuple[Written | Moved | Trashed, ...]:
        """Do several operations, all or none, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Observed:
    """What looking at files found: how many were new, changed, moved or gone since they were last seen.

    `unsettled` are those that could not be read now (somebody is writing them, or they may not be read); what was
    known of them stays as it was, and they have to be looked at again.
    """

    created: int = 0
    updated: int = 0
    renamed: int = 0
    deleted: int = 0
    unsettled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """How the vault differs from what is known of it, by the files' marks (size and times), without reading any.

    `present` are new or changed, `gone` are not there any more; `files` counts all that are there, `skipped` says of
    what is there but cannot be served (its name, the reason). `first` if this vault was never looked through before.
    """

    present: tuple[str, ...]
    gone: tuple[str, ...]
    files: int
    skipped: tuple[tuple[str, str], ...]
    first: bool


class ObserverContract(Protocol):
    """Noticing what others (Obsidian, an editor, git, a sync tool) changed in the vault.

    What a file's row says is always what was announced of it last. Both are compared and changed under the vault's
    lock, so our own writes, which change the row with the file, are never announced a second time.
    """

    @query
    def survey(self) -> Survey:
        """Compare the whole vault with what is known of it; raises `ScanFailed` rather than take a part for all."""
        ...

    @command
    def observe(self, paths: Sequence[str], *, announce: bool = True) -> Observed:
        """Look at these files (at most a few hundred a call), remember what is there, and announce what changed."""
        ...

    @command
    def finish_survey(self) -> int:
        """Announce that the vault was looked through whole, for the others to reconcile in bulk; gives the count."""
        ...
