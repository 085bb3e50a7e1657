"""Replace text by text, literally."""

from weave_nn.shared.errors import Conflict, InvalidInput, NotFound
from weave_nn.vault.text import TextStyle

_SHOWN = 10


class TextNotFound(NotFound):
    """The text to be replaced does not stand in the note."""

    code = "text_not_found"
    title = "Text not found"


class TextAmbiguous(Conflict):
    """The text stands in the note another number of times than expected; `fields["lines"]` are the first places."""

    code = "text_ambiguous"
    title = "Text ambiguous"


def replace_text(content: bytes, old: str, new: str, *, expected_occurrences: int | None = 1) -> bytes:
    """Put `new` in the place of every `old`; nothing in either has a special meaning.

    `expected_occurrences` is how often `old` must stand in the note; None takes any number but zero. Line ends are
    compared and written as the note has them. Raises `TextNotFound` and `TextAmbiguous`, and then nothing is changed.
    """
    if not old:
        raise InvalidInput(
            "The text to be replaced is empty.", hint="Give the text that stands there now.", field="old"
        )
    style = TextStyle.of(content)
    wanted = style.fragment(old)
    if wanted not in content:
        # In a file of mixed line ends those of this passage may be the rarer ones.
        wanted = old.encode()
    count = content.count(wanted)
    if not count:
        raise TextNotFound(
            "The text to be replaced does not stand in the note.",
            hint="Read the note again, and copy the text exactly, with its white space.",
            field="old",
        )
    if expected_occurrences is not None and count != expected_occurrences:
        lines = _lines(content, wanted)
        raise TextAmbiguous(
            f"The text stands in the note {count} times, not {expected_occurrences}: in line"
            f" {', '.join(map(str, lines))}{', …' if count > len(lines) else ''}.",
            hint="Give more of the text around the place, or say that all are meant.",
            occurrences=count,
            lines=lines,
        )
    return content.replace(wanted, style.fragment(new))


def _lines(content: bytes, wanted: bytes) -> list[int]:
    found: list[int] = []
    position = content.find(wanted)
    while position >= 0 and len(found) < _SHOWN:
        found.append(content.count(b"\n", 0, position) + 1)
        position = content.find(wanted, position + len(wanted))
    return found
