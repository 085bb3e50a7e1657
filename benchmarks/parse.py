"""How fast notes are read: `python benchmarks/parse.py`; WEAVE_BENCH_VAULT=folder adds a real vault.

Beside `parse` stands a bare pass over pyromark's events, which is the most that any post-pass in Python could reach.
Times are processor time, the best of several rounds, each round over all notes of the vault.
"""

import os
import platform
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import pyromark

from weave_nn.vault.parse import parse

ROUNDS = 5
WORDS = [
    "note",
    "idea",
    "project",
    "meeting",
    "reading",
    "plan",
    "draft",
    "review",
    "river",
    "garden",
    "music",
    "light",
]
OPTIONS = pyromark.Options.ENABLE_WIKILINKS | pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_FOOTNOTES


def generated_note(seed: int) -> bytes:
    """A note like those of a personal vault: properties, prose with links and tags, tasks, a table, a code block."""
    pick = random.Random(seed)

    def prose(count: int) -> str:
        words = pick.choices(WORDS, k=count)
        for position in range(9, count, 25):
            words[position] = pick.choice([f"[[Note {pick.randrange(10_000)}]]", "#topic/part", "**bold**", "`code`"])
        return " ".join(words)

    tasks = "\n".join(
        f"- [{pick.choice(' x/')}] {prose(8)} 📅 2026-11-{day:02}" for day in range(1, pick.randrange(2, 9))
    )
    parts = [
        f"---\ntitle: Note {seed}\ntags: [{pick.choice(WORDS)}, area/{pick.choice(WORDS)}]\nup: '[[Home]]'\n---",
        f"# Note {seed}",
        *(f"## {prose(3)}\n\n{prose(120)}\n\n{prose(60)}" for _ in range(pick.randrange(1, 6))),
        tasks,
        "| a | b |\n|---|---|\n| [[Home\\|h]] | 1 |",
        "```python\nprint('[[no link]]')\n```",
    ]
    return "\n\n".join(parts).encode()


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


def vaults() -> Iterable[tuple[str, list[bytes]]]:
    yield "generated", [generated_note(seed) for seed in range(4000)]
    yield "one note of 5 MB", [b"\n\n".join(generated_note(seed) for seed in range(1500))]
    if folder := os.environ.get("WEAVE_BENCH_VAULT"):
        yield Path(folder).name, [path.read_bytes() for path in sorted(Path(folder).rglob("*.md"))]


def main() -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| vault | notes | MB | parse, MB/s | bare events, MB/s |\n|---|---:|---:|---:|---:|")
    for name, notes in vaults():
        size = sum(map(len, notes)) / 1e6
        row = megabytes_per_second(parse, notes), megabytes_per_second(bare, notes)
        print(f"| {name} | {len(notes)} | {size:.1f} | {row[0]:.1f} | {row[1]:.1f} |")


if __name__ == "__main__":
    main()
