"""Reading notes for their tasks."""

import functools
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from weave_nn.services.tasks.repository import Marks, NoteVersion
from weave_nn.services.tasks.service.identity import Trait
from weave_nn.services.tasks.service.rows import Place
from weave_nn.services.tasks.service.rules import TaskRules
from weave_nn.shared.errors import NotFound, TooLarge
from weave_nn.vault.errors import NotAFile
from weave_nn.vault.parse import outline
from weave_nn.vault.paths import is_note
from weave_nn.vault.store import FileStat, Vault
from weave_nn.vault.task_line import Field, TaskLine
from weave_nn.vault.text import decode_lossless

MOST_NOTE_BYTES = 32 * 1024 * 1024
# Most notes have no checkbox, and looking for one is far quicker than parsing.
_MAY_HAVE_TASKS: Final = re.compile(rb"(?:[-*+]|[0-9][.)])[ ]+\[[^\r\n]{1,4}\]")

# A note is read again whenever one of its lines changes, and all the others are the same.
_parsed = functools.lru_cache(maxsize=4096)(TaskLine.parse)


@dataclass(frozen=True, slots=True)
class SeenTask:
    """A task line in a note."""

    line: TaskLine
    place: Place

    @property
    def trait(self) -> Trait:
        """What it is recognised by."""
        return trait_of(self.line, self.line.text)


@dataclass(frozen=True, slots=True)
class ScannedNote:
    """One version of a note, and the tasks in it from top to bottom."""

    path: str
    version: NoteVersion
    tasks: tuple[SeenTask, ...]

    @property
    def etag(self) -> str:
        """Its version alone."""
        return self.version.etag


@dataclass(frozen=True, slots=True)
class Survey:
    """How the vault's notes differ from what was read of them.

    `moved` are old paths by new ones; `same` have other marks than those that are known, and nothing else.
    """

    changed: tuple[ScannedNote, ...]
    gone: tuple[str, ...]
    moved: dict[str, str]
    first_seen: frozenset[str]
    same: dict[str, NoteVersion]


def trait_of(line: TaskLine, text: str | None, *, exact: bool = False, former: str | None = None) -> Trait:
    """What a line is recognised by; its status and what a status brings with it are left out of the core."""
    dates = (line.date(Field.DUE), line.date(Field.SCHEDULED), line.date(Field.START), line.value(Field.RECURRENCE))
    core = (line.description, *dates)
    return Trait(text, line.description, core, line.value(Field.ID), line.block_id, exact, former)


def scan_note(vault: Vault, path: str, rules: TaskRules) -> ScannedNote | None:
    """Read a note; None when it is not there, is no note, or is too large to be one."""
    if not is_note(path):
        return None
    try:
        file = vault.read(path, limit_bytes=MOST_NOTE_BYTES)
    except (NotFound, NotAFile, TooLarge):
        return None
    version = NoteVersion(file.etag, _marks(file.stat.settled()))
    return ScannedNote(path, version, tuple(_tasks(path, file.content, rules)))


def scan_again(vault: Vault, path: str, note: ScannedNote | None, rules: TaskRules) -> ScannedNote | None:
    """`note`, which was read from `path` before, or what stands there if that has changed since."""
    version = _version(vault, path) if note is not None else None
    if note is not None and version is not None and version.etag == note.etag:
        return note
    return scan_note(vault, path, rules)


def survey(vault: Vault, known: Mapping[str, NoteVersion], rules: TaskRules) -> Survey:
    """Read the notes whose version is another than the `known` one; raises `ScanFailed` rather than miss some."""
    present = {path: stat for path, stat in vault.scan().files.items() if is_note(path)}
    gone = set(known) - set(present)
    changed: list[ScannedNote] = []
    same: dict[str, NoteVersion] = {}
    for path, stat in present.items():
        before = known.get(path)
        if before is not None and before.marks == _marks(stat):
            continue
        if before and before.etag and (version := _version(vault, path)) and version.etag == before.etag:
            same[path] = version
        elif (note := scan_note(vault, path, rules)) is not None:
            changed.append(note)
    by_etag: dict[str, str] = {known[path].etag: path for path in sorted(gone)}
    moved = {}
    for note in changed:
        origin = by_etag.pop(note.etag, None) if note.path not in known else None
        if origin is not None:
            moved[note.path] = origin
    first_seen = frozenset(note.path for note in changed if note.path not in known and note.path not in moved)
    return Survey(tuple(changed), tuple(sorted(gone - set(moved.values()))), moved, first_seen, same)


def _version(vault: Vault, path: str) -> NoteVersion | None:
    try:
        with vault.open(path) as file:
            return NoteVersion(file.etag, _marks(file.stat.settled()))
    except (NotFound, NotAFile):
        return None


def _marks(stat: FileStat) -> Marks:
    return stat.size, stat.mtime_ns, stat.changed_ns


def _tasks(path: str, content: bytes, rules: TaskRules) -> Iterable[SeenTask]:
    if _MAY_HAVE_TASKS.search(content) is None:
        return
    note = outline(content)
    project_id = rules.project_of(path, note.frontmatter.values.get("project"))
    heading_lines = [heading.line for heading in note.headings]
    for checkbox in note.checkboxes:
        line = _parsed(decode_lossless(content[checkbox.start : checkbox.end]))
        if line is None or rules.global_filter not in line.description:
            continue
        above = bisect_right(heading_lines, checkbox.line) - 1
        heading = note.headings[above].text if above >= 0 else None
        yield SeenTask(line, Place(path, project_id, checkbox.line, heading))
