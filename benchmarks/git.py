"""How fast changes are committed and a note's history is found, in a repository of many files.

Auto-commit does what `git add` and `git commit` do, and more (it looks whether something is staged or in progress,
keeps the user's index out, checks the notes); both are measured in the same repository, one after the other.
"""

import os
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from benchmarks import vaults
from benchmarks.report import Options, Table, percentile
from weave_nn.services.git import models
from weave_nn.services.git.adapters.process import Git
from weave_nn.services.git.contract import GitContract
from weave_nn.services.git.repository import GitRepository
from weave_nn.services.git.service.committing import CommitRules, Committer
from weave_nn.services.git.service.git import GitService, Limits
from weave_nn.shared import bus
from weave_nn.shared.bus import Outbox
from weave_nn.shared.contracts import local
from weave_nn.shared.db import Database, UnitOfWork, upgrade
from weave_nn.vault.store import Vault

NAME = "git"
ROUNDS = 30
QUICK_ROUNDS = 5
IDENTITY = {"GIT_AUTHOR_NAME": "Bench", "GIT_AUTHOR_EMAIL": "bench@example.org"}


def run(options: Options) -> list[Table]:
    """Measure on the generated vault, and on the real one if there is one."""
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    tables: list[Table] = []
    with tempfile.TemporaryDirectory() as folder:
        for vault in vaults.vaults(options, Path(folder)):
            tables.append(_measure(vault, Path(folder) / f"{len(tables)}.db", rounds))
    return tables


def _measure(vault: vaults.Vault, file: Path, rounds: int) -> Table:
    root = vault.root
    environment = {**os.environ, **IDENTITY, "HOME": str(file.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    environment |= {"GIT_COMMITTER_NAME": "Bench", "GIT_COMMITTER_EMAIL": "bench@example.org"}
    database = Database(f"sqlite:///{file}")
    upgrade(database, [bus.SCHEMA, models.SCHEMA])
    git = Git.open(root, environment)

    def outbox(work: UnitOfWork) -> Outbox:
        return Outbox(work.session, "git", "bench")

    def service(work: UnitOfWork) -> GitService:
        rows, rules = GitRepository(work.session, "bench"), CommitRules()
        return GitService(git, rows, lambda: outbox(work), rules.author, Limits())

    contract = local(GitContract, service, database)
    committer = Committer(Vault(root), database, "bench", git=git, outbox=outbox, rules=CommitRules())
    note, many = vault.notes[len(vault.notes) // 2], vault.notes[:: max(1, len(vault.notes) // 500)]

    def edit(paths: list[str]) -> None:
        for path in paths:
            with (root / path).open("a", encoding="utf-8") as stream:
                stream.write(f"\nedited at {time.time_ns()}")
        with database.write() as work:
            committer.note(work, paths, str(uuid.uuid4()))

    def plain(paths: list[str]) -> None:
        names = b"".join(os.fsencode(path) + b"\0" for path in paths)
        add = ["git", "add", "--pathspec-from-file=-", "--pathspec-file-nul"]
        subprocess.run(add, cwd=root, env=environment, input=names, check=True)
        subprocess.run(["git", "commit", "-qm", "plain"], cwd=root, env=environment, check=True)

    rows = [_row("first commit of everything", [_milliseconds(contract.init)], [])]
    for label, paths, times in (("one note", [note], rounds), (f"{len(many)} notes", many, max(3, rounds // 5))):
        ours, theirs = [], []
        for _ in range(times):
            edit(paths)
            before = contract.log(limit=1).entries
            ours.append(_milliseconds(committer.commit_pending))
            assert contract.log(limit=1).entries != before
            edit(paths)
            theirs.append(_milliseconds(lambda paths=paths: plain(paths)))  # type: ignore[misc]  # binds this loop's value
        rows.append(_row(f"commit of {label}", ours, theirs))
    commit = contract.log(path=note, limit=1).entries[0].commit
    measured: list[tuple[str, Callable[[], object]]] = [
        ("history of a note", lambda: contract.log(path=note, limit=50)),
        ("a note at a version", lambda: contract.show(note, revision=commit)),
        ("difference of a note by words", lambda: contract.diff(path=note, old="HEAD~2", new="HEAD", words=True)),
        ("blame of a note", lambda: contract.blame(note)),
        ("status", contract.status),
    ]
    rows += [_row(label, [_milliseconds(action) for _ in range(rounds)], []) for label, action in measured]
    database.close()
    columns = ("what", "median ms", "p95 ms", "git add + commit, median ms", "p95 ms")
    notes = ("To be reached: a commit of one note < 300 ms, the history of a note p95 < 300 ms.",)
    return Table(f"Git, {vault.name}: {len(vault.notes)} notes", columns, rows, notes)


def _row(label: str, ours: list[float], theirs: list[float]) -> tuple[str, ...]:
    figures = [f"{value:.0f}" for values in (ours, theirs) if values for value in _summary(values)]
    return (label, *figures, *[""] * (4 - len(figures)))


def _summary(values: list[float]) -> tuple[float, float]:
    return statistics.median(values), percentile(values, 0.95)


def _milliseconds(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000
