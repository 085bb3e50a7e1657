"""The move from SQLite to PostgreSQL, with writers going on: how fast, how long the pause, and whether all is equal.

Tasks and events in the schemas of their services are moved, while separate processes write. The rate of COPY is that of
the same rows into the same tables of the same server, in the same run. Writers are compared with themselves before the
move began. Memory is the mover's own, which runs in a process of its own.
"""

import json
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import delete, text, update

from benchmarks.machine import processor_seconds, resident_megabytes
from benchmarks.report import Options, Table, percentile
from weave_nn.migration import Mover, moved_tables
from weave_nn.migration.ends import postgres_of
from weave_nn.services.tasks.models import SCHEMA as TASKS
from weave_nn.services.tasks.models import TaskRow
from weave_nn.shared.bus.models import SCHEMA as BUS
from weave_nn.shared.bus.models import event
from weave_nn.shared.db import Database, upgrade
from weave_nn.shared.db.dialects import parse_url

NAME = "move"
TREES = [TASKS, BUS]
WRITERS = 2
WRITES_PER_SECOND = 1_000
BASELINE_SECONDS = 5.0
MOMENT = "2026-11-23 03:58:50.123456"
_COLUMNS = [column.name for column in TaskRow.__table__.columns]


def task(number: int) -> dict[str, Any]:
    line = f"- [ ] Task number {number} that somebody has to do some day #tag{number % 50} 📅 2026-12-0{number % 9 + 1}"
    empty = dict.fromkeys(_COLUMNS)
    return empty | {
        "id": str(uuid.UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)),
        "vault_id": "vault-12345678",
        "title": f"Task number {number} that somebody has to do some day",
        "status": "todo",
        "status_symbol": " ",
        "priority": 3,
        "due_date": f"2026-12-0{number % 9 + 1}",
        "invalid_dates": "",
        "tags": f"#tag{number % 50}",
        "tags_folded": f"#tag{number % 50}",
        "depends_on": "",
        "note_path": f"Projects/2026/Project {number // 400}/Tasks {number // 20}.md",
        "line": number % 20 + 1,
        "indent": "",
        "heading": "To do",
        "search_text": line.lower(),
        "source": "note",
        "version": 1,
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "text": line,
        "noted_text": line,
        "deleted": 0,
    }


