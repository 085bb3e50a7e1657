"""The single renames that a change is made of, each with its way back.

A step never trusts what was seen before it: it moves first and then looks at what it moved, which is out of everybody's
reach by then; if that is not the expected version it is moved back. Undoing decides by content alone, so the same code
serves an error half-way and the start after a crash, and what somebody changed since is left as they made it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from weave_nn.vault import atomic
from weave_nn.vault.atomic import etag_at
from weave_nn.vault.errors import AlreadyExists, NotAFile, StaleVersion, printable
from weave_nn.vault.staging import temporary
from weave_nn.vault.trash import TRASH, candidates


class Op(StrEnum):
    """What a step does with its target."""

    REPLACE = "replace"
    CREATE = "create"
    MOVE = "move"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Step:
    """One rename. Paths are relative to the root as they are spelled on the disk.

    `other` is the temporary file (replace, create: the new content; remove: where the old goes), or a move's source.
    `old` is the ETag that must be found (None: any), `new` that of the staged content. `path` is for messages.
    """

    op: Op
    target: str
    other: str
    old: str | None
    new: str | None
    path: str


def run(root: Path, step: Step) -> None:
    """Do the step. Raises `StaleVersion`, `AlreadyExists`, `NotAFile` or `OSError`, and then it is not done."""
    target, other = root / step.target, root / step.other
    match step.op:
        case Op.REPLACE:
            _replace(root, step, target, other)
        case Op.CREATE:
            try:
                atomic.rename_new(other, target)
            except FileExistsError as error:
                raise AlreadyExists(step.path) from error
        case Op.MOVE:
            _take(root, step, other, target)
        case Op.REMOVE:
            _take(root, step, target, other)


def undo(root: Path, step: Step) -> Iterator[str]:
    """Take the step back if it was done; gives a sentence for each thing that somebody changed since and that stays."""
    target, other = root / step.target, root / step.other
    match step.op:
        case Op.REPLACE:
            yield from _undo_replace(root, step, target, other)
        case Op.CREATE:
            # A staged file that is still there was not used; the hard link of the portable way counts as used.
            if etag_at(other) == step.new and not atomic.same_file(other, target):
                other.unlink()
            elif etag_at(target) == step.new:
                yield from _withdraw(root, step, target)
                other.unlink(missing_ok=True)
            elif os.path.lexists(target):
                yield f"{printable(step.path)} was changed since, and stays."
        case Op.MOVE:
            yield from _put_back(root, step, target, other, etag_at(target) == step.old)
        case Op.REMOVE:
            yield from _put_back(root, step, other, target, os.path.lexists(other))


def finish(root: Path, step: Step) -> None:
    """Remove what a done step leaves behind: the version that it replaced or removed."""
    if step.op in {Op.REPLACE, Op.REMOVE}:
        (root / step.other).unlink(missing_ok=True)


def keep(root: Path, file: Path, path: str) -> str:
    """Move a file that must not be lost into the trash, under the name of `path`; gives its vault path there."""
    for name in candidates(path.removeprefix(f"{TRASH}/")):
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            atomic.rename_new(file, place)
        except FileExistsError:
            continue
        atomic.sync_folder(place.parent)
        return name
    raise AssertionError("there is always another name")


def _replace(root: Path, step: Step, target: Path, other: Path) -> None:
    try:
        atomic.carry_metadata(target, other)
        atomic.exchange(other, target)
    except FileNotFoundError as error:
        raise StaleVersion(step.path, None) from error
    found = etag_at(other)
    if found and step.old in {None, found}:
        return
    atomic.exchange(other, target)
    if etag_at(other) != step.new:
        # Somebody saved once more in between, over our content: theirs is what `other` holds now.
        keep(root, other, step.path)
    if not found:
        raise NotAFile(step.path)
    raise StaleVersion(step.path, found)


def _take(root: Path, step: Step, source: Path, target: Path) -> None:
    try:
        atomic.rename_new(source, target)
    except FileExistsError as error:
        raise AlreadyExists(step.path) from error
    except FileNotFoundError as error:
        if source.exists():
            raise
        raise StaleVersion(step.path, None) from error
    found = etag_at(target)
    if found and step.old in {None, found}:
        return
    try:
        atomic.rename_new(target, source)
    except FileExistsError:
        keep(root, target, step.path)
    if not found:
        raise NotAFile(step.path)
    raise StaleVersion(step.path, found)


def _undo_replace(root: Path, step: Step, target: Path, other: Path) -> Iterator[str]:
    atomic.mend_exchange(other)
    spare = etag_at(other)
    if spare is None:
        return
    if spare != step.new and etag_at(target) == step.new:
        atomic.exchange(other, target)
        spare = etag_at(other)
        if spare != step.new:
            atomic.exchange(other, target)  # Changed in this very moment: theirs goes back.
            spare = etag_at(other)
    if spare == step.new:
        other.unlink()
    else:
        kept = keep(root, other, step.path)
        yield f"{printable(step.path)} was changed since, and stays; its version from before is {printable(kept)}."


def _withdraw(root: Path, step: Step, target: Path) -> Iterator[str]:
    spare = temporary(target.parent)
    atomic.rename_new(target, spare)
    if etag_at(spare) == step.new:
        spare.unlink()
        return
    try:
        atomic.rename_new(spare, target)
        yield f"{printable(step.path)} was changed in this moment, and stays."
    except FileExistsError:
        kept = keep(root, spare, step.path)
        yield f"{printable(step.path)} was changed in this moment, and is kept as {printable(kept)}."


def _put_back(root: Path, step: Step, now: Path, before: Path, done: bool) -> Iterator[str]:  # noqa: FBT001 - private
    if not done:
        if step.op is Op.MOVE and os.path.lexists(now) and not os.path.lexists(before):
            yield f"{printable(step.path)} was changed since it was moved, and stays where it is."
        return
    try:
        atomic.rename_new(now, before)
    except FileExistsError:
        if atomic.same_file(now, before):
            now.unlink()  # The portable rename was interrupted between its link and its unlink.
        elif step.op is Op.REMOVE:
            kept = keep(root, now, step.path)
            yield f"{printable(step.path)} was made anew since, and stays; the one from before is {printable(kept)}."
        else:
            yield f"{printable(step.path)} was made anew since; both files stay."
