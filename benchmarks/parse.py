"""How fast notes are read.

Beside `parse` stands a bare pass over pyromark's events, which is the most that any post-pass in Python could reach.
Times are processor time, the best of several rounds, each round over all notes of the vault.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable

import pyromark

from benchmarks.report import Options, Table
from benchmarks.vaults import generated_note
from weave_nn.vault.parse import parse

NAME = "parse"
ROUNDS = 5
OPTIONS = pyromark.Options.ENABLE_WIKILINKS | pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_FOOTNOTES


def bare(content: bytes, markdown: pyromark.Markdown = pyromark.Markdown(options=OPTIONS)) -> None:  # noqa: B008 - it is immutable
    deque(markdown.events_with_range(content.decode(errors="replace")), 0)


def megabytes_per_second(run: Callable[[bytes], object], notes: list[bytes]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for content in notes:
            run(content)
        best = min(best, time.process_time() - started)
    return sum(map(len, notes)) / 1e6 / best


def notes_of(options: Options) -> Iterable[tuple[str, list[bytes]]]:
    share = 10 if options.quick else 1
    yield "generated", [generated_note(seed) for seed in range(4000 // share)]
    yield "one large note", [b"\n\n".join(generated_note(seed) for seed in range(1500 // share))]
    if options.real_vault:
        yield "real", [path.read_bytes() for path in sorted(options.real_vault.rglob("*.md"))]


def run(options: Options) -> list[Table]:
    rows = []
    for name, notes in notes_of(options):
        rates = megabytes_per_second(parse, notes), megabytes_per_second(bare, notes)
        size = sum(map(len, notes)) / 1e6
        rows.append([name, f"{len(notes):,}", f"{size:.1f}", f"{rates[0]:.1f}", f"{rates[1]:.1f}"])
    return [Table("Reading notes", ["vault", "notes", "MB", "parse, MB/s", "bare events, MB/s"], rows)]
