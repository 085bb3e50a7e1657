r"""A task line of a note, in the format of the obsidian-tasks plugin (its emoji form and its Dataview form).

Parsing follows the plugin: fields are taken from the end of the line towards the beginning for as long as one is found
there, so that a signifier in the middle of a sentence stays text. Writing does not: the plugin writes the whole line
anew, reorders fields and drops what it cannot read. Here a line is its text plus the places of its fields, and a
change splices the text of one field; every other byte stays as it was.

Source of the format: https://publish.obsidian.md/tasks/Reference/Task+Formats/About+Task+Formats
"""

import functools
import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, Literal

from weave_nn.shared.errors import InvalidInput

MOST_PASSES = 21
# What JavaScript trims and matches as `\s`: unlike Python it counts the BOM, and not the ASCII separators.
_SPACES: Final = "".join(chr(0x2000 + width) for width in range(11))
_TRIMMED: Final = f"\t\n\v\f\r \u00a0\u1680{_SPACES}\u2028\u2029\u202f\u205f\u3000\ufeff"
_LINE: Final = re.compile(rf"(?P<indent>[{_TRIMMED}>]*)(?P<marker>[-*+]|[0-9]+[.)]) +\[(?P<symbol>.)\] *")
_BLOCK_LINK: Final = re.compile(r" \^(?P<id>[a-zA-Z0-9-]+)\Z")
_TAG_CHARACTERS: Final = r"""[^ !@#$%^&*(),.?":{}|<>]+"""
_TAG: Final = re.compile(rf"(?:^|[{_TRIMMED}])(?P<tag>#{_TAG_CHARACTERS})")
_TAG_AT_END: Final = re.compile(rf"(?:^|[{_TRIMMED}])(?P<value>#{_TAG_CHARACTERS})\Z")


class Field(StrEnum):
    """The fields of a task line, in the order in which the plugin writes them."""

    ID = "id"
    DEPENDS_ON = "depends_on"
    PRIORITY = "priority"
    RECURRENCE = "recurrence"
    ON_COMPLETION = "on_completion"
    CREATED = "created"
    START = "start"
    SCHEDULED = "scheduled"
    DUE = "due"
    CANCELLED = "cancelled"
    DONE = "done"


Form = Literal["emoji", "dataview"]
DATES: Final = (Field.CREATED, Field.START, Field.SCHEDULED, Field.DUE, Field.CANCELLED, Field.DONE)
PRIORITIES: Final = {"highest": "🔺", "high": "⏫", "medium": "🔼", "low": "🔽", "lowest": "⏬"}
_ORDER: Final = {field: place for place, field in enumerate(Field)}
_PRIORITY_OF: Final = {emoji: name for name, emoji in PRIORITIES.items()}

_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ID: Final = r"[a-zA-Z0-9-_]+"
_RULE: Final = r"[a-zA-Z0-9, !]+"
# field: what introduces it as emoji (the first is written), its Dataview key, and the pattern of its value.
_SHAPES: Final[dict[Field, tuple[str, str, str]]] = {
    Field.PRIORITY: ("", "priority", "highest|high|medium|low|lowest"),
    Field.DONE: ("✅", "completion", _DATE),
    Field.CANCELLED: ("❌", "cancelled", _DATE),
    Field.DUE: ("📅📆🗓", "due", _DATE),
    Field.SCHEDULED: ("⏳⌛", "scheduled", _DATE),
    Field.START: ("🛫", "start", _DATE),
    Field.CREATED: ("\u2795", "created", _DATE),
    Field.RECURRENCE: ("🔁", "repeat", _RULE),
    Field.ON_COMPLETION: ("🏁", "onCompletion", "[a-zA-Z]+"),
    Field.ID: ("🆔", "id", _ID),
    Field.DEPENDS_ON: ("⛔", "dependsOn", rf"{_ID}(?: *, *{_ID} *)*"),
}


_Way = tuple[Field, Form, tuple[str, ...], re.Pattern[str]]


