"""The one way to change the files of a vault: a list of changes that happens as a whole or not at all.

Each change names the version that its writer saw, and a file in any other version stops the whole list. A single
change is one atomic rename. Several are announced in a journal first (see `journal`), so that after a crash the vault
is wholly as before or wholly as after. Rivals considered: a copy-on-write clone of the vault (needs a file system that
can, and would be seen by sync tools as a new vault), and git as the journal (not every vault is a repository).

What no program can prevent: one that keeps a file open while it is replaced goes on writing to the old version.
"""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from weave_nn.shared.errors import Conflict, InvalidInput, WeaveError
from weave_nn.vault import journal as journals
from weave_nn.vault.atomic import carry_metadata, etag_at, same_file
from weave_nn.vault.errors import (
    AlreadyExists,
    NotAFile,
    NoteNotFound,
    StaleVersion,
    WriteFailed,
    from_os_error,
    printable,
)
from weave_nn.vault.journal import Plan, Recovery, recover, sweep
from weave_nn.vault.scan import FileStat, file_stat
from weave_nn.vault.staging import Staged, nearest_folder, stage, temporary
from weave_nn.vault.steps import Op, Step, finish, run
from weave_nn.vault.store import Place, Vault
from weave_nn.vault.trash import TRASH, candidates, original

__all__ = [
    "ABSENT",
    "Absent",
    "Applied",
    "Change",
    "Delete",
    "Move",
    "Recovery",
    "Restore",
    "Staged",
    "Trash",
    "Write",
    "apply",
    "recover",
    "stage",
    "sweep",
]


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT
"""The expectation that nothing is there yet."""


@dataclass(frozen=True, slots=True)
class Write:
    """Make or replace a file. `expect` is the ETag that the writer saw, ABSENT, or None for what is there.

    Even with None, what somebody saves in the very moment of the change is not replaced: that raises `StaleVersion`.
    """

    path: str
    content: bytes | Staged
    expect: str | Absent | None


@dataclass(frozen=True, slots=True)
class Move:
    """Rename a file; nothing may stand at the destination. `expect` as for `Write`."""

    source: str
    destination: str
    expect: str | None


@dataclass(frozen=True, slots=True)
class Trash:
    """Move a file into `.trash`, from where `Restore` brings it back."""

    path: str
    expect: str | None


@dataclass(frozen=True, slots=True)
class Restore:
    """Bring a file (`.trash/…`) back to where it was, or to `destination`; nothing may stand there."""

    trashed: str
    destination: str | None = None
    expect: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a file for good."""

    path: str
    expect: str | None


Change = Write | Move | Trash | Restore | Delete


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a change: the vault path where the file is now, with its ETag and state.

    `path` is where it was, and `etag` and `stat` are None, for a deletion. `source` is where a moved file came from,
    `previous_etag` the version that was replaced, moved or deleted (None where there was none).
    """

    change: Change
    path: str
    etag: str | None
    stat: FileStat | None
    source: str | None = None
    previous_etag: str | None = None


def apply(vault: Vault, changes: Sequence[Change], *, journal: Path, hidden: bool = False) -> tuple[Applied, ...]:
    """Make all changes in their order, or none. Missing folders are made. `hidden` allows paths in hidden folders.

    A later change sees what an earlier one did (move a note, then write to it at its new path). `journal` is a folder
    outside of the vault; run `recover` with it at start. Staged content is used up in any case.
    Raises `StaleVersion`, `AlreadyExists`, `NoteNotFound`, `NotAFile`, `NotAFolder`, `PathRefused`, `StorageFull`,
    `WriteFailed`, `VaultUnusable`, `Forbidden` (a vault opened read-only); everything is as it was then.
    """
    staged = [change.content for change in changes if isinstance(change, Write) and isinstance(change.content, Staged)]
    try:
        vault.check_writable()
        vault.check_present()
        ready: list[Change] = []
        for change in changes:
            if isinstance(change, Write) and isinstance(change.content, bytes):
                content = stage(vault, change.path, [change.content], hidden=hidden)
                staged.append(content)
                ready.append(replace(change, content=content))
            else:
                ready.append(change)
        with vault.writing:
            planner = _Planner(vault, hidden=hidden, staged=staged)
            for change in ready:
                planner.add(change)
            _execute(vault.root, planner.plan(), journal)
            return tuple(
                replace(applied, change=change, stat=_stat(vault, applied))
                for applied, change in zip(planner.applied, changes, strict=True)
            )
    except OSError as error:
        raise from_os_error(error, _path_of(changes[0])) from error
    finally:
        for content in staged:
            content.discard()


