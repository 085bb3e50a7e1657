"""How fast notes are indexed and found: in the process, from the contract's call to its answer, and by a server.

The words of the generated vault are as frequent as those of a language (Zipf's law), so that common and rare words mean
something. `rg` is measured beside it where it is installed: it has no index, and ranks nothing.
"""

import os
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import machine, searching
from benchmarks.report import Options, Table, percentile
from weave_nn.services.sync.contract import SyncContract
from weave_nn.services.sync.models import SCHEMA
from weave_nn.services.sync.service.indexing import Indexer
from weave_nn.services.sync.service.sync import SyncService
from weave_nn.shared.contracts import local
from weave_nn.shared.db import Database, upgrade
from weave_nn.vault.store import Vault

NAME = "search"
VAULT_ID = "bench"
NOTES = 10_000
WORDS_PER_NOTE = 400
VOCABULARY = 30_000
ROUNDS = 200
REINDEXES = 5


def run(options: Options) -> list[Table]:
    """One table for each vault."""
    tables = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_vault(folder / "generated", NOTES // 10 if options.quick else NOTES)
        tables += _both("generated", folder / "generated", folder)
        if options.real_vault:
            shutil.copytree(options.real_vault, folder / "real")
            tables += _both("real", folder / "real", folder)
    return tables


def make_vault(root: Path, notes: int) -> None:
    pick = random.Random(1)
    words = [_word(pick) for _ in range(VOCABULARY)]
    weights = [1 / rank for rank in range(1, VOCABULARY + 1)]
    for number in range(notes):
        folder = root / pick.choice(["projects/acme", "projects/beta", "areas/home", "daily", "reading"])
        folder.mkdir(parents=True, exist_ok=True)
        text = pick.choices(words, weights, k=pick.randrange(WORDS_PER_NOTE // 4, WORDS_PER_NOTE * 2))
        links = " ".join(f"[[{int(notes * pick.random() ** 3)}]]" for _ in range(5))
        fields = f"status: {pick.choice(['active', 'done'])}\nrating: {pick.randrange(6)}"
        head = f"---\n{fields}\n---\n# {' '.join(text[:4])}\n"
        paragraphs = "\n\n".join(" ".join(text[start : start + 60]) for start in range(0, len(text), 60))
        (folder / f"{number}.md").write_text(f"{head}\n{paragraphs}\n\n{links} #{words[number % 50]}\n")


def _word(pick: random.Random) -> str:
    return "".join(pick.choice("bcdfgklmnprst") + pick.choice("aeiou") for _ in range(pick.randrange(2, 5)))


def _both(name: str, root: Path, folder: Path) -> list[Table]:
    inside, asked = _measure(name, root, folder)
    served = searching.measure(f"Search in {name} notes by a server", root, folder / f"{name}-served", asked)
    return [inside, served]


def _measure(name: str, root: Path, folder: Path) -> tuple[Table, searching.Asked]:
    text_bytes = sum(path.stat().st_size for path in root.rglob("*.md"))
    file = folder / f"{name}.db"
    database = Database(f"sqlite:///{file}")
    upgrade(database, [SCHEMA])
    vault = Vault(root)
    indexer = Indexer(database, vault, VAULT_ID)
    contract = local(SyncContract, lambda work: SyncService(work, VAULT_ID), database)
    first, processor = _timed(indexer.reconcile)
    rows = [["first index, s (processor)", f"{first:.1f} ({processor:.1f})"]]
    rows.append(["again, nothing changed, s", f"{_timed(indexer.reconcile)[0]:.2f}"])
    rows.append(["one note changed and searchable, ms", f"{_change(database, indexer, contract, root) * 1000:.0f}"])
    database.close()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    rows.append(["index, times the text", f"{file.stat().st_size / text_bytes:.2f}"])
    counts = _document_counts(file)
    common, middle, rare = counts[5], counts[len(counts) // 50], counts[len(counts) // 2]
    target = contract.search(common, limit=1).hits[0].path
    rows += _questions(contract, common, middle, rare, target)
    rows.append(["memory after indexing and asking, MB", f"{_resident():.0f}"])
    sizes = [_reindexed(indexer) for _ in range(REINDEXES)]
    rows.append([f"memory grown by reindexes 2 to {REINDEXES}, MB", f"{sizes[-1] - sizes[0]:.0f}"])
    table = Table(f"Search in {name} notes, {text_bytes / 1e6:.0f} MB", ["what", "figure"], rows)
    words = {"common": common, "less common": middle, "rare": rare}
    return table, searching.Asked(words, target, ROUNDS)


def _resident() -> float:
    return machine.resident_megabytes(os.getpid()) or 0.0


def _reindexed(indexer: Indexer) -> float:
    indexer.reconcile(anew=True)
    return _resident()


def _questions(contract: SyncContract, common: str, middle: str, rare: str, target: str) -> list[list[str]]:
    rows = []
    for label, ask in (
        (f"common word ({common})", lambda: contract.search(common)),
        (f"less common word ({middle})", lambda: contract.search(middle)),
        (f"rare word ({rare})", lambda: contract.search(rare)),
        ("two words and a field", lambda: contract.search(f"{common} {middle} status:done")),
        ("phrase", lambda: contract.search(f'"{common} {middle}"')),
        ("prefix", lambda: contract.search(f"{middle[:3]}*")),
        ("field alone", lambda: contract.search("rating:>=4")),
        ("backlinks", lambda: contract.list_backlinks(target)),
        ("neighbours, depth 2", lambda: contract.find_neighbours(target, depth=2)),
        ("similar", lambda: contract.find_similar(target)),
    ):
        rows.append([f"{label}, p50 / p95 ms", _latencies(ask)])
    return rows


def _timed(action: Callable[[], object]) -> tuple[float, float]:
    begun, processor = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - begun, time.process_time() - processor


def _change(database: Database, indexer: Indexer, contract: SyncContract, root: Path) -> float:
    path = next(root.rglob("*.md"))
    begun = time.perf_counter()
    with path.open("a") as file:
        file.write("\nquetzalcoatl\n")
        os.fsync(file.fileno())
    with database.write() as work:
        indexer.look_at(work, [path.relative_to(root).as_posix()])
    assert contract.search("quetzalcoatl").hits
    return time.perf_counter() - begun


def _document_counts(file: Path) -> list[str]:
    """Words by the number of notes that they are in, the most common first."""
    with sqlite3.connect(file) as connection:
        rows = connection.execute("SELECT term FROM note_search_terms WHERE length(term) > 3 ORDER BY doc DESC, term")
        return [row[0] for row in rows]


def _latencies(ask: Callable[[], object], rounds: int = ROUNDS) -> str:
    ask()
    times = [_timed(ask)[0] * 1000 for _ in range(rounds)]
    return f"{percentile(times, 0.5):.1f} / {percentile(times, 0.95):.1f}"