def _ways(field: Field) -> list[_Way]:
    """How a field is written: the form, what must occur somewhere in the line for it, and the pattern at its end."""
    symbols, key, value = _SHAPES[field]
    if field is Field.PRIORITY:
        symbols = "".join(PRIORITIES.values())
        emoji = rf"(?P<value>[{symbols}])\ufe0f?\Z"
    else:
        emoji = rf"[{symbols}]\ufe0f? *(?P<value>{value})\Z"
    # A bracket opens a field only where the same kind closes later in the line, as in the plugin.
    dataview = rf"(?:(?=[^\]]+\])\[|(?=[^)]+\))\() *{key}:: *(?P<value>{value}) *[)\]](?: *,)?\Z"
    return [
        (field, "emoji", tuple(symbols), re.compile(emoji)),
        (field, "dataview", (f"{key}::",), re.compile(dataview)),
    ]


# In the order in which the plugin looks for them within one pass; a trailing tag comes before id and depends on.
_BEFORE_TAG: Final = [way for field in _SHAPES if field not in {Field.ID, Field.DEPENDS_ON} for way in _ways(field)]
_AFTER_TAG: Final = [way for field in (Field.ID, Field.DEPENDS_ON) for way in _ways(field)]
_MARK: Final = re.compile("|".join(re.escape(mark) for way in (*_BEFORE_TAG, *_AFTER_TAG) for mark in way[2]))


@dataclass(frozen=True, slots=True)
class Token:
    """One field in a line: its value, and where the whole of it and its value stand (offsets into the line)."""

    field: Field
    form: Form
    value: str
    start: int
    end: int
    value_start: int
    value_end: int


