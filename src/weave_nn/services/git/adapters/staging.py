"""Drafting a commit in an index of our own, so that the user's index and what is half staged in it stay as they are."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from weave_nn.services.git.adapters.locking import DRAFT, copy_index
from weave_nn.services.git.adapters.place import Repository, look
from weave_nn.services.git.adapters.process import Git

_MANY_PATHS = 200
_SUBMODULE = "160000"


@dataclass(frozen=True, slots=True)
class Change:
    """One file that differs between two trees, as git paths; `kind` is create, update, rename or delete."""

    kind: str
    path: str
    previous_path: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One path that differs between two trees, with mode and object id on both sides (mode "000000": not there)."""

    path: str
    old_mode: str
    mode: str
    old_id: str
    id: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A tree that is ready to be committed on `parent`.

    `held` are paths that the user has staged changes of: theirs to commit. `foreign` cannot be added (they belong to a
    submodule, or may not be read). `index_mark` says which state of the user's index the draft was made from, where
    nothing was staged in it.
    """

    parent: str | None
    parent_tree: str
    tree: str
    held: tuple[str, ...]
    foreign: tuple[str, ...]
    index_mark: tuple[int, ...] | None


def draft(repository: Repository, paths: Collection[str] | None) -> Draft:
    """Draft a commit of these git paths as they are on the disk now; None takes everything that the vault serves.

    Inside `writing` only. The draft's index stays until the writer's next turn, for hooks to look at.
    """
    parent, parent_tree = repository.head_and_tree()
    staged = set(staged_paths(repository.git, parent_tree))
    wanted = set(changed_paths(repository) if paths is None else paths)
    found = look(repository, wanted - staged)
    kept = set(_unignored(repository, found.present))
    mark = _begin(repository, parent, fresh=bool(staged))
    git = draft_git(repository)
    absent = _not_sparse(repository, found.absent)
    if absent:
        git.run("update-index", "-z", "--force-remove", "--stdin", stdin=nul_joined(absent))
    if kept:
        git.run("update-index", "-z", "--add", "--remove", "--replace", "--stdin", stdin=nul_joined(sorted(kept)))
    tree = git.line("write-tree")
    return Draft(parent, parent_tree, tree, tuple(sorted(wanted & staged)), found.foreign, mark)


def draft_git(repository: Repository) -> Git:
    """Git with the draft as its index."""
    return repository.git.with_environment(GIT_INDEX_FILE=str(repository.git_dir / DRAFT))


def index_mark(repository: Repository) -> tuple[int, ...] | None:
    """What tells one state of the user's index from another."""
    try:
        status = repository.index.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _begin(repository: Repository, parent: str | None, *, fresh: bool) -> tuple[int, ...] | None:
    mark = index_mark(repository)
    if mark is not None and not fresh:
        # Where nothing is staged the user's index is the parent's tree, and knows the files' times already.
        copy_index(repository.index, repository.git_dir / DRAFT)
        return mark
    draft_git(repository).run("read-tree", parent or "--empty")
    return None


def staged_paths(git: Git, tree: str) -> list[str]:
    """The git paths whose entry in the index differs from the tree."""
    return split_nul(
        git.run("diff-index", "--cached", "--ita-invisible-in-index", "--name-only", "--no-renames", "-z", tree)
    )


def changed_paths(repository: Repository) -> list[str]:
    """Every git path of the vault that is not as in the index: tracked ones, and new ones that the vault serves."""
    options = ("--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=all")
    printed = repository.git.run("--literal-pathspecs", "status", *options, "--", repository.prefix or ".")
    found = [(entry[:2], entry[3:]) for entry in split_nul(printed)]
    return [path for code, path in found if not path.endswith("/") and (code != "??" or repository.visible(path))]


def _unignored(repository: Repository, paths: Sequence[str]) -> Iterator[str]:
    """Without those that `.gitignore` and the like exclude; tracked files never are."""
    if not paths:
        return
    # This command knows no literal pathspecs; behind "./" nothing is magic.
    asked = nul_joined(f"./{path}" for path in paths)
    printed = repository.git.run("check-ignore", "-z", "--stdin", stdin=asked, codes=(0, 1))
    ignored = {path.removeprefix("./") for path in split_nul(printed)}
    yield from (path for path in paths if path not in ignored)


def _not_sparse(repository: Repository, paths: Sequence[str]) -> list[str]:
    """Without those that a sparse checkout leaves out of the working tree: they are absent, not deleted."""
    if not paths:
        return []
    some = ("--", *paths) if len(paths) <= _MANY_PATHS else ()
    printed = repository.git.run("--literal-pathspecs", "ls-files", "-t", "-z", *some)
    sparse = {entry[2:] for entry in split_nul(printed) if entry.startswith("S ")}
    return [path for path in paths if path not in sparse]


def changes_between(git: Git, old: str, new: str) -> list[Change]:
    """What a person would say that happened between two trees."""
    words = iter(split_nul(git.run("diff-tree", "-r", "-z", "-M", "--name-status", old, new)))
    kinds = {"A": "create", "D": "delete", "R": "rename"}
    found = []
    for status in words:
        kind = kinds.get(status[0], "update")
        previous = next(words) if kind == "rename" else None
        found.append(Change(kind, next(words), previous))
    return found


def entries_between(git: Git, old: str, new: str) -> list[Entry]:
    """What differs between two trees, path by path."""
    words = iter(split_nul(git.run("diff-tree", "-r", "-z", "--no-renames", "--raw", old, new)))
    found = []
    for status in words:
        old_mode, mode, old_id, new_id, _ = status[1:].split(" ")
        found.append(Entry(next(words), old_mode, mode, old_id, new_id))
    return found


def index_info(entries: Iterable[Entry]) -> bytes:
    """The entries for `update-index -z --index-info`: removals first, so that a folder can follow a file."""
    ordered = sorted(entries, key=lambda entry: entry.mode != "000000")
    return b"".join(f"{each.mode} {each.id}\t".encode() + os.fsencode(each.path) + b"\0" for each in ordered)


def is_submodule(entry: Entry) -> bool:
    """Whether either side is a commit of another repository."""
    return _SUBMODULE in {entry.old_mode, entry.mode}


def nul_joined(paths: Iterable[str]) -> bytes:
    """Paths as git reads them with `-z`."""
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


def split_nul(printed: bytes) -> list[str]:
    """What git printed with `-z`."""
    return [os.fsdecode(part) for part in printed.split(b"\0")[:-1]]
