"""Rows of a table, given as lists of cells."""

import re
from typing import Any

from weave_nn.vault.patch.instruction import Operation, PatchInvalid
from weave_nn.vault.text import TextStyle

_DELIMITER_ROW = re.compile(rb"[ \t>]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_SEPARATOR = re.compile(rb"(?<!\\)\|")
_BEFORE_ROW = re.compile(rb"[ \t>]*")


def with_rows(content: bytes, start: int, end: int, operation: Operation, rows: Any) -> bytes:
    """The note with rows put first, last or in the place of all rows of the table at a range.

    Raises `PatchInvalid` when there is no table, or a row does not have as many cells as it has columns.
    """
    line_start = content.rfind(b"\n", 0, start) + 1
    table = content[line_start:end].split(b"\n")
    if len(table) < 2 or b"|" not in table[0] or not _DELIMITER_ROW.fullmatch(table[1].rstrip(b"\r")):
        raise PatchInvalid("The block is not a table, and only a table takes rows.", hint="Give `content`.")
    if operation is Operation.DELETE:
        raise PatchInvalid("To delete takes no value.", field="value")
    indent = _BEFORE_ROW.match(table[0])
    columns = len(_SEPARATOR.findall(table[0].strip(b" \t\r>").removeprefix(b"|").removesuffix(b"|"))) + 1
    newline = TextStyle.of(content).newline.encode()
    new_rows = [(indent[0] if indent else b"") + _row(row, columns) for row in _rows(rows)]
    head, body = [line.rstrip(b"\r") for line in table[:2]], [line.rstrip(b"\r") for line in table[2:]]
    match operation:
        case Operation.APPEND:
            body = [*body, *new_rows]
        case Operation.PREPEND:
            body = [*new_rows, *body]
        case _:
            body = new_rows
    return content[:line_start] + newline.join([*head, *body]) + content[end:]


def _rows(rows: Any) -> list[list[Any]]:
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise PatchInvalid("Rows are a list of lists of cells.", hint='As in [["a", "b"]].', field="value")
    return rows


def _row(row: list[Any], columns: int) -> bytes:
    if len(row) != columns:
        raise PatchInvalid(f"The row {row!r} has {len(row)} cells; the table has {columns} columns.", field="value")
    return b"| " + b" | ".join(_cell(cell) for cell in row) + b" |"


def _cell(cell: Any) -> bytes:
    if not isinstance(cell, str | int | float) or isinstance(cell, bool):
        raise PatchInvalid(f"A cell is text, not {cell!r}.", field="value")
    text = str(cell)
    if len(text.splitlines()) > 1 or text.endswith(("\n", "\r")):
        raise PatchInvalid(f"The cell {text!r} has a line break.", hint="Write `<br>` instead.", field="value")
    return text.replace("|", r"\|").encode()
