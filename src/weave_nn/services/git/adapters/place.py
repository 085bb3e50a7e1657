"""Which repository the vault is in, and what state it is in."""

import os
import stat
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from weave_nn.services.git.adapters.process import Git, no_repository
from weave_nn.shared.errors import Conflict
from weave_nn.vault.paths import is_hidden

# What git keeps in its folder while something is under way, in the order in which it is told.
_OPERATIONS = {
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
    "sequencer": "cherry-pick or revert",
}


class OperationInProgress(Conflict):
    """A merge, rebase or the like is under way; nothing is committed until it is finished or given up."""

    code = "git_operation_in_progress"
    title = "A git operation is in progress"

    def __init__(self, operation: str) -> None:
        super().__init__(
            f"A {operation} is in progress in the repository; weave leaves it alone.",
            hint=f"Finish or abort the {operation}; what changed meanwhile is committed afterwards.",
            operation=operation,
        )


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository of a vault. `prefix` is the vault's folder in it, with a slash at its end, or "".

    Git paths are relative to `top`; vault paths to the vault.
    """

    git: Git
    top: Path
    prefix: str
    git_dir: Path
    index: Path
    hooks: Path

    @classmethod
    def find(cls, git: Git) -> "Repository":
        """The repository that `git.folder`, the vault, is in. Raises `NoRepository`, `RepositoryNotTrusted`."""
        asked = ("--show-toplevel", "--absolute-git-dir", "--show-prefix", "--git-path", "index", "--git-path", "hooks")
        lines = os.fsdecode(git.run("rev-parse", *asked)).split("\n")
        if len(lines) != 6 or not lines[0]:
            raise no_repository(git.folder)
        top, git_dir, prefix, index, hooks, _ = lines
        place = git.folder
        return cls(git.at(Path(top)), Path(top), prefix, Path(git_dir), place / index, place / hooks)

    def head(self) -> str | None:
        """The commit that is checked out; None before the first one."""
        return self.git.line("rev-parse", "--quiet", "--verify", "HEAD^{commit}", codes=(0, 1)) or None

    def head_and_tree(self) -> tuple[str | None, str]:
        """The commit that is checked out, and its tree; before the first commit None and the empty tree."""
        code, printed = self.git.outcome("rev-parse", "HEAD^{commit}", "HEAD^{tree}", codes=(0, 128))
        if code:
            return self.head(), self.empty_tree()
        commit, tree = printed.decode().split()
        return commit, tree

    def branch(self) -> str | None:
        """The branch that is checked out, such as `main`; None when HEAD is detached."""
        name = self.git.line("symbolic-ref", "--quiet", "HEAD", codes=(0, 1))
        return name.removeprefix("refs/heads/") or None

    def empty_tree(self) -> str:
        """The id of the tree without files, which depends on the repository's hash."""
        return self.git.line("hash-object", "-t", "tree", "--stdin")

    def operation(self) -> str | None:
        """What is under way, such as a merge; None when nothing is."""
        return next((name for file, name in _OPERATIONS.items() if (self.git_dir / file).exists()), None)

    def require_no_operation(self) -> None:
        """Raise `OperationInProgress` when something is under way."""
        if (operation := self.operation()) is not None:
            raise OperationInProgress(operation)

    def git_path(self, vault_path: str) -> str:
        """The git path of a vault path; "" is the vault itself."""
        return self.prefix + vault_path

    def vault_path(self, git_path: str) -> str | None:
        """The vault path (in Unicode normal form C) of a git path; None when it is outside the vault."""
        if not git_path.startswith(self.prefix):
            return None
        return unicodedata.normalize("NFC", git_path.removeprefix(self.prefix))

    def visible(self, git_path: str) -> bool:
        """Whether the path is one that the vault serves: in it, and not hidden."""
        inside = self.vault_path(git_path)
        return bool(inside) and not is_hidden(str(inside))


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Where git paths stand: `present` can be added, `absent` are gone, `foreign` is another's (a submodule, say)."""

    present: tuple[str, ...]
    absent: tuple[str, ...]
    foreign: tuple[str, ...]


def look(repository: Repository, paths: Iterable[str]) -> OnDisk:
    """Sort git paths by what is on the disk. Names in another Unicode form are found, and given as they are there."""
    present, absent, foreign = set[str](), set[str](), set[str]()
    folders: dict[str, bool] = {"": True}
    for path in paths:
        if not _ours(repository.top, path.rpartition("/")[0], folders):
            foreign.add(path)
            continue
        spelled = [form for form in _spellings(path) if _is_file(repository.top / form)]
        if spelled and not os.access(repository.top / spelled[0], os.R_OK, follow_symlinks=False):
            foreign.add(path)
            continue
        present.update(spelled)
        if not (repository.top / path).is_dir() or not (repository.top / path / ".git").exists():
            absent.update(form for form in _spellings(path) if form not in spelled)
    return OnDisk(tuple(sorted(present)), tuple(sorted(absent - present)), tuple(sorted(foreign)))


def _spellings(path: str) -> tuple[str, ...]:
    if path.isascii():
        return (path,)
    return tuple(dict.fromkeys((path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path))))


def _is_file(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def _ours(top: Path, folder: str, known: dict[str, bool]) -> bool:
    """Whether no folder on the way is a link (git keeps links as such) or the root of another repository."""
    if folder not in known:
        here = top / folder
        other = here.is_symlink() or (here / ".git").exists()
        known[folder] = not other and _ours(top, folder.rpartition("/")[0], known)
    return known[folder]
