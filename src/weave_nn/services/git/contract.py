"""The git service's door: the history of the vault's notes.

Paths are vault paths. A `revision` is anything that git understands as a commit: an id, a branch, a tag, `HEAD~3`.
Every method raises `NoRepository` when the vault is in none, `RepositoryNotTrusted` when git refuses to work in it, and
`UnknownRevision` for a revision that is not there.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from weave_nn.shared.contracts import command, query
from weave_nn.shared.errors import NotFound

ChangeKind = Literal["create", "update", "rename", "delete"]


class UnknownRevision(NotFound):
    """No such commit, branch or tag."""

    code = "unknown_revision"
    title = "Unknown revision"


class NotInVersion(NotFound):
    """The note is not in that version, under no name that it has had."""

    code = "not_in_version"
    title = "Not in this version"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a note that a person should mend, such as a broken link. It blocks nothing by default."""

    path: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class GitStatus:
    """How the vault and its repository stand.

    `commit` is None before the first one, `branch` when HEAD is detached. `operation` names a merge, rebase or the
    like that is in progress: until it ends nothing is committed. `uncommitted` are the vault paths that differ from
    `commit` (the first of `uncommitted_count`), `staged` those of them that the user has staged, which auto-commit
    leaves to the user; `pending` counts the files that wait for auto-commit. `problem` and `sync_problem` say why the
    last attempt to commit, or to pull and push, failed. `ahead` and `behind` count commits against `upstream` as it was
    last fetched. `index_lock_seconds` is how long another git has held the index's lock. `findings` are those of the
    last commit.
    """

    repository: str
    branch: str | None
    commit: str | None
    operation: str | None
    uncommitted: tuple[str, ...]
    uncommitted_count: int
    staged: tuple[str, ...]
    pending: int
    problem: str | None
    sync_problem: str | None
    upstream: str | None
    ahead: int
    behind: int
    index_lock_seconds: float | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One commit. For the log of a note, `path` is its name in that commit and `change` what was done to it."""

    commit: str
    parents: tuple[str, ...]
    author: str
    email: str
    time: datetime
    subject: str
    body: str
    path: str | None = None
    change: ChangeKind | None = None
    previous_path: str | None = None


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some commits, latest first; `next_cursor` asks for the following ones and is None at the end."""

    entries: tuple[LogEntry, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Diff:
    """The difference between two versions as text, cut off after a limit if not `complete`; "" if they are equal."""

    old: str
    new: str
    text: str
    complete: bool


@dataclass(frozen=True, slots=True)
class NoteVersion:
    """A file as it was in `commit`, where its name was `path`, as it would be checked out."""

    path: str
    commit: str
    content: bytes


@dataclass(frozen=True, slots=True)
class BlameLine:
    """One line, and the commit that it came with (None: not committed yet)."""

    line: int
    text: str
    commit: str | None
    author: str
    time: datetime | None
    subject: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A named point of the history: `commit` is HEAD now; `created` if it is new. `held` as in `GitStatus.staged`."""

    commit: str
    created: bool
    tag: str | None
    files: int
    held: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """What restoring did: `written` are the files that are as in `commit` again, `unchanged` those that were already.

    `kept` are files of the folder that are not in that version; they were left alone.
    """

    commit: str
    written: tuple[str, ...]
    unchanged: int
    kept: tuple[str, ...]


class GitContract(Protocol):
    """Reading the history, and adding to it."""

    @query
    def status(self) -> GitStatus:
        """Say how the vault and its repository stand."""
        ...

    @query
    def log(self, *, path: str | None = None, limit: int = 50, cursor: str | None = None) -> LogPage:
        """List commits of the vault, or of one note under all the names that it has had; `limit` is 1 to 500."""
        ...

    @query
    def diff(self, *, old: str = "HEAD", new: str | None = None, path: str | None = None, words: bool = False) -> Diff:
        """Compare two versions of the vault, or of one note under its present name; `new` None is what is on the disk.

        `words` marks changed words as `[-old-]{+new+}`. An untracked file differs in nothing.
        """
        ...

    @query
    def show(self, path: str, *, revision: str) -> NoteVersion:
        """Read a note as it was; it is found under the name that it had. Raises `NotInVersion`, `TooLarge`."""
        ...

    @query
    def list_version(self, *, revision: str, folder: str = "") -> tuple[str, ...]:
        """List the vault paths in a version, all or those below a folder."""
        ...

    @query
    def blame(
        self, path: str, *, revision: str | None = None, start_line: int = 1, max_lines: int = 1000
    ) -> tuple[BlameLine, ...]:
        """Say for each line of a note where it came from; of what is on the disk, or of a version."""
        ...

    @command
    def checkpoint(self, message: str, *, path: str | None = None, tag: str | None = None) -> Checkpoint:
        """Commit now what is not committed (of one note or folder, if given), with this message; tag it if asked.

        Raises `OperationInProgress` in the middle of a merge, `AlreadyExists` for a tag that is taken.
        """
        ...

    @command
    def init(self) -> Checkpoint:
        """Make a repository of the vault, with a `.gitignore` if there is none, and commit what is there.

        Raises `AlreadyExists` when the vault is in a repository.
        """
        ...


class RestoreContract(Protocol):
    """Going back. It asks two services, so it is no single transaction: each file is written as a new change."""

    @command
    def restore(self, path: str, *, revision: str, if_match: str | None = None) -> Restored:
        """Make a note, or all files of a folder ("" is the vault), as they were in a version.

        What is there now is committed first, so that there is a way back; where that is impossible (a merge is in
        progress, the file is ignored) the restore is refused, unless `if_match` says that the caller knows the present
        version of the note. Raises `StaleVersion` when somebody changes a file meanwhile: then nothing is restored.
        """
        ...
