"""What commands print: JSON for scripts, tables for people."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import typer

PIPED_WIDTH = 200
ETA_SECONDS = 20.0
"""How far back the speed is looked at: one that changes must not make promises for long."""


def wants_json(*, chosen: bool | None) -> bool:
    """Whether to print JSON: as chosen, else when the output is not a terminal."""
    return not sys.stdout.isatty() if chosen is None else chosen


def print_json(value: Any) -> None:
    """Print one JSON value; over several lines for people, on one line for scripts."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=_plain, indent=2 if sys.stdout.isatty() else None))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under headings. Cells are shown as they are, never taken for markup."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(printable(cell) for cell in row))
    console = Console(
        markup=False,
        emoji=False,
        highlight=False,
        width=None if sys.stdout.isatty() else PIPED_WIDTH,
    )
    console.print(table)


def printable(text: str) -> str:
    """`text` without what would steer the terminal: a note's name may hold escape sequences."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal, nothing elsewhere; call what it gives with done and total."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, speed_estimate_period=ETA_SECONDS) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
