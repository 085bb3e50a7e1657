"""How fast tasks are read out of notes, listed, queried and followed: `python benchmarks/tasks.py`.

A vault of 10,000 generated notes with 20,000 tasks: the first import, catching up at start when nothing changed, a
change of one note until it shows in `/tasks`, lists with different filters, and queries of the whole vault.
"""

import argparse
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from weave_nn.services.tasks import models
from weave_nn.services.tasks.contract import StatusType, TasksContract, TaskSelection
from weave_nn.services.tasks.repository import TaskRepository
from weave_nn.services.tasks.service import TaskRules, TaskService, TaskSync
from weave_nn.shared import bus
from weave_nn.shared.bus import Outbox
from weave_nn.shared.contracts import local
from weave_nn.shared.db import Database, UnitOfWork, upgrade
from weave_nn.vault.store import Vault

TODAY = date(2026, 11, 23)
WORDS = ["call", "write", "plan", "review", "river", "garden", "music", "draft", "letter", "budget", "visit", "order"]
ROUNDS = 40


def make_vault(root: Path, notes: int, tasks: int) -> None:
    pick = random.Random(1)
    left = tasks
    for number in range(notes):
        count = min(left, pick.randrange(0, 5)) if number < notes - 1 else left
        left -= count
        folder = root / pick.choice(["projects/acme", "projects/beta", "areas/home", "daily", "reading"])
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"# Note {number}", " ".join(pick.choices(WORDS, k=80)), ""]
        for _ in range(count):
            day = TODAY + timedelta(days=pick.randrange(-200, 200))
            lines.append(
                f"- [{pick.choice(' x  /')}] {' '.join(pick.choices(WORDS, k=6))} #{pick.choice(WORDS)}"
                f"{pick.choice(['', ' ⏫', ' 🔽'])} 📅 {day}"
            )
        (folder / f"{number}.md").write_text("\n".join([*lines, ""]), "utf-8")


def timed(action: Callable[[], object], rounds: int = ROUNDS) -> tuple[float, float]:
    """The median and the 95th percentile in milliseconds."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        action()
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notes", type=int, default=10_000)
    parser.add_argument("--tasks", type=int, default=20_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "vault"
        make_vault(root, arguments.notes, arguments.tasks)
        database = Database(f"sqlite:///{folder}/bench.db")
        upgrade(database, [bus.SCHEMA, models.SCHEMA])
        table = measure(root, database)
        table.title = f"{arguments.notes} notes, {arguments.tasks} tasks; Python {platform.python_version()}"
        Console(width=100).print(table)
        database.close()


def measure(root: Path, database: Database) -> Table:
    rules = TaskRules(today=lambda: TODAY)
    vault = Vault(root)
    sync = TaskSync(vault, database, "bench", rules)

    def service(work: UnitOfWork) -> TaskService:
        return TaskService(
            TaskRepository(work.session, "bench"), Outbox(work.session, "tasks", "bench"), rules, "bench"
        )

    tasks = local(TasksContract, service, database)
    table = Table("what", "median ms", "p95 ms", "must be")
    begun = time.perf_counter()
    sync.reconcile_all()
    table.add_row("first import", f"{(time.perf_counter() - begun) * 1000:.0f}", "", "< 20,000")
    begun = time.perf_counter()
    sync.reconcile_all()
    table.add_row("start, nothing changed", f"{(time.perf_counter() - begun) * 1000:.0f}", "", "")

    page = tasks.list_tasks(TaskSelection(text="river"), limit=100)
    note = page.tasks[0].note_path

    def change() -> None:
        file = root / note
        file.write_text(file.read_text("utf-8") + "- [ ] one more\n", "utf-8")
        with database.write() as work:
            sync.note_changed(work, note)
        assert tasks.list_tasks(TaskSelection(path=note, text="one more")).tasks

    measured: list[tuple[str, Callable[[], object], str]] = [("a change of a note until it is listed", change, "< 500")]
    for name, selection in {
        "no filter": TaskSelection(),
        "open, due within a week": TaskSelection(
            status=(StatusType.TODO,), to_date={"due": TODAY + timedelta(7)}, from_date={"due": TODAY}
        ),
        "words": TaskSelection(text="river garden"),
        "tag and priority": TaskSelection(tags=("music",), priority=("high",)),
        "folder, done": TaskSelection(path="projects/acme/", status=(StatusType.DONE,)),
        "project, open": TaskSelection(project_id="beta", status=(StatusType.TODO, StatusType.IN_PROGRESS)),
    }.items():
        measured.append((f"list: {name}", lambda selection=selection: tasks.list_tasks(selection), "p95 < 20"))  # type: ignore[misc]  # the default binds this loop's value
    measured += [
        ("count by status", lambda: tasks.count_tasks(TaskSelection(), by="status"), ""),
        ("query: not done, due before next week", lambda: tasks.query_tasks("not done\ndue before next week"), ""),
        ("query: regex over all", lambda: tasks.query_tasks("description regex matches /^call.*plan/"), ""),
    ]
    for name, action, target in measured:
        median, worst = timed(action)
        table.add_row(name, f"{median:.1f}", f"{worst:.1f}", target)
    return table


if __name__ == "__main__":
    main()
