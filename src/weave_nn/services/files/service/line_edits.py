"""Making the line edits that other services ask for: the named lines change, every other byte stays.

An edit must have its effect once, however often its request is delivered. Between replacing the file and committing
the transaction a crash can fall, and an inserted line does not say by itself that it was inserted already. So what an
edit starts from and leads to is written to a small file, keyed by the edit's id, before the note is touched.
"""

import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from weave_nn.services.files.events import LineEdit
from weave_nn.shared.errors import Conflict, InvalidInput
from weave_nn.vault.parse import parse
from weave_nn.vault.text import TextStyle, is_valid_utf8, lines_of

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_CONTINUES = re.compile(rb"\s*([-*+] |\d+[.)] |\||>)")
_KEPT_SECONDS = 7 * 24 * 3600


class LineNotFound(Conflict):
    """The line that an edit wants to change does not stand in the note."""

    code = "line_not_found"
    title = "Line not found"


def edit_lines(content: bytes, edits: Sequence[LineEdit]) -> bytes:
    """Make all edits, in order. Raises `LineNotFound` if a line is not there; nothing is made then."""
    lines = [line for line in _LINE.findall(content) if line]
    ending = TextStyle.of(content).newline.encode()
    for edit in edits:
        if edit.operation == "insert":
            _insert(lines, edit, ending)
        else:
            _replace(lines, edit, ending)
    return b"".join(lines)


def append_text(present: bytes, added: bytes) -> bytes:
    """Add text at the end of a note on a line of its own, with the note's line endings."""
    style = TextStyle.of(present)
    separator = b"" if not present or present.endswith((b"\n", b"\r")) else style.newline.encode()
    if is_valid_utf8(added):
        added = style.fragment(added.decode())
    return present + separator + added


def append_to_section(present: bytes, heading: str, added: str) -> bytes:
    """Add text at the end of a section, which is made when it is missing; a list or table there simply goes on."""
    if not heading.strip() or len(_lines(heading)) > 1:
        raise InvalidInput(f"{heading!r} is no heading.", hint="Give its text, one line.", field="heading")
    lines = _LINE.findall(present)[:-1]
    end = _section_end(lines, heading)
    before = _CONTINUES.match(lines[end - 1]) if end else None
    first = _CONTINUES.match(added.lstrip("\n").encode())
    goes_on = before is not None and first is not None and before[1][:1].isdigit() == first[1][:1].isdigit()
    text = added if goes_on or end is None else "\n" + added
    return edit_lines(present, [LineEdit("insert", new=text, heading=heading)])


def _replace(lines: list[bytes], edit: LineEdit, ending: bytes) -> None:
    wanted = edit.old.encode()
    places = [number for number, line in enumerate(lines) if line.rstrip(b"\r\n") == wanted]
    if not places:
        raise LineNotFound(f"No line of the note reads {edit.old!r}.", hint="Read the note again.")
    place = min(places, key=lambda number: abs(number + 1 - edit.line))
    if edit.operation == "delete":
        del lines[place]
        return
    own_ending = lines[place][len(wanted) :]
    new = [line.encode() for line in _lines(edit.new)] or [b""]
    lines[place : place + 1] = [*(line + (own_ending or ending) for line in new[:-1]), new[-1] + own_ending]


def _insert(lines: list[bytes], edit: LineEdit, ending: bytes) -> None:
    new = [line.encode() + ending for line in _lines(edit.new)]
    place = len(lines)
    if edit.heading:
        found = _section_end(lines, edit.heading)
        if found is None:
            blank = [ending] if lines and lines[-1].strip() else []
            new = [*blank, b"## " + edit.heading.encode() + ending, ending, *new]
        else:
            place = found
    if place and not lines[place - 1].endswith((b"\n", b"\r")):
        lines[place - 1] += ending
    lines[place:place] = new


def _lines(text: str) -> list[str]:
    """The lines of a text without their ends."""
    return [line.rstrip("\r\n") for line in lines_of(text)]


def _section_end(lines: Sequence[bytes], heading: str) -> int | None:
    """Where a line at the end of a section goes: after its last line that is not blank. None without such a heading."""
    headings = parse(b"".join(lines)).headings
    opening = next((each for each in headings if each.text.strip() == heading.strip()), None)
    if opening is None:
        return None
    closing = next((each for each in headings if each.line > opening.line and each.level <= opening.level), None)
    end = closing.line - 1 if closing else len(lines)
    while end > opening.line and not lines[end - 1].strip():
        end -= 1
    return end


@dataclass(frozen=True, slots=True)
class EditLedger:
    """Which edit leads from which version of its note to which, kept in `folder` for a week."""

    folder: Path

    def is_done(self, edit_id: str, edits: Sequence[LineEdit], content: bytes) -> bool:
        """Whether the note, which now reads `content`, has this edit in it already."""
        try:
            record = json.loads(self._file(edit_id).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return False  # Never begun; a record that a crash cut short says the same, for the note comes after it.
        etag = sha256(content).hexdigest()
        if etag in {record["before"], record["after"]}:
            return bool(etag == record["after"])
        # Somebody has worked on the note since the crash: what they left of the edit tells.
        present = {line.rstrip(b"\r\n") for line in _LINE.findall(content)}
        return all(line.encode() in present for edit in edits for line in _lines(edit.new))

    def begin(self, edit_id: str, before: bytes, after: bytes) -> None:
        """Remember durably, before the note is touched, what the edit will do."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._file(edit_id).open("w", encoding="utf-8") as file:
            json.dump({"before": sha256(before).hexdigest(), "after": sha256(after).hexdigest()}, file)
            file.flush()
            os.fsync(file.fileno())

    def forget(self, edit_id: str) -> None:
        """Take back what `begin` said: the note was not touched."""
        self._file(edit_id).unlink(missing_ok=True)

    def _file(self, edit_id: str) -> Path:
        return self.folder / f"{sha256(edit_id.encode()).hexdigest()}.json"

    def prune(self) -> None:
        """Remove records older than a week; an event is not delivered again after that."""
        if not self.folder.is_dir():
            return
        limit = time.time() - _KEPT_SECONDS
        with os.scandir(self.folder) as entries:
            stale = [entry.path for entry in entries if entry.stat().st_mtime < limit]
        for path in stale:
            Path(path).unlink(missing_ok=True)