@dataclass(frozen=True, slots=True)
class TaskLine:
    """One task line, without its line ending.

    `indent` is what precedes the list marker (spaces, tabs, quote marks). `description` is the text without the
    fields, `tags` with their `#`. `tokens` stand from left to right; of a repeated field the leftmost counts.
    `unread_end` is where the trailing block link or the trailing spaces begin.
    """

    text: str
    indent: str
    symbol: str
    symbol_at: int
    description: str
    tags: tuple[str, ...]
    tokens: tuple[Token, ...]
    block_id: str | None
    body_start: int
    head_end: int
    trailing_tags: tuple[tuple[int, int], ...]
    unread_end: int

    @property
    def values(self) -> dict[Field, str]:
        """The values of all fields, as `value` gives them: quicker where many are asked for."""
        return {token.field: token.value for token in reversed(self.tokens)}

    def value(self, field: Field) -> str | None:
        """The field's value as written, a priority by its name; None when the line lacks it."""
        token = self._token(field)
        return None if token is None else token.value

    def date(self, field: Field) -> date | None:
        """The field's date; None when the line lacks it, and when there is no such day (see `is_invalid`)."""
        text = self.value(field)
        return None if text is None else day_of(text)

    def is_invalid(self, field: Field) -> bool:
        """Whether the line has this date field with a day that does not exist, such as 2026-02-30."""
        text = self.value(field)
        return text is not None and day_of(text) is None

    @property
    def depends_on(self) -> tuple[str, ...]:
        """The ids of the tasks that must be done first."""
        return tuple(part.strip() for part in (self.value(Field.DEPENDS_ON) or "").split(",") if part.strip())

    @property
    def form(self) -> Form | None:
        """The form of the line's first field; None when it has none."""
        return self.tokens[0].form if self.tokens else None

    def with_symbol(self, symbol: str) -> "TaskLine":
        """The line with another status symbol, one character."""
        if len(symbol) != 1 or symbol in "\r\n":
            raise InvalidInput(f"A status symbol is one character, not {symbol!r}.", field="status_symbol")
        return _reparsed(self._spliced((self.symbol_at, self.symbol_at + 1, symbol)))

    def with_field(self, field: Field, value: str | None, *, form: Form = "emoji") -> "TaskLine":
        """The line with `field` set to `value`, or without the field when that is None.

        A date is `YYYY-MM-DD`, a priority its name, depends on a comma list. What is inserted takes the form that the
        line's other fields have, else `form`. Raises `InvalidInput` when the format cannot hold the value.
        """
        if value is None:
            return self._without(field)
        token = self._token(field)
        if token is not None and token.value == value:
            return self
        if not re.fullmatch(_SHAPES[field][2], value) or value != value.strip():
            raise InvalidInput(f"A task line cannot hold {value!r} as {field}.", field=str(field))
        if token is not None:
            written = PRIORITIES[value] if field is Field.PRIORITY and token.form == "emoji" else value
            changed = _reparsed(self._spliced((token.value_start, token.value_end, written)))
        else:
            changed = _reparsed(self._inserted(self._place_for(field), _written(field, value, self.form or form)))
        if changed.value(field) != value:
            raise InvalidInput(
                f"The field {field} cannot be added to this line: {self.text!r} has too many fields after its text.",
                hint="Shorten the line in the note first.",
                field=str(field),
            )
        return changed

    def with_description(self, description: str) -> "TaskLine":
        """The line with other text; its fields stay, and so do trailing tags that the new text ends with as well.

        Raises `InvalidInput` when the text is empty, has several lines, or would be read as a field.
        """
        if description == self.description:
            return self
        if not description.strip() or "\n" in description or "\r" in description:
            raise InvalidInput("The title of a task is one line that is not empty.", field="title")
        tags = " ".join(self.text[start:end] for start, end in self.trailing_tags)
        if tags and (description == tags or description.endswith(" " + tags)):
            head, dropped = description[: len(description) - len(tags)].rstrip(), []
        else:
            head, dropped = description.strip(), [(*self._with_space_before(*span), "") for span in self.trailing_tags]
        if self.head_end > self.body_start:
            text = self._spliced((self.body_start, self.head_end, head), *dropped)
        else:
            text = self._spliced((self.body_start, self.body_start, self._set_off(self.body_start, head)), *dropped)
        changed = TaskLine.parse(text)
        kept = [(token.field, token.value) for token in self.tokens]
        if changed is None or [(token.field, token.value) for token in changed.tokens] != kept:
            raise InvalidInput(
                f"The title {description!r} would be read as other fields of the task.",
                hint="Give dates, priority, recurrence and ids in their own fields.",
                field="title",
            )
        return changed

    def without_block_link(self) -> "TaskLine":
        """The line without its ` ^block-id`."""
        if self.block_id is None:
            return self
        return _reparsed(self._spliced((self.unread_end, self.unread_end + len(f" ^{self.block_id}"), "")))

    @staticmethod
    def parse(text: str) -> "TaskLine | None":
        """Read one line, given without its line ending; None when it is not a list item with a checkbox."""
        match = _LINE.match(text)
        if match is None or "\n" in text:
            return None
        start = match.end()
        end = len(text.rstrip(_TRIMMED))
        body_start = min(start + len(text[start:]) - len(text[start:].lstrip(_TRIMMED)), max(end, start))
        end = max(end, body_start)
        block = _BLOCK_LINK.search(text, body_start, end)
        unread_end = end if block is None else block.start()
        trimmed = len(text[body_start:unread_end].rstrip(_TRIMMED)) + body_start
        tokens, tags, head_end = _read_fields(text, body_start, trimmed)
        description = " ".join(filter(None, [text[body_start:head_end], *(text[s:e] for s, e in tags)]))
        return TaskLine(
            text=text,
            indent=match["indent"],
            symbol=match["symbol"],
            symbol_at=match.start("symbol"),
            description=description,
            tags=tuple(_TAG.findall(description)) if "#" in description else (),
            tokens=tuple(tokens),
            block_id=None if block is None else block["id"],
            body_start=body_start,
            head_end=head_end,
            trailing_tags=tuple(tags),
            unread_end=unread_end,
        )

    def _token(self, field: Field) -> Token | None:
        return next((token for token in self.tokens if token.field is field), None)

    def _without(self, field: Field) -> "TaskLine":
        spans = [self._with_space_before(token.start, token.end) for token in self.tokens if token.field is field]
        return _reparsed(self._spliced(*((start, end, "") for start, end in spans))) if spans else self

    def _with_space_before(self, start: int, end: int) -> tuple[int, int]:
        """The span of a field with the blanks that set it off, so that taking it out leaves no double space."""
        before = len(self.text[self.body_start : start].rstrip(_TRIMMED)) + self.body_start
        if before > self.body_start:
            return before, end
        return start, end + len(self.text[end:]) - len(self.text[end:].lstrip(" "))

    def _place_for(self, field: Field) -> int:
        """Where a missing field goes: after those that the plugin writes before it, else before all others."""
        earlier = [token.end for token in self.tokens if _ORDER[token.field] < _ORDER[field]]
        if earlier:
            return max(earlier)
        if self.tokens:
            return self._with_space_before(self.tokens[0].start, self.tokens[0].start)[0]
        return len(self.text[self.body_start : self.unread_end].rstrip(_TRIMMED)) + self.body_start

    def _set_off(self, place: int, new: str) -> str:
        """`new` with the blanks that part it from its neighbours at the beginning of the body."""
        before = "" if self.text[:place].endswith(" ") else " "
        after = "" if place == len(self.text) or self.text[place] == " " else " "
        return before + new + after

    def _inserted(self, place: int, new: str) -> str:
        return self._spliced((place, place, self._set_off(place, new.strip()) if place == self.body_start else new))

    def _spliced(self, *edits: tuple[int, int, str]) -> str:
        text = self.text
        for start, end, new in sorted(edits, reverse=True):
            text = text[:start] + new + text[end:]
        return text


