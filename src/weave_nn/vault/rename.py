"""Plan the move of files so that every link still leads where it led. Nothing is written here.

Links are resolved before and after the move, and only those that would lead elsewhere are rewritten: to the files that
moved, in the notes that moved, and to files whose name another one takes. Of a note nothing but the targets of these
links changes. Every note that is changed is read again as it will be; if a link in it would then lead anywhere else
than it should, the note is left as it is and its links are reported in `RenamePlan.unwritable`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from weave_nn.shared.errors import Conflict, InvalidInput
from weave_nn.vault.errors import AlreadyExists, NoteNotFound, printable
from weave_nn.vault.links import LinkResolver
from weave_nn.vault.mentions import Mentions
from weave_nn.vault.parse import Link, Note, parse
from weave_nn.vault.paths import is_note
from weave_nn.vault.retarget import new_target, written_target
from weave_nn.vault.store import etag_of


@dataclass(frozen=True, slots=True)
class NoteEdit:
    """A note that needs new content.

    It stands at `path` before the move and at `destination` after it (the same when it does not move). `seen_etag` is
    of the content that the plan was made from: write only over that version. `links` is how many were rewritten.
    """

    path: str
    destination: str
    seen_etag: str
    content: bytes
    links: int


@dataclass(frozen=True, slots=True)
class UnwritableLink:
    """A link that will be broken by the move, because its syntax cannot say the new path; for the user to mend."""

    path: str
    line: int
    target: str
    new_target: str


@dataclass(frozen=True, slots=True)
class RenamePlan:
    """What to do: move the files, and give the notes their new content, all or nothing."""

    moves: tuple[tuple[str, str], ...]
    edits: tuple[NoteEdit, ...]
    unwritable: tuple[UnwritableLink, ...]

    @property
    def links(self) -> int:
        """How many links are rewritten."""
        return sum(edit.links for edit in self.edits)


@dataclass(frozen=True, slots=True)
class _Retargeting:
    """One link that must be rewritten; `written` is None when its syntax cannot say the new target."""

    link: Link
    target: str
    written: bytes | None


def folder_moves(paths: Iterable[str], folder: str, destination: str) -> dict[str, str]:
    """The moves of all files of a folder, for `plan_rename`. Raises `InvalidInput` for a folder moved into itself."""
    if f"{destination}/".startswith(f"{folder}/") and destination != folder:
        raise InvalidInput(
            f"{printable(folder)} cannot be moved into itself, to {printable(destination)}.",
            hint="Choose a destination outside of the folder.",
            field="destination",
        )
    start = f"{folder}/"
    return {path: f"{destination}/{path[len(start) :]}" for path in paths if path.startswith(start)}


def plan_rename(paths: Iterable[str], moves: Mapping[str, str], read: Callable[[str], bytes]) -> RenamePlan:
    """Plan to move files of a vault, from old to new paths.

    `paths` are all files of the vault, canonical as `paths.normalize` makes them; `read` gives the content of a note
    and may raise. Notes that cannot hold a link that changes are read, but not parsed.
    Raises `NoteNotFound` for a file that is not there, `AlreadyExists` for a destination that is taken, `Conflict` when
    two files have the same one.
    """
    known = sorted(set(paths))
    moves = {old: new for old, new in moves.items() if old != new}
    _check(set(known), moves)
    planner = _Planner(moves, LinkResolver(known), LinkResolver(moves.get(path, path) for path in known))
    mentions = Mentions([*moves, *moves.values()])
    for path in known if moves else ():
        if is_note(path):
            content = read(path)
            if path in moves or mentions.possible_in(content):
                planner.look_at(path, content)
    return RenamePlan(tuple(moves.items()), tuple(planner.edits), tuple(planner.unwritable))


def _check(known: set[str], moves: Mapping[str, str]) -> None:
    for old in moves:
        if old not in known:
            raise NoteNotFound(old)
    taken: set[str] = set()
    for new in moves.values():
        if new in known and new not in moves:
            raise AlreadyExists(new)
        if new in taken:
            raise Conflict(
                f"Two files would be moved to {printable(new)}.", hint="Give each its own destination.", path=new
            )
        taken.add(new)


class _Planner:
    """Collects the edits, note by note."""

    def __init__(self, moves: Mapping[str, str], before: LinkResolver, after: LinkResolver) -> None:
        self.edits: list[NoteEdit] = []
        self.unwritable: list[UnwritableLink] = []
        self._moves = moves
        self._before = before
        self._after = after

    def look_at(self, path: str, content: bytes) -> None:
        note = parse(content)
        destination = self._moves.get(path, path)
        wanted = [self._wanted(link, path) for link in note.links]
        changes = [
            self._retargeting(link, file, path, content)
            for link, file in zip(note.links, wanted, strict=True)
            if file is not None and self._after.resolve(link.target, destination) != file
        ]
        writable = [change for change in changes if change.written is not None]
        failed = [change for change in changes if change.written is None]
        if writable:
            new = _spliced(content, writable)
            left_alone = {change.link.start for change in failed}
            if self._leads_as_wanted(parse(new), note, wanted, left_alone, destination):
                self.edits.append(NoteEdit(path, destination, etag_of(content), new, len(writable)))
            else:
                failed = changes
        self.unwritable += (
            UnwritableLink(path, change.link.line, change.link.target, change.target) for change in failed
        )

    def _wanted(self, link: Link, path: str) -> str | None:
        """Where the link must lead after the move; None for one that leads nowhere now, or into its own note."""
        old = self._before.resolve(link.target, path) if link.target else None
        return None if old is None else self._moves.get(old, old)

    def _retargeting(self, link: Link, new: str, path: str, content: bytes) -> _Retargeting:
        old = self._before.resolve(link.target, path) or new
        source = self._moves.get(path, path)
        target = new_target(link, self._after, old=old, new=new, old_source=path, source=source)
        return _Retargeting(link, target, written_target(link, target, content))

    def _leads_as_wanted(
        self, new: Note, old: Note, wanted: list[str | None], left_alone: set[int], source: str
    ) -> bool:
        """Whether the note, as it will be, has the same links, each to the file that it must lead to."""
        return len(new.links) == len(old.links) and all(
            (link.kind, link.subpath, link.alias) == (was.kind, was.subpath, was.alias)
            and (file is None or was.start in left_alone or self._after.resolve(link.target, source) == file)
            for link, was, file in zip(new.links, old.links, wanted, strict=True)
        )


def _spliced(content: bytes, changes: Iterable[_Retargeting]) -> bytes:
    pieces: list[bytes] = []
    position = 0
    for change in sorted(changes, key=lambda change: change.link.target_start):
        pieces += (content[position : change.link.target_start], change.written or b"")
        position = change.link.target_end
    return b"".join([*pieces, content[position:]])