def _execute(root: Path, plan: Plan, journal: Path) -> None:
    if len(plan.steps) == 1:
        try:
            _run(root, plan)
        except BaseException as error:
            _undo(root, plan, error)
            raise
        with contextlib.suppress(OSError):  # The change is made; `sweep` removes what could not be removed here.
            finish(root, plan.steps[0])
    elif plan.steps:
        with journals.exclusively(journal):
            recorded = journals.write(journal, root, plan)
            try:
                _run(root, plan)
                recorded = journals.commit(recorded)
            except BaseException as error:
                _undo(root, plan, error)
                journals.discard(recorded)
                raise
            with contextlib.suppress(OSError):  # The changes are made; the next `recover` does the rest.
                journals.complete(recorded, root, plan)


def _run(root: Path, plan: Plan) -> None:
    for folder in plan.folders:
        (root / folder).mkdir()
    for step in plan.steps:
        try:
            run(root, step)
        except OSError as error:
            raise from_os_error(error, step.path) from error
    journals.sync(root, plan)


def _undo(root: Path, plan: Plan, error: BaseException) -> None:
    try:
        journals.roll_back(root, plan)
    except OSError as second:
        raise WriteFailed(
            f"A change failed ({error}), and undoing it failed as well ({second.strerror}).",
            hint="Nothing is lost: the next start puts it right, as soon as the disk works again.",
        ) from error