def _read_fields(text: str, start: int, end: int) -> tuple[list[Token], list[tuple[int, int]], int]:
    """The fields and trailing tags before `end`, each from left to right, and where the text before them ends."""
    body = text[start:end]
    marks = set(_MARK.findall(body))
    if not marks and "#" not in body:
        return [], [], end
    before_tag, after_tag = (
        [way for way in ways if not marks.isdisjoint(way[2])] for ways in (_BEFORE_TAG, _AFTER_TAG)
    )
    tokens: list[Token] = []
    tags: list[tuple[int, int]] = []

    def take(ways: list[_Way], end: int) -> int:
        for field, form, _, pattern in ways:
            match = pattern.search(text, start, end)
            if match is not None:
                tokens.append(_token_of(field, form, match))
                end = start + len(text[start : match.start()].rstrip(_TRIMMED))
        return end

    for _ in range(MOST_PASSES):
        begun_at = end
        end = take(before_tag, end)
        end = _take_tag(text, start, end, tags)
        end = take(after_tag, end)
        if end == begun_at:
            break
    return tokens[::-1], tags[::-1], end


def _take_tag(text: str, start: int, end: int, tags: list[tuple[int, int]]) -> int:
    match = _TAG_AT_END.search(text, start, end) if "#" in text[start:end] else None
    if match is None:
        return end
    tags.append(match.span("value"))
    return start + len(text[start : match.start("value")].rstrip(_TRIMMED))


def _token_of(field: Field, form: Form, match: re.Match[str]) -> Token:
    value = match["value"].strip()
    if field is Field.PRIORITY and form == "emoji":
        value = _PRIORITY_OF[value]
    value_start = match.start("value") + len(match["value"]) - len(match["value"].lstrip())
    written = len(match["value"].strip())
    return Token(field, form, value, match.start(), match.end(), value_start, value_start + written)


def _written(field: Field, value: str, form: Form) -> str:
    symbols, key, _ = _SHAPES[field]
    if form == "dataview":
        return f"  [{key}:: {value}]"
    return f" {PRIORITIES[value]}" if field is Field.PRIORITY else f" {symbols[0]} {value}"


def _reparsed(text: str) -> TaskLine:
    line = TaskLine.parse(text)
    if line is None:
        raise AssertionError(f"splicing made {text!r}, which is no task line")
    return line


@functools.lru_cache(maxsize=4096)
def day_of(text: str) -> date | None:
    """The day that a date field names; None when there is no such day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
