"""Making commits: as `git commit` does, hooks and signing included, but without the user's index.

The branch is moved only if it still stands where the draft began, so that a commit that somebody makes in the same
moment is never undone; and it is moved under git's lock of the index, with the index following it.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from weave_nn.services.git.adapters import locking
from weave_nn.services.git.adapters.place import Repository
from weave_nn.services.git.adapters.process import Git, GitFailed, GitTimeout
from weave_nn.services.git.adapters.staging import (
    Change,
    Draft,
    changes_between,
    draft,
    draft_git,
    entries_between,
    index_info,
    index_mark,
    staged_paths,
)
from weave_nn.shared.errors import Conflict

_ATTEMPTS = 3
_MESSAGE_FILE = "weave-nn.message"
_NEW_INDEX = "weave-nn.new-index"
_FALLBACK_NAME = "Weave-NN"
_FALLBACK_EMAIL = "weave-nn@localhost"


class HookRefused(Conflict):
    """A hook of the repository refused the commit; the detail is what it said."""

    code = "git_hook_refused"
    title = "A git hook refused"


class HeadMoved(Conflict):
    """Somebody else moved the branch in the same moment, again and again; nothing was changed."""

    code = "git_head_moved"
    title = "The branch moved"


@contextmanager
def writing(repository: Repository, *, wait_seconds: float = 10.0) -> Iterator[None]:
    """Be the only one of our writers in this repository, with what a dead one left half done finished.

    Raises `RepositoryBusy`.
    """
    with locking.writing(repository, wait_seconds=wait_seconds):
        _finish(repository)
        yield


@dataclass(frozen=True, slots=True)
class Author:
    """Who commits: `name` and `email`, or None for whom git is configured with. `sign_off` adds the trailer."""

    name: str | None = None
    email: str | None = None
    sign_off: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What committing led to: `commit` is None when nothing had changed. `held`, `foreign` as in `Draft`."""

    commit: str | None
    message: str
    changes: tuple[Change, ...]
    held: tuple[str, ...]
    foreign: tuple[str, ...]


Compose = Callable[[Sequence[Change]], str]


def commit_paths(repository: Repository, paths: Sequence[str] | None, compose: Compose, author: Author) -> Made:
    """Commit these git paths as they are on the disk (None: everything that the vault serves); inside `writing`.

    `compose` gives the message for what has changed. Raises `OperationInProgress`, `HookRefused`, `RepositoryBusy`,
    `HeadMoved`; then nothing is changed.
    """
    for _ in range(_ATTEMPTS):
        repository.require_no_operation()
        drafted = draft(repository, paths)
        tree = drafted.tree
        if tree != drafted.parent_tree and _run_hook(repository, "pre-commit"):
            tree = draft_git(repository).line("write-tree")
        if tree == drafted.parent_tree:
            return Made(None, "", (), drafted.held, drafted.foreign)
        changes = changes_between(repository.git, drafted.parent_tree, tree)
        who = identity(repository.git, author)
        message = _hooked_message(repository, _signed_off(who, compose(changes), author))
        parents = [drafted.parent] if drafted.parent else []
        commit = commit_tree(who, tree, parents, message)
        if land(repository, drafted.parent, commit, f"commit (weave): {_subject(message)}", drafted):
            _after_commit(repository, commit)
            text = message.decode(errors="replace")
            return Made(commit, text, tuple(changes), drafted.held, drafted.foreign)
    raise HeadMoved("Another program commits to the branch all the time.", hint="Try again in a moment.")


def _after_commit(repository: Repository, commit: str) -> None:
    # The commit stands, whatever becomes of these.
    with suppress(GitFailed, GitTimeout, HookRefused):
        _run_hook(repository, "post-commit")
    # Looking whether there is enough to tidy up costs as much as the commit itself: one commit in sixteen looks.
    if commit.startswith("0"):
        with suppress(GitFailed, GitTimeout):
            repository.git.run("maintenance", "run", "--auto", "--quiet")


def land(repository: Repository, before: str | None, after: str, reason: str, drafted: Draft | None = None) -> bool:
    """Move HEAD's branch from `before` to `after`, and the index with it where nothing is staged; inside `writing`.

    False when the branch stands elsewhere: then nothing is changed.
    """
    with locking.index_lock(repository) as lock:
        repository.require_no_operation()
        if drafted and drafted.index_mark is not None and drafted.index_mark == index_mark(repository):
            locking.copy_index(repository.git_dir / locking.DRAFT, lock.file)
        else:
            _follow(repository, before, after, lock.file)
        locking.record(repository, locking.Step(before, after))
        try:
            repository.git.run("update-ref", "-m", reason, "HEAD", after, before or "0" * len(after))
        except GitFailed:
            locking.record(repository, None)
            if repository.head() != before:
                return False
            raise
        lock.publish()
        locking.record(repository, None)
    return True


