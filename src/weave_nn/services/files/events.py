"""What the file service announces, and what others ask of it.

An event says *look here*: it carries the content hash that was seen, never the content. A handler reads the vault and
reconciles to what is there now, so that a late, repeated or reordered event does no harm.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from weave_nn.shared.bus import Announcement


@dataclass(frozen=True, slots=True)
class FileCreated(Announcement):
    """A file appeared; `etag` is its content hash (SHA-256, hex), `size` in bytes."""

    TYPE: ClassVar[str] = "vault.file.created"

    path: str
    etag: str
    size: int

    def subject(self) -> str:
        """The file's path."""
        return self.path


@dataclass(frozen=True, slots=True)
class FileUpdated(Announcement):
    """A file's content changed from `previous_etag` to `etag`."""

    TYPE: ClassVar[str] = "vault.file.updated"

    path: str
    etag: str
    size: int
    previous_etag: str

    def subject(self) -> str:
        """The file's path."""
        return self.path


@dataclass(frozen=True, slots=True)
class FileDeleted(Announcement):
    """A file is gone (removed, or moved to the trash); `etag` is the last content that was seen."""

    TYPE: ClassVar[str] = "vault.file.deleted"

    path: str
    etag: str

    def subject(self) -> str:
        """The path that the file had."""
        return self.path


@dataclass(frozen=True, slots=True)
class FileRenamed(Announcement):
    """A file moved from `previous_path` to `path`; `etag` is its content after the move."""

    TYPE: ClassVar[str] = "vault.file.renamed"

    path: str
    previous_path: str
    etag: str
    size: int

    def subject(self) -> str:
        """The path that the file has now."""
        return self.path


@dataclass(frozen=True, slots=True)
class VaultReindexed(Announcement):
    """The whole vault was looked through (`files` of them): consumers reconcile in bulk.

    Announced for a vault that is seen for the first time, in place of one event per file, and by `weave reindex`.
    """

    TYPE: ClassVar[str] = "vault.reindexed"

    files: int

    def subject(self) -> str:
        """The vault as a whole."""
        return ""


@dataclass(frozen=True, slots=True)
class LineEdit:
    """One change of one line of a note; nothing else in the note is touched.

    - `replace`: the line that reads `old` becomes `new` (which may hold several lines, or none at all: see `delete`);
    - `delete`: the line that reads `old` goes, with its line ending;
    - `insert`: `new` becomes a line of its own at the end of the section `heading` (of the note, when that is empty);
      a heading that is missing is added.

    Lines are given without their line ending; the note's own is used. Of several lines that read `old`, the one nearest
    to `line` (1-based) is taken.
    """

    operation: Literal["replace", "delete", "insert"]
    old: str = ""
    new: str = ""
    line: int = 0
    heading: str = ""


@dataclass(frozen=True, slots=True)
class FileEditRequested(Announcement):
    """A service asks for lines of a note to be changed; announced by that service, handled by `files`.

    `edit_id` is the requester's name for it, repeated in the answer. All of `edits` are made, or none. A note that is
    missing is made when `create` is set, else the edit is rejected.
    """

    TYPE: ClassVar[str] = "vault.file.edit_requested"

    edit_id: str
    path: str
    edits: tuple[LineEdit, ...]
    create: bool = False

    def subject(self) -> str:
        """The note's path."""
        return self.path


@dataclass(frozen=True, slots=True)
class FileEdited(Announcement):
    """A requested edit was made; `etag` is the note's content after it. `created` or `updated` is announced as well."""

    TYPE: ClassVar[str] = "vault.file.edited"

    edit_id: str
    path: str
    etag: str

    def subject(self) -> str:
        """The note's path."""
        return self.path


@dataclass(frozen=True, slots=True)
class FileEditRejected(Announcement):
    """A requested edit could not be made, and the note is as it was; `reason` is for people."""

    TYPE: ClassVar[str] = "vault.file.edit_rejected"

    edit_id: str
    path: str
    reason: str

    def subject(self) -> str:
        """The note's path."""
        return self.path