def fill(path: Path, rows: int) -> None:
    """Half of the rows are tasks, half are events."""
    upgrade(database := Database(f"sqlite:///{path}"), TREES)
    database.close()
    body = json.dumps({"specversion": "1.0", "type": "vault.file.updated", "data": {"path": "Projects/2026/A note.md"}})
    with sqlite3.connect(path) as raw:
        names, marks = ",".join(f'"{name}"' for name in _COLUMNS), ",".join("?" * len(_COLUMNS))
        tasks = ([task(number)[name] for name in _COLUMNS] for number in range(rows // 2))
        raw.executemany(f"INSERT INTO task ({names}) VALUES ({marks})", tasks)  # noqa: S608 - our own names
        events = ((str(uuid.UUID(int=number)), "vault.file.updated", body, MOMENT) for number in range(rows // 2))
        raw.executemany("INSERT INTO bus_event (event_id, type, body, published_at) VALUES (?, ?, ?, ?)", events)
    raw.close()


def write(path: Path, number: int, tasks: int, told: Any, stop: Any) -> None:
    """A process that writes at a rate, as a service does it, and tells how long each write took."""
    database = Database(f"sqlite:///{path}")
    taken: list[tuple[float, float]] = []
    began = time.monotonic()
    done, rate = 0, WRITES_PER_SECOND / WRITERS
    while not stop.is_set():
        ahead = began + done / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        before = time.monotonic()
        with database.write(durable=False) as work:
            chosen = task((done * 7919 + number) % tasks)["id"]
            work.session.execute(update(TaskRow).where(TaskRow.id == chosen).values(version=TaskRow.version + 1))
            if done % 4 == 0:
                values = {"event_id": f"{number}-{done}", "type": "t", "body": "{}", "published_at": MOMENT}
                work.session.execute(text(_EVENT), values)
            elif done % 16 == 1:
                work.session.execute(delete(event).where(event.c.event_id == f"{number}-{done - 1}"))
        taken.append((before, time.monotonic() - before))
        done += 1
    told.put(taken)
    database.close()


_EVENT = "INSERT INTO bus_event (event_id, type, body, published_at) VALUES (:event_id, :type, :body, :published_at)"


@contextmanager
def writers(path: Path, tasks: int) -> Iterator[list[tuple[float, float]]]:
    """Processes that write beside; what they tell is in the list once they ended."""
    context = multiprocessing.get_context("spawn")
    told, stop = context.Queue(), context.Event()
    processes = [context.Process(target=write, args=(path, n, tasks, told, stop)) for n in range(WRITERS)]
    found: list[tuple[float, float]] = []
    for process in processes:
        process.start()
    try:
        yield found
    finally:
        stop.set()
        for _process in processes:
            found += told.get(timeout=60)
        for process in processes:
            process.join(60)


def move(path: Path, url: str, told: Any) -> None:
    """The mover, in a process of its own: phase after phase, each with its time."""
    peak = 0.0
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.05):
            peak = max(peak, resident_megabytes(multiprocessing.current_process().pid or 0) or 0.0)

    watching = threading.Thread(target=watch)
    watching.start()

    def create() -> None:
        upgrade(target := Database(url, follow=False), TREES)
        target.close()

    mover = Mover(path, parse_url(url), moved_tables(tree.metadata for tree in TREES), create_target=create)
    with mover.held():
        server = postgres_of(mover.ends.target).info.backend_pid

        def used() -> tuple[float, float]:
            return processor_seconds(os.getpid()) or 0.0, processor_seconds(server) or 0.0

        marks: dict[str, Any] = {"began": time.monotonic(), "used": [used()]}
        mover.begin()
        mover.backfill()
        marks["backfilled"], marks["rows"] = time.monotonic(), mover.settle().rows
        marks["used"].append(used())
        verified = mover.verify()
        marks["used"].append(used())
        marks["verified"], marks["compared"] = verified.seconds, verified.rows
        marks["diverged"] = len(verified.differences)
        time.sleep(1.0)
        marks["switching"] = time.monotonic()
        marks["pause"] = mover.cut_over().pause_milliseconds
        marks["switched"] = time.monotonic()
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline:
            mover.apply()
    ended.set()
    watching.join()
    told.put(marks | {"memory": peak})
    mover.close()


def bare_copy(url: str, path: Path) -> tuple[float, float]:
    """COPY alone into the same tables, from text that is ready in memory: rows per second, and per processor second."""
    upgrade(target := Database(url), TREES)
    target.close()
    place = parse_url(url)
    rows, seconds = 0, 0.0
    with (
        psycopg.connect(host=place.host, port=place.port, user=place.username, dbname=place.database) as raw,
        sqlite3.connect(path) as source,
    ):
        for table in ("task", "bus_event"):
            given = source.execute(f"SELECT * FROM {table}")  # noqa: S608 - a constant
            names = ",".join(f'"{column[0]}"' for column in given.description)
            while piece := given.fetchmany(50_000):
                lines = "".join(
                    "\t".join(r"\N" if value is None else str(value) for value in row) + "\n" for row in piece
                )
                began = time.monotonic()
                with raw.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                    copy.write(lines.encode())
                raw.commit()
                seconds += time.monotonic() - began
                rows += len(piece)
        processor = processor_seconds(raw.info.backend_pid) or seconds
    source.close()
    return rows / seconds, rows / processor


@contextmanager
def postgres_url() -> Iterator[str]:
    """The server that WEAVE_BENCH_POSTGRES_URL names, or the one on the usual port, or one of our own."""
    given = os.environ.get("WEAVE_BENCH_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
    try:
        psycopg.connect(given, connect_timeout=2).close()
    except psycopg.OperationalError:
        sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
        from postgres import OwnPostgres  # noqa: PLC0415 - only where there is none

        with tempfile.TemporaryDirectory(prefix="weave-bench-postgres-") as name:
            server = OwnPostgres(Path(name))
            server.start()
            try:
                yield server.url.render_as_string(hide_password=False)
            finally:
                server.stop()
    else:
        yield given


@contextmanager
def scratch(server: str) -> Iterator[str]:
    """An empty database on the server."""
    name = f"bench_move_{uuid.uuid4().hex[:8]}"
    place = parse_url(server)
    with psycopg.connect(host=place.host, port=place.port, user=place.username, autocommit=True) as raw:
        raw.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        try:
            yield place.set(database=name).render_as_string(hide_password=False)
        finally:
            raw.execute(f"DROP DATABASE {name} WITH (FORCE)")


def pgloader(path: Path, server: str, rows: int) -> str:
    """Rows per second of pgloader on the same file, which nobody writes meanwhile, or why there is no such figure."""
    program = shutil.which("pgloader")
    if program is None:
        return "not installed"
    with scratch(server) as url, tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "copy.db"
        shutil.copy(path, copy)
        place = parse_url(url)
        target = f"postgresql://{place.username}@{place.host}:{place.port or 5432}/{place.database}"
        began = time.monotonic()
        done = subprocess.run(
            [program, "--with", "prefetch rows = 10000", f"sqlite://{copy}", target],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            return f"failed: {said[-1][:60] if said else done.returncode}"
        return f"{rows / (time.monotonic() - began):,.0f}"


def run(options: Options) -> Iterator[Table]:
    rows = 100_000 if options.quick else 1_000_000
    with tempfile.TemporaryDirectory(prefix="weave-bench-move-") as name, postgres_url() as server:
        path = Path(name) / "weave.db"
        fill(path, rows)
        loaded = pgloader(path, server, rows)
        with scratch(server) as url:
            copied = bare_copy(url, path)
        context = multiprocessing.get_context("spawn")
        told = context.Queue()
        with scratch(server) as url:
            with writers(path, rows // 2) as taken:
                time.sleep(BASELINE_SECONDS)
                mover = context.Process(target=move, args=(path, url, told))
                mover.start()
                marks = told.get(timeout=1800)
                mover.join(60)
            left = differences(path, url)
    yield _table(marks, taken, copied, loaded, left)


def differences(path: Path, url: str) -> int:
    """After the writers have ended: the two databases, compared whole once more."""
    mover = Mover(path, parse_url(url), moved_tables(tree.metadata for tree in TREES))
    with mover.held():
        mover.catch_up()
        found = len(mover.verify().differences)
    mover.close()
    return found


def _table(
    marks: dict[str, Any],
    taken: list[tuple[float, float]],
    copied: tuple[float, float],
    loaded: str,
    left: int,
) -> Table:
    def processor(step: int, rows: int) -> str:
        """On a machine that is busy with other things: what one processor would do, here and in the server."""
        spent = [after - before for before, after in zip(marks["used"][step], marks["used"][step + 1], strict=True)]
        return " / ".join(f"{rows / each:,.0f}" if each else "-" for each in spent)

    def seconds(since: float, until: float) -> list[float]:
        return [took for at, took in taken if since <= at < until] or [0.0]

    def rate(since: float, until: float) -> float:
        return len([1 for at, _ in taken if since <= at < until]) / (until - since)

    began, done = marks["began"], marks["backfilled"]
    first = min(at for at, _ in taken) + 1.0
    backfill = marks["rows"] / (done - began)
    before, during = rate(first, began), rate(began, done)
    pause = seconds(marks["switching"], marks["switched"] + 0.5)
    figures = [
        ("rows moved", f"{marks['rows']:,}", ""),
        ("backfill, rows/s", f"{backfill:,.0f}", "≥ 20,000"),
        ("bare COPY, rows/s", f"{copied[0]:,.0f}", ""),
        ("backfill of COPY", f"{backfill / copied[0]:.0%}", "≥ 40%"),
        ("backfill, rows per processor second, mover / server", processor(0, marks["rows"]), ""),
        ("bare COPY, rows per processor second, server", f"{copied[1]:,.0f}", ""),
        ("pgloader, nobody writing, rows/s", loaded, ""),
        ("verify, rows/s", f"{marks['compared'] / marks['verified']:,.0f}", "≥ 200,000"),
        ("verify, rows per processor second, mover / server", processor(1, marks["compared"]), ""),
        ("writes/s before and during", f"{before:,.0f} / {during:,.0f}", ""),
        ("writers slowed", f"{max(0.0, 1 - during / before):.0%}", "< 25%"),
        ("write before, p50 / p99, ms", _ms(seconds(first, began)), ""),
        ("write during, p50 / p99, ms", _ms(seconds(began, done)), ""),
        ("fence, ms", f"{marks['pause']:,.0f}", "< 250"),
        (
            "writes around the cut-over, p99 / max, ms",
            f"{percentile(pause, 0.99) * 1000:,.0f} / {max(pause) * 1000:,.0f}",
            "< 250",
        ),
        ("rows that differ", f"{marks['diverged']} / {left}", "0"),
        ("memory of the mover, MB", f"{marks['memory']:,.0f}", "< 300"),
    ]
    return Table("SQLite to PostgreSQL, live", ["what", "measured", "wanted"], figures)


def _ms(values: list[float]) -> str:
    return f"{percentile(values, 0.5) * 1000:,.1f} / {percentile(values, 0.99) * 1000:,.1f}"