@dataclass(slots=True)
class _Planner:
    """Turns changes into steps, checking every expectation against the state that the steps before it lead to."""

    vault: Vault
    hidden: bool
    staged: list[Staged]
    applied: list[Applied] = field(default_factory=list)
    _steps: list[Step] = field(default_factory=list)
    _folders: dict[Path, None] = field(default_factory=dict)
    _state: dict[Path, str | None] = field(default_factory=dict)

    def plan(self) -> Plan:
        return Plan(tuple(self._steps), tuple(self._relative(folder) for folder in self._folders))

    def add(self, change: Change) -> None:
        match change:
            case Write():
                self._write(change)
            case Move(source, destination, expect):
                self._move(change, self._place(source), self._place(destination), expect)
            case Trash(path, expect):
                place = self._place(path)
                if place.path.startswith(f"{TRASH}/"):
                    raise InvalidInput(
                        f"{printable(path)} is in the trash already.", hint="Delete it for good instead."
                    )
                self._move(change, place, self._free(place.path), expect)
            case Restore(trashed, destination, expect):
                place = self.vault.place(trashed, hidden=True)
                before = original(place.path)
                self._move(change, place, self._place(destination or before), expect)
            case Delete(path, expect):
                place = self._place(path)
                etag = self._expected(place, expect)
                self._remove(place, etag)
                self._state[place.named] = None
                self.applied.append(Applied(change, place.path, None, None, previous_etag=etag))

    def _write(self, change: Write) -> None:
        content = change.content
        if not isinstance(content, Staged):
            raise TypeError("content is staged before it is planned")
        place = self._place(change.path)
        if content.path != place.path:
            raise InvalidInput(f"The content staged for {printable(content.path)} is not for {printable(place.path)}.")
        current = self._current(place)
        if current is None and isinstance(change.expect, str):
            raise StaleVersion(place.path, None)
        if current is None:
            self._folders_for(place.real)
            self._step(Op.CREATE, place.real, content.file, place.path, new=content.etag)
        else:
            if change.expect is ABSENT:
                raise AlreadyExists(place.path)
            if change.expect not in {None, current}:
                raise StaleVersion(place.path, current)
            self._step(Op.REPLACE, place.real, content.file, place.path, old=current, new=content.etag)
        self._state[place.real] = content.etag
        self.applied.append(Applied(change, place.path, content.etag, None, previous_etag=current))

    def _move(self, change: Change, source: Place, target: Place, expect: str | None) -> None:
        etag = self._expected(source, expect)
        if source.path == target.path:
            raise InvalidInput(f"{printable(source.path)} cannot be moved to itself.")
        # On a disk that ignores case, the new spelling of a name finds the file itself.
        respelled = same_file(target.named, source.named) and target.named.parent == source.named.parent
        if self._current(target) is not None and not respelled:
            raise AlreadyExists(target.path)
        self._folders_for(target.named)
        if nearest_folder(target.named).stat().st_dev == nearest_folder(source.named).stat().st_dev:
            self._step(Op.MOVE, target.named, source.named, source.path, old=etag)
        else:
            self._move_across(source, target, etag)
        self._state[source.named] = None
        self._state[target.named] = etag
        self.applied.append(Applied(change, target.path, etag, None, source.path, etag))

    def _move_across(self, source: Place, target: Place, etag: str) -> None:
        """A folder of the vault lies on another disk: copy there first, remove here afterwards."""
        with source.named.open("rb") as file:
            copy = stage(self.vault, target.path, iter(lambda: file.read(1024 * 1024), b""), hidden=True)
        self.staged.append(copy)
        if copy.etag != etag:
            raise StaleVersion(source.path, copy.etag)
        status = source.named.stat()
        carry_metadata(source.named, copy.file)
        os.utime(copy.file, ns=(status.st_atime_ns, status.st_mtime_ns))
        self._step(Op.CREATE, target.named, copy.file, target.path, new=etag)
        self._remove(source, etag)

    def _remove(self, place: Place, etag: str) -> None:
        self._step(Op.REMOVE, place.named, temporary(place.named.parent), place.path, old=etag)

    def _place(self, path: str) -> Place:
        return self.vault.place(path, hidden=self.hidden)

    def _free(self, path: str) -> Place:
        for candidate in candidates(path):
            place = self.vault.place(candidate, hidden=True)
            if not place.exists and self._state.get(place.named) is None:
                return place
        raise AssertionError("there is always another name")

    def _expected(self, place: Place, expect: str | None) -> str:
        current = self._current(place)
        if current is None:
            raise NoteNotFound(place.path) if expect is None else StaleVersion(place.path, None)
        if expect not in {None, current}:
            raise StaleVersion(place.path, current)
        if place.named != place.real:
            raise Conflict(
                f"{printable(place.path)} is a link to another file.", hint="Change the file that it leads to."
            )
        return current

    def _current(self, place: Place) -> str | None:
        if place.real in self._state:
            return self._state[place.real]
        etag = etag_at(place.real)
        if etag == "":
            raise NotAFile(place.path, "a folder" if place.real.is_dir() else "a special file")
        return etag

    def _folders_for(self, target: Path) -> None:
        missing = [folder for folder in target.parents if folder not in self._folders and not folder.is_dir()]
        nearest_folder(target)
        for folder in reversed(missing):
            self._folders[folder] = None

    def _step(
        self, op: Op, target: Path, other: Path, path: str, *, old: str | None = None, new: str | None = None
    ) -> None:
        self._steps.append(Step(op, self._relative(target), self._relative(other), old, new, path))

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.vault.root).as_posix()


def _stat(vault: Vault, applied: Applied) -> FileStat | None:
    if applied.etag is None:
        return None
    try:
        return file_stat(applied.path, vault.locate(applied.path, hidden=True).stat())
    except (OSError, WeaveError):
        return None  # Removed by a later change of the same list, or by somebody in this moment.


def _path_of(change: Change) -> str:
    match change:
        case Move(source):
            return source
        case Restore(trashed):
            return trashed
        case Write(path) | Trash(path) | Delete(path):
            return path
