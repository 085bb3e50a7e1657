"""The vaults that are measured on: a generated one, the same on every machine, and a copy of a real one."""

import hashlib
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Options

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
NOTES = 10_000
QUICK_NOTES = 1_000


@dataclass(frozen=True, slots=True)
class Vault:
    """A vault to measure on; `name` is what tables call it."""

    name: str
    root: Path

    @property
    def notes(self) -> list[str]:
        """The paths of its notes, in order."""
        found = (path.relative_to(self.root) for path in self.root.rglob("*.md"))
        return sorted(path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts))

    def digest(self) -> str:
        """One hash of every name and byte."""
        digest = hashlib.sha256()
        for path in sorted(path for path in self.root.rglob("*") if path.is_file()):
            digest.update(os.fsencode(path.relative_to(self.root)) + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()


def vaults(options: Options, folder: Path) -> Iterator[Vault]:
    """The generated vault, then a copy of the real one if there is one, made in `folder`."""
    count = QUICK_NOTES if options.quick else NOTES
    yield generated(folder / "generated", count)
    if options.real_vault is not None:
        root = folder / "real"
        shutil.copytree(options.real_vault, root, symlinks=True)
        real = Vault("", root)
        yield Vault(f"real, {len(real.notes):,} notes", root)


def generated(root: Path, count: int) -> Vault:
    """Write `count` notes into folders of a hundred."""
    for seed in range(count):
        path = root / f"Area {seed // 100 % 10}" / f"Folder {seed // 100}" / f"Note {seed}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(generated_note(seed))
    return Vault(f"generated, {count:,} notes", root)


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
