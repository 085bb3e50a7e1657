"""The history of a vault: the implementation of the service's contract."""

from collections.abc import Callable
from dataclasses import dataclass

from weave_nn.services.git.adapters import history
from weave_nn.services.git.adapters.commits import Author, commit_paths, identity, writing
from weave_nn.services.git.adapters.locking import index_lock_age_seconds
from weave_nn.services.git.adapters.place import Repository
from weave_nn.services.git.adapters.process import Git
from weave_nn.services.git.adapters.staging import changed_paths, staged_paths
from weave_nn.services.git.contract import BlameLine, Checkpoint, Diff, GitStatus, LogPage, NoteVersion
from weave_nn.services.git.repository import GitRepository
from weave_nn.services.git.service.committing import announcement
from weave_nn.services.git.service.messages import compose
from weave_nn.services.git.service.starting import make_repository
from weave_nn.shared.bus import Outbox
from weave_nn.shared.errors import Conflict, InvalidInput
from weave_nn.vault.errors import printable
from weave_nn.vault.paths import normalize, normalize_folder

MAX_ENTRIES = 500
MAX_LINES = 10_000
_MAX_SHOWN = 1000
_MESSAGE_LENGTH = 10_000


class TagExists(Conflict):
    """A tag of that name exists; nothing was changed."""

    code = "tag_exists"
    title = "Tag exists"


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest file and the longest difference that are given out, in bytes."""

    file_bytes: int = 64 * 1024 * 1024
    diff_bytes: int = 1024 * 1024


class GitService:
    """Implements `GitContract`. Slow work comes before the first statement, so that no database lock waits for git."""

    def __init__(
        self, git: Git, rows: GitRepository, outbox: Callable[[], Outbox], author: Author, limits: Limits
    ) -> None:
        self._git = git
        self._rows = rows
        self._outbox = outbox
        self._author = author
        self._limits = limits

    def status(self) -> GitStatus:
        """Say how the vault and its repository stand."""
        repository = self._repository()
        commit, branch = repository.head(), repository.branch()
        tracked = history.tracking(repository, branch) if commit else None
        changed = [path for each in changed_paths(repository) if (path := repository.vault_path(each)) is not None]
        staged = staged_paths(repository.git, commit or repository.empty_tree())
        inside = [path for each in staged if (path := repository.vault_path(each)) is not None]
        backlog, state = self._rows.backlog(), self._rows.state()
        return GitStatus(
            repository=str(repository.top),
            branch=branch,
            commit=commit,
            operation=repository.operation(),
            uncommitted=tuple(sorted(changed)[:_MAX_SHOWN]),
            uncommitted_count=len(changed),
            staged=tuple(inside[:_MAX_SHOWN]),
            pending=backlog.count if backlog else 0,
            problem=state.problem,
            sync_problem=state.sync_problem,
            upstream=tracked.upstream.removeprefix("refs/remotes/") if tracked else None,
            ahead=tracked.ahead if tracked else 0,
            behind=tracked.behind if tracked else 0,
            index_lock_seconds=index_lock_age_seconds(repository),
            findings=state.findings,
        )

    def log(self, *, path: str | None = None, limit: int = 50, cursor: str | None = None) -> LogPage:
        """List commits; the cursor names the commit that the listing began with, so that new ones do not shift it."""
        if not 1 <= limit <= MAX_ENTRIES:
            raise InvalidInput(f"A page has from 1 to {MAX_ENTRIES} commits, not {limit}.", field="limit")
        repository = self._repository()
        start, skip = _position(cursor)
        if start is None and repository.head() is None:
            return LogPage((), None)
        start = history.resolve(repository, start or "HEAD")
        of = None if path is None else repository.git_path(normalize(path))
        found = history.log(repository, start, path=of, limit=limit + 1, skip=skip)
        more = f"{start}.{skip + limit}" if len(found) > limit else None
        return LogPage(tuple(found[:limit]), more)

    def diff(self, *, old: str = "HEAD", new: str | None = None, path: str | None = None, words: bool = False) -> Diff:
        """Compare two versions."""
        repository = self._repository()
        old = history.resolve(repository, old)
        new = history.resolve(repository, new) if new else None
        of = None if path is None else repository.git_path(normalize(path))
        text, complete = history.diff(repository, old, new, path=of, words=words, limit_bytes=self._limits.diff_bytes)
        return Diff(old, new or "", text, complete)

    def show(self, path: str, *, revision: str) -> NoteVersion:
        """Read a note as it was."""
        repository = self._repository()
        commit = history.resolve(repository, revision)
        then = history.path_at(repository, repository.git_path(normalize(path)), commit)
        content = history.read_version(repository, then, commit, limit_bytes=self._limits.file_bytes)
        return NoteVersion(repository.vault_path(then) or then, commit, content)

    def list_version(self, *, revision: str, folder: str = "") -> tuple[str, ...]:
        """List the visible vault paths in a version."""
        repository = self._repository()
        commit = history.resolve(repository, revision)
        inside = normalize_folder(folder)
        within = repository.git_path(f"{inside}/" if inside else "")
        found = history.list_files(repository, commit, within)
        return tuple(str(repository.vault_path(each)) for each in found if repository.visible(each))

    def blame(
        self, path: str, *, revision: str | None = None, start_line: int = 1, max_lines: int = 1000
    ) -> tuple[BlameLine, ...]:
        """Say for each line where it came from."""
        if start_line < 1 or not 1 <= max_lines <= MAX_LINES:
            raise InvalidInput(f"Lines count from 1, and at most {MAX_LINES} are given.", field="max_lines")
        repository = self._repository()
        of = repository.git_path(normalize(path))
        commit = history.resolve(repository, revision) if revision else None
        if commit is not None:
            of = history.path_at(repository, of, commit)
        return tuple(history.blame(repository, of, commit, start=start_line, count=max_lines))

    def checkpoint(self, message: str, *, path: str | None = None, tag: str | None = None) -> Checkpoint:
        """Commit now, and tag."""
        if not message.strip() or len(message) > _MESSAGE_LENGTH or "\0" in message:
            raise InvalidInput(f"A message has from 1 to {_MESSAGE_LENGTH} characters.", field="message")
        repository = self._repository()
        if tag is not None:
            _require_free(repository, tag)
        with writing(repository):
            paths = None if path is None else _changed_below(repository, repository.git_path(normalize_folder(path)))
            made = commit_paths(
                repository, paths, lambda changes: compose(changes, repository.prefix, subject=message), self._author
            )
            commit = made.commit or repository.head()
            if commit is None:
                raise InvalidInput("There is nothing to commit yet.", hint="Write a note first.")
            if tag is not None:
                who = identity(repository.git, self._author)
                who.run("tag", "--annotate", "--file=-", tag, commit, stdin=message.encode(errors="replace"))
        if made.commit is not None:
            self._outbox().announce(announcement(repository, made))
        held = tuple(inside for each in made.held if (inside := repository.vault_path(each)) is not None)
        return Checkpoint(commit, made.commit is not None, tag, len(made.changes), held)

    def init(self) -> Checkpoint:
        """Make a repository of the vault."""
        repository, made = make_repository(self._git, self._author)
        if made.commit is not None:
            self._outbox().announce(announcement(repository, made))
        return Checkpoint(made.commit or "", made.commit is not None, None, len(made.changes), made.held)

    def _repository(self) -> Repository:
        return Repository.find(self._git)


def _changed_below(repository: Repository, path: str) -> list[str]:
    changed = changed_paths(repository)
    return [each for each in changed if each == path or not path or each.startswith(path.rstrip("/") + "/")]


def _require_free(repository: Repository, tag: str) -> None:
    if tag.startswith("-") or not repository.git.succeeds("check-ref-format", f"refs/tags/{tag}"):
        raise InvalidInput(f"{printable(tag)} cannot be the name of a tag.", hint="Such as 'draft-1'.", field="tag")
    if repository.git.outcome("rev-parse", "--quiet", "--verify", f"refs/tags/{tag}", codes=(0, 1))[0] == 0:
        raise TagExists(f"There is a tag {printable(tag)} already.", hint="Choose another name.", field="tag")


def _position(cursor: str | None) -> tuple[str | None, int]:
    if cursor is None:
        return None, 0
    start, _, skip = cursor.partition(".")
    if not (start.isalnum() and len(start) >= 40 and skip.isdecimal() and len(skip) < 10):
        raise InvalidInput("The cursor is not one of this listing.", hint="Begin without one.", field="cursor")
    return start, int(skip)
