"""What a benchmark takes and gives: `Options` in, `Table`s out, shown and kept as Markdown."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """`quick` asks for sizes that take seconds; `real_vault` is a folder to copy and measure on as well."""

    quick: bool = False
    real_vault: Path | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One table of figures, written out with their units; `notes` stand below it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What every benchmark module has: its `NAME`, and `run`."""

    name: str
    run: Callable[[Options], Iterable[Table]]


def markdown(table: Table) -> str:
    """The table with its columns padded, so that it reads as well in a terminal."""
    lines = [table.columns, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.columns))]

    def row(cells: Sequence[str]) -> str:
        figures = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "| " + " | ".join([cells[0].ljust(widths[0]), *figures]) + " |"

    rule = "|" + "|".join("-" * (width + 1) + ("-" if not column else ":") for column, width in enumerate(widths)) + "|"
    body = [row(table.columns), rule, *map(row, table.rows)]
    return "\n".join([f"### {table.title}", "", *body, *(f"\n{note}" for note in table.notes)])


def ratio(ours: float, theirs: float) -> str:
    """How many times the peer's figure is ours."""
    return f"{theirs / ours:.1f}x" if ours else "-"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
