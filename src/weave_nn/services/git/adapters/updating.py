"""Bringing the working files from one commit to another: what has to change, and the new files, ready to be taken."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from weave_nn.services.git.adapters.locking import CHECKOUT
from weave_nn.services.git.adapters.place import Repository
from weave_nn.services.git.adapters.process import Git
from weave_nn.services.git.adapters.staging import Entry, entries_between, is_submodule, nul_joined
from weave_nn.shared.errors import Conflict
from weave_nn.vault.errors import PathRefused, printable
from weave_nn.vault.paths import normalize

_INDEX = "index"
_FILES = "files"
# The file service sets no mode: executable files and links are left to git.
_FILE_MODES = {"100644", "000000"}
_GONE = "000000"


class UncommittedChanges(Conflict):
    """A file that is to be replaced holds what is in no commit; nothing was changed."""

    code = "git_uncommitted_changes"
    title = "Uncommitted changes"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{printable(path)} was changed elsewhere, and holds changes here that are in no commit.",
            hint="Commit or discard them (perhaps they are staged); weave tries again by itself.",
            path=path,
        )


@dataclass(frozen=True, slots=True)
class Update:
    """What differs between the commits: `notes` are files of the vault, `others` everything else that git tracks."""

    notes: tuple[Entry, ...]
    others: tuple[Entry, ...]
    _repository: Repository
    _folder: Path
    _git: Git

    def new_file(self, entry: Entry) -> Path:
        """The file as it is to be, filters applied; only within `prepared`."""
        return self._folder / _FILES / entry.path

    def require_clean(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those of the entries that are still to be changed on the disk. Raises `UncommittedChanges`."""
        todo = []
        for entry, present in zip(entries, self._ids(entries), strict=True):
            only_mode = _GONE not in {entry.mode, entry.old_mode} and entry.mode != entry.old_mode
            if present == (None if entry.mode == _GONE else entry.id) and not only_mode:
                continue
            if present != (None if entry.old_mode == _GONE else entry.old_id):
                raise UncommittedChanges(entry.path)
            todo.append(entry)
        return todo

    def change_others(self) -> None:
        """Change the files that are not the vault's to write: as a checkout does. Raises `UncommittedChanges`."""
        todo = self.require_clean(self.others)
        for entry in todo:
            if entry.mode == _GONE:
                self._remove(entry.path)
        paths = [entry.path for entry in todo if entry.mode != _GONE]
        if paths:
            self._git.run("checkout-index", "--force", "-z", "--stdin", stdin=nul_joined(paths))

    def _remove(self, path: str) -> None:
        file = self._repository.top / path
        file.unlink()
        with suppress(OSError):
            while file.parent != self._repository.top:
                file = file.parent
                file.rmdir()

    def _ids(self, entries: Sequence[Entry]) -> list[str | None]:
        """What git would store of the files as they are on the disk; None where there is none."""
        found: dict[str, str | None] = {}
        batch = []
        for path in (entry.path for entry in entries):
            file = self._repository.top / path
            if file.is_symlink():
                target = os.fsencode(file.readlink())
                found[path] = os.fsdecode(self._repository.git.run("hash-object", "--stdin", stdin=target)).strip()
            elif file.is_file() and "\n" not in path:
                batch.append(path)
            elif file.is_file():
                found[path] = self._repository.git.line("hash-object", "--", path)
            else:
                found[path] = None if file.is_dir() or not os.path.lexists(file) else "a special file"
        asked = b"".join(os.fsencode(path) + b"\n" for path in batch)
        ids = self._repository.git.run("hash-object", "--stdin-paths", stdin=asked).split() if batch else []
        found.update(zip(batch, map(os.fsdecode, ids), strict=True))
        return [found[entry.path] for entry in entries]


@contextmanager
def prepared(repository: Repository, before: str, after: str) -> Iterator[Update]:
    """What has to change from one tree to another, with the new files checked out aside; inside `writing` only."""
    folder = repository.git_dir / CHECKOUT
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        git = repository.git.with_environment(GIT_INDEX_FILE=str(folder / _INDEX))
        git.run("read-tree", after)
        entries = [each for each in entries_between(repository.git, before, after) if not is_submodule(each)]
        notes = tuple(each for each in entries if _is_the_vaults(repository, each))
        others = tuple(each for each in entries if each not in notes)
        new = [each.path for each in notes if each.mode != _GONE]
        prefix = os.fspath(folder / _FILES) + os.sep
        git.run("checkout-index", "-z", "--stdin", f"--prefix={prefix}", stdin=nul_joined(new))
        yield Update(notes, others, repository, folder, git)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_the_vaults(repository: Repository, entry: Entry) -> bool:
    """Whether it is a plain file that the file service serves under this very name."""
    if {entry.mode, entry.old_mode} - _FILE_MODES or not entry.path.startswith(repository.prefix):
        return False
    inside = entry.path.removeprefix(repository.prefix)
    try:
        return normalize(inside) == inside
    except PathRefused:
        return False
