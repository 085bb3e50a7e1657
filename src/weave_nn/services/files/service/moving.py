"""Moving files and folders together with every link to them."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from weave_nn.services.files.contract import Moved
from weave_nn.shared.errors import InvalidInput
from weave_nn.vault.changes import Applied, Change, Move, Trash, Write
from weave_nn.vault.errors import AlreadyExists, NoteNotFound, StaleVersion, printable
from weave_nn.vault.paths import join, name_of, normalize
from weave_nn.vault.rename import RenamePlan, folder_moves, plan_rename
from weave_nn.vault.scan import scan
from weave_nn.vault.store import Vault


@dataclass(frozen=True, slots=True)
class MovePlan:
    """What a move changes, in order. `from_folder` is the folder that it leaves empty, if it moves one."""

    changes: tuple[Change, ...]
    destination: str
    renames: RenamePlan
    from_folder: str | None

    def result(self, applied: Sequence[Applied]) -> Moved:
        """What to answer when the changes were made."""
        etags = {change.path: change.etag or "" for change in applied}
        return Moved(
            path=self.destination,
            etag=etags.get(self.destination, ""),
            moved=self.renames.moves,
            rewritten=tuple(edit.destination for edit in self.renames.edits),
            links=self.renames.links,
            unwritable=self.renames.unwritable,
        )


def move_changes(vault: Vault, path: str, destination: str, *, if_match: str | None, overwrite: bool) -> MovePlan:
    """Plan the move of a file, or of a folder with all in it. A destination that ends in `/` keeps the name.

    Every link that led somewhere before leads to the same file afterwards. Raises `AlreadyExists` when something
    stands at the destination (unless `overwrite`, for a file), `StaleVersion`, `NoteNotFound`.
    """
    source = normalize(path)
    target = join(normalize(destination.rstrip("/")), name_of(source)) if destination.endswith("/") else destination
    target = normalize(target)
    folder = vault.locate(source).is_dir()
    if source == target:
        raise InvalidInput(f"{printable(source)} is there already.", hint="Give another destination.")
    paths = list(vault.scan().files)
    if folder:
        if if_match is not None:
            raise InvalidInput(f"{printable(source)} is a folder, which has no version.", hint="Leave If-Match out.")
        moves = folder_moves(paths, source, target)
    else:
        moves = {source: target}
        _check_version(vault, source, if_match)
    replaced = _replaced(vault, source, target, folder=folder, overwrite=overwrite)
    changes: list[Change] = []
    if replaced is not None:
        changes.append(Trash(replaced, None))
        paths.remove(replaced)
    renames = plan_rename(paths, moves, lambda path: vault.read(path).content)
    changes += [Move(old, new, None) for old, new in renames.moves]
    changes += [Write(edit.destination, edit.content, edit.seen_etag) for edit in renames.edits]
    return MovePlan(tuple(changes), target, renames, source if folder else None)


def folder_files(vault: Vault, folder: str) -> list[str]:
    """The paths of all files in a folder and below, as they are on the disk now."""
    return sorted(path for path in scan(vault.root, folder).files)


def prune_folders(vault: Vault, folder: str) -> None:
    """Remove a folder and those in it as far as they are empty; one with anything in it stays."""
    try:
        real = vault.locate(folder, hidden=True)
    except NoteNotFound:
        return
    for inner in sorted((entry for entry in real.rglob("*") if entry.is_dir()), reverse=True):
        with contextlib.suppress(OSError):  # It is not empty: what is in it stays where it is.
            inner.rmdir()
    with contextlib.suppress(OSError):  # The same.
        real.rmdir()


def _check_version(vault: Vault, path: str, if_match: str | None) -> None:
    if if_match is None:
        return
    with vault.open(path) as file:
        if file.etag != if_match:
            raise StaleVersion(path, file.etag)


def _replaced(vault: Vault, source: str, target: str, *, folder: bool, overwrite: bool) -> str | None:
    """The file that the move replaces, if there is one and it may."""
    place = vault.place(target)
    if not place.exists or (place.named.exists() and place.named.samefile(vault.locate(source))):
        return None
    if folder or not overwrite:
        raise AlreadyExists(target)
    return place.path