def _finish(repository: Repository) -> None:
    """Let the index follow a branch that a writer moved just before it died."""
    step = locking.unfinished(repository)
    if step is None:
        return
    head = repository.head()
    if head is not None and repository.git.succeeds("merge-base", "--is-ancestor", step.after, head):
        with locking.index_lock(repository) as lock:
            _follow(repository, step.before, step.after, lock.file)
            lock.publish()
    locking.record(repository, None)


def _follow(repository: Repository, before: str | None, after: str, target: Path) -> None:
    """Write the user's index to `target`, with what changed between the commits, except where something is staged."""
    scratch = repository.git_dir / _NEW_INDEX
    git = repository.git.with_environment(GIT_INDEX_FILE=str(scratch))
    try:
        if repository.index.exists():
            locking.copy_index(repository.index, scratch)
        else:
            git.run("read-tree", "--empty")
        old = before or repository.empty_tree()
        staged = set(staged_paths(git, old))
        moved = [each for each in entries_between(git, old, after) if each.path not in staged]
        if moved:
            git.run("update-index", "-z", "--add", "--replace", "--index-info", stdin=index_info(moved))
        locking.copy_index(scratch, target)
    finally:
        scratch.unlink(missing_ok=True)


def identity(git: Git, author: Author) -> Git:
    """Git with the author set; where neither the settings nor git name anybody, we sign with our own name."""
    variables = {"GIT_AUTHOR_NAME": author.name, "GIT_AUTHOR_EMAIL": author.email}
    named = git.with_environment(**{name: value for name, value in variables.items() if value})
    if all(named.outcome("var", name, codes=(0, 128))[0] == 0 for name in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT")):
        return named
    fallback = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), author.name or _FALLBACK_NAME)
    fallback |= dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), author.email or _FALLBACK_EMAIL)
    # What the environment or the configuration does name stays.
    return named.with_environment(**{name: named.environment.get(name, value) for name, value in fallback.items()})


def commit_tree(git: Git, tree: str, parents: Sequence[str], message: bytes, *, sign: bool = True) -> str:
    """Make a commit object, signed if the user signs commits and `sign` does not forbid it."""
    signs = sign and git.line("config", "--type=bool", "--get", "commit.gpgSign", codes=(0, 1)) == "true"
    options = [option for parent in parents for option in ("-p", parent)]
    return os.fsdecode(git.run("commit-tree", tree, *options, *(["-S"] if signs else []), stdin=message)).strip()


def _signed_off(git: Git, message: str, author: Author) -> str:
    if not author.sign_off:
        return message
    name_and_email = git.line("var", "GIT_AUTHOR_IDENT").rpartition(">")[0] + ">"
    trailer = f"Signed-off-by: {name_and_email}"
    return os.fsdecode(git.run("interpret-trailers", "--trailer", trailer, stdin=message.encode(errors="replace")))


def _hooked_message(repository: Repository, message: str) -> bytes:
    """The message after the hooks that may edit or refuse it."""
    encoded = message.encode(errors="replace")
    if not any(_hook_exists(repository, name) for name in ("prepare-commit-msg", "commit-msg")):
        return encoded
    file = repository.git_dir / _MESSAGE_FILE
    try:
        file.write_bytes(encoded)
        _run_hook(repository, "prepare-commit-msg", str(file), "message")
        _run_hook(repository, "commit-msg", str(file))
        return file.read_bytes()
    finally:
        file.unlink(missing_ok=True)


def _hook_exists(repository: Repository, name: str) -> bool:
    return os.access(repository.hooks / name, os.X_OK)


def _run_hook(repository: Repository, name: str, *arguments: str) -> bool:
    if not _hook_exists(repository, name):
        return False
    try:
        draft_git(repository).run("hook", "run", name, "--", *arguments)
    except GitFailed as error:
        said = error.detail.partition("): ")[2]
        raise HookRefused(f"The hook {name} refused the commit: {said}", hint="Mend what it says.") from error
    return True


def _subject(message: bytes) -> str:
    return message.split(b"\n", 1)[0].decode(errors="replace")
