"""The write-ahead journal of changes to several files, and putting a vault right after a crash.

A journal is one JSON file in a folder outside of the vault. While it is called `*.json` its steps are to be undone;
renaming it to `*.done` is the moment at which they all count. The old versions need no copy in it: a step leaves them
in temporary files beside their targets until the end.
"""

import fcntl
import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from weave_nn.vault.atomic import etag_at, sync_folder
from weave_nn.vault.errors import WriteFailed, printable
from weave_nn.vault.paths import is_temporary
from weave_nn.vault.staging import is_disposable
from weave_nn.vault.steps import Op, Step, finish, keep, undo
from weave_nn.vault.store import Vault

_FORMAT = 1
_PENDING = ".json"
_DONE = ".done"


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order, and the folders that are made first (parents before children), relative to the root."""

    steps: tuple[Step, ...]
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recovery:
    """What `recover` found: lists undone, lists completed, and a sentence for each thing a person should look at."""

    undone: int
    completed: int
    messages: tuple[str, ...]


def write(folder: Path, root: Path, plan: Plan) -> Path:
    """Make the plan durable before its first step; gives the journal file."""
    file = folder / f"{time.time_ns()}-{uuid.uuid4().hex}{_PENDING}"
    partial = file.with_suffix(".partial")
    record = {"format": _FORMAT, "root": str(root), **asdict(plan)}
    with partial.open("w", encoding="utf-8") as stream:
        json.dump(record, stream, ensure_ascii=False)
        stream.flush()
        os.fsync(stream.fileno())
    partial.rename(file)
    try:
        sync_folder(folder)
    except OSError:
        file.unlink()
        raise
    return file


def commit(file: Path) -> Path:
    """From here on the steps count, whatever happens; gives the journal's new name."""
    return file.rename(file.with_suffix(_DONE))


def complete(file: Path, root: Path, plan: Plan) -> None:
    """After `commit`: drop the old versions. They must not go before the journal's new name is safe on the disk."""
    sync_folder(file.parent)
    for step in plan.steps:
        finish(root, step)
    file.unlink()


def discard(file: Path) -> None:
    """Forget an undone plan for good: a journal that came back after a power failure would undo later changes."""
    file.unlink()
    sync_folder(file.parent)


@contextmanager
def exclusively(folder: Path) -> Iterator[None]:
    """Keep other processes on the same vault from taking a journal that is being worked on for an interrupted one."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        # The system releases the lock when the process ends, however it ends.
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def roll_back(root: Path, plan: Plan) -> tuple[str, ...]:
    """Undo whatever was done of a plan, last step first; gives a sentence for each thing that stays otherwise."""
    messages: list[str] = []
    for step in reversed(plan.steps):
        messages += undo(root, step)
    for folder in reversed(plan.folders):
        try:
            (root / folder).rmdir()
        except OSError:
            continue  # Never made, or somebody has put a file into it meanwhile.
    sync(root, plan)
    return tuple(messages)


def sync(root: Path, plan: Plan) -> None:
    """Make the renames of a plan last through a power failure."""
    entries = [name for step in plan.steps for name in (step.target, step.other)] + list(plan.folders)
    for folder in {(root / name).parent for name in entries}:
        if folder.is_dir():
            sync_folder(folder)


def recover(vault: Vault, journal: Path) -> Recovery:
    """At start, before anything else is changed: undo what was interrupted, complete what only lacked its cleaning.

    Files that somebody changed since stay as they are; then a message names where the other version was kept.
    Raises `WriteFailed` when a journal cannot be read or is another vault's; nothing was touched then.
    """
    undone = completed = 0
    messages: list[str] = []
    with vault.writing, exclusively(journal):
        vault.check_present()
        # The newest first: a later change may stand on the result of an earlier one.
        for file in sorted(journal.glob(f"*{_PENDING}"), reverse=True):
            messages += roll_back(vault.root, _read(file, vault.root))
            discard(file)
            undone += 1
        for file in journal.glob(f"*{_DONE}"):
            for step in _read(file, vault.root).steps:
                _finish_checked(vault.root, step)
            file.unlink()
            completed += 1
        for file in journal.glob("*.partial"):
            file.unlink()
    return Recovery(undone, completed, tuple(messages))


def sweep(vault: Vault, *, older_than_seconds: float = 3600) -> tuple[str, ...]:
    """Remove abandoned temporary files, after `recover`; gives the trash paths of those that may be the only copy.

    The age leaves the files of another process alone that is writing now.
    """
    kept: list[str] = []
    limit_ns = time.time_ns() - int(older_than_seconds * 1_000_000_000)
    with vault.writing:
        for folder, subfolders, names in os.walk(vault.root):
            subfolders[:] = [name for name in subfolders if name != ".git"]
            for name in filter(is_temporary, names):
                file = Path(folder, name)
                try:
                    if file.lstat().st_ctime_ns > limit_ns:
                        continue
                    if is_disposable(file):
                        file.unlink()
                    else:
                        inside = Path(folder).relative_to(vault.root)
                        kept.append(keep(vault.root, file, (inside / f"recovered{name}").as_posix()))
                except FileNotFoundError:
                    continue  # Its owner has just used it.
    return tuple(kept)


def _finish_checked(root: Path, step: Step) -> None:
    # The name could not have been taken by anything else, but deleting deserves a second look.
    if etag_at(root / step.other) == step.old:
        finish(root, step)


def _read(file: Path, root: Path) -> Plan:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        made_for = (record["format"], record["root"])
        steps = tuple(Step(**{**step, "op": Op(step["op"])}) for step in record["steps"])
        plan = Plan(steps, tuple(record["folders"]))
    except (ValueError, KeyError, TypeError) as error:
        raise _unusable(file, str(error)) from error
    if made_for != (_FORMAT, str(root)):
        raise _unusable(file, f"it is for {made_for[1]}, format {made_for[0]}")
    return plan


def _unusable(file: Path, reason: str) -> WriteFailed:
    return WriteFailed(
        f"The journal {printable(str(file))} of an interrupted change cannot be used: {reason}.",
        hint="Start with the vault that it belongs to, or move it away and check the vault by hand.",
    )
