"""Write JSON values as YAML lines in the style that Obsidian writes: block lists, double quotes only where needed."""

import json
import re
from collections.abc import Iterator

from weave_nn.vault.frontmatter.reading import JsonValue

_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?")
_LOOKS_LIKE_ANOTHER_TYPE = re.compile(
    # YAML 1.1 words and numbers are quoted too: other programs that read the vault may still speak it.
    r"(?:y|n|yes|no|on|off|true|false|null|[-+]?[.\d][\d_a-fx.:+-]*|[-+]?\.(?:inf|nan))",
    re.IGNORECASE,
)
_PLAIN_START = re.compile(r"[^\s\-?:,\[\]{}#&*!|>'\"%@`=~<]")
_NOT_PLAIN = re.compile(r":(?:\s|$)|\s#|^\s|\s$")
_NOT_PLAIN_IN_FLOW = re.compile(r"[,\[\]{}]|:")


def scalar(value: JsonValue, *, flow: bool = False) -> str:
    """One scalar on one line; inside `[…]` when `flow`."""
    match value:
        case str():
            return value if _is_plain(value, flow=flow) else _double_quoted(value)
        case None | bool() | int() | float():
            return json.dumps(value)
    raise TypeError(f"Not a scalar: {type(value).__name__}")


def flow_list(items: list[JsonValue]) -> str | None:
    """The list on one line, or None when it has items that deserve lines of their own."""
    if any(isinstance(item, list | dict) for item in items):
        return None
    return "[" + ", ".join(scalar(item, flow=True) for item in items) + "]"


def value_lines(value: JsonValue, *, list_offset: int = 2) -> tuple[str, list[str]]:
    """What follows `key:`: the rest of its line, and the lines below it, indented relative to the key.

    `list_offset` is how far the dashes of a list directly below the key are indented, 0 or 2.
    """
    rest, below = "", list[str]()
    match value:
        case None:
            pass
        case dict() if value:
            below = ["  " + line for line in _mapping_lines(value)]
        case list() if value:
            below = [" " * list_offset + line for item in value for line in item_lines(item)]
        case str() if _is_literal(value):
            rest = "|" if value.endswith("\n") else "|-"
            below = ["  " + line if line else "" for line in value.removesuffix("\n").split("\n")]
        case _:
            rest = _on_one_line(value)
    return rest, below


def item_lines(item: JsonValue) -> Iterator[str]:
    """One list item, its first line beginning with `- `."""
    match item:
        case dict() if item:
            lines = list(_mapping_lines(item))
        case list() if item:
            lines = [line for child in item for line in item_lines(child)]
        case _:
            lines = [_on_one_line(item)]
    for number, line in enumerate(lines):
        yield ("- " if number == 0 else "  ") + line if line else ""


def _on_one_line(value: JsonValue) -> str:
    match value:
        case list():
            return "[]"
        case dict():
            return "{}"
    return scalar(value)


def _mapping_lines(mapping: dict[str, JsonValue]) -> Iterator[str]:
    for key, value in mapping.items():
        rest, below = value_lines(value)
        yield f"{scalar(key)}: {rest}".rstrip(" ")
        yield from below


def _is_plain(text: str, *, flow: bool) -> bool:
    if not _PLAIN_START.match(text) or not text.isprintable() or _NOT_PLAIN.search(text):
        return False
    if flow and _NOT_PLAIN_IN_FLOW.search(text):
        return False
    return bool(_DATE.fullmatch(text)) or not _LOOKS_LIKE_ANOTHER_TYPE.fullmatch(text)


def _is_literal(text: str) -> bool:
    if "\n" not in text or text.endswith("\n\n") or text[0] in " \n":
        return False
    return all((line.isprintable() and line.strip()) or not line for line in text.split("\n"))


def _double_quoted(text: str) -> str:
    # JSON's quoting is YAML's, but JSON lets stand raw some characters that YAML takes for line ends.
    return "".join(
        char if char.isprintable() else rf"\U{ord(char):08x}" for char in json.dumps(text, ensure_ascii=False)
    )
