"""A rehearsal of the move with real processes: writers never stop, the mover is killed, the server goes away.

Every writer notes each write that was acknowledged to it in a ledger outside of both databases. At the end the ledgers
say what has to be there: nothing lost, nothing doubled, nothing risen from the dead, in both databases.

    python -m integration.migration.rehearsal [--kills 50] [--writers 3] [--seed 1]
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select, update

from integration.migration.stand import TABLES, Stand, folder, label, page
from postgres import OwnPostgres
from weave_nn.migration import Mover
from weave_nn.migration.errors import MoveBusy, MoveRefused, TargetAway
from weave_nn.migration.state import peek
from weave_nn.shared.db import Database, UnitOfWork
from weave_nn.shared.db.dialects import parse_url
from weave_nn.shared.errors import Unavailable

LIMIT_SECONDS = 90.0
FOLDERS = 2_000
KEYS_OF_A_WRITER = 40
SHORTEST_LIFE, LONGEST_LIFE = 0.0, 2.5
READY = "mover.ready"


@dataclass(slots=True)
class Result:
    """What came of it."""

    kills: int = 0
    cut_overs: int = 0
    outages: int = 0
    acknowledged: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    slowest_milliseconds: float = 0.0
    missing: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def ok(self) -> bool:
        """Also no writer may ever have noticed that PostgreSQL was away while SQLite was its home."""
        return not (self.missing or self.differences or self.refused.get("sqlite")) and self.acknowledged > 0

    def __str__(self) -> str:
        verdict = "0 lost, 0 doubled, 0 resurrected" if self.ok() else f"FAILED: {self.missing + self.differences}"
        return (
            f"{self.acknowledged:,} acknowledged writes, {self.kills} kills of the mover, {self.cut_overs} times the"
            f" home changed, PostgreSQL was away {self.outages} times, refused {self.refused or 'none'}, slowest write"
            f" {self.slowest_milliseconds:,.0f} ms: {verdict}"
        )


def write(sqlite_url: str, ledger: Path, number: int, seed: int) -> None:
    """One writer: a write after another, each acknowledged one noted, until it is asked to stop."""
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    database, choices = Database(sqlite_url), random.Random(seed)  # noqa: S311 - no secret
    done = 0
    with ledger.open("a") as notes:
        while not stopping:
            done += 1
            key, what = (
                f"w{number}-{choices.randrange(KEYS_OF_A_WRITER)}",
                choices.choice(["put", "put", "delete", "rekey"]),
            )
            change: dict[str, Any] = {"number": done, "what": what, "key": key}
            began = time.monotonic()
            while not stopping:
                try:
                    with database.write() as work:
                        change["home"] = work.session.get_bind().dialect.name
                        _do(work, number, change)
                    break
                except Unavailable as error:
                    # Whether it was committed is not known now, but the writer's own row tells.
                    notes.write(json.dumps({"refused": database.url.get_backend_name(), "why": str(error)}) + "\n")
                    time.sleep(0.02)
                    if _is_done(database, number, done, stopping):
                        break
            else:
                break
            change["seconds"] = time.monotonic() - began
            notes.write(json.dumps(change) + "\n")
            notes.flush()
            time.sleep(choices.uniform(0, 0.004))
    database.close()


def _do(work: UnitOfWork, number: int, change: dict[str, Any]) -> None:
    session, key, done = work.session, change["key"], change["number"]
    session.execute(update(label).where(label.c.key == f"writer-{number}").values(more=done))
    # What all of them count together: an update that is lost or done twice is seen by the sum.
    session.execute(update(folder).where(folder.c.id == 1).values(weight=folder.c.weight + 1))
    match change["what"]:
        case "put":
            found = session.execute(
                update(page).where(page.c.name == key).values(body=str(done).encode()).returning(page.c.name)
            )
            if not found.all():
                session.execute(insert(page).values(folder_id=2, name=key, body=str(done).encode()))
        case "delete":
            session.execute(delete(page).where(page.c.name == key))
        case "rekey":
            session.execute(update(page).where(page.c.name == key).values(folder_id=5 - page.c.folder_id))


def _is_done(database: Database, number: int, done: int, stopping: list[bool]) -> bool:
    while not stopping:
        with contextlib.suppress(Unavailable), database.read() as work:
            last = work.session.scalar(select(label.c.more).where(label.c.key == f"writer-{number}"))
            return bool(last == done)
        time.sleep(0.02)
    return False


def expected(ledgers: list[Path]) -> tuple[dict[str, str], int, Result]:
    """The pages that have to be there with their bodies, and how many writes there were."""
    pages: dict[str, str] = {}
    result = Result()
    for ledger in ledgers:
        for line in ledger.read_text().splitlines():
            note = json.loads(line)
            if "refused" in note:
                result.refused[note["refused"]] = result.refused.get(note["refused"], 0) + 1
                continue
            result.acknowledged += 1
            result.slowest_milliseconds = max(result.slowest_milliseconds, note["seconds"] * 1000)
            if note["what"] == "put":
                pages[note["key"]] = str(note["number"])
            elif note["what"] == "delete":
                pages.pop(note["key"], None)
    return pages, result.acknowledged, result


def move(sqlite_path: str, postgres_url: str) -> None:
    """The mover that is killed: there, and back, and there again, and so on."""
    Path(sqlite_path).with_name(READY).touch()
    while True:
        mover = Mover(Path(sqlite_path), parse_url(postgres_url), TABLES)
        try:
            with mover.held():
                _circle(mover)
        except (TargetAway, MoveBusy, MoveRefused) as error:
            sys.stderr.write(f"mover: {error}\n")
            time.sleep(0.05)
        finally:
            mover.close()


def _circle(mover: Mover) -> None:
    mover.begin()
    if not mover.postgres_is_home:
        mover.backfill()
        mover.verify()
        mover.catch_up()
        mover.cut_over()
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        mover.apply()
    mover.roll_back()


class Rehearsal:
    """Starts the processes, kills and stops what is to be killed and stopped, and compares at the end."""

    def __init__(self, place: Path, server: OwnPostgres, *, writers: int, seed: int) -> None:
        self._place = place
        self._server = server
        self._choices = random.Random(seed)  # noqa: S311 - no secret
        self._stand = Stand(place / "weave.db", server.url.render_as_string(hide_password=False))
        self._ledgers = [place / f"ledger-{number}" for number in range(writers)]
        self._seed = seed
        self._fill(writers)

    def _fill(self, writers: int) -> None:
        with self._stand.source.write() as work:
            rows = [{"name": f"f{number}", "open": True, "weight": 0.0} for number in range(FOLDERS)]
            work.session.execute(insert(folder), rows)
            work.session.execute(
                insert(label), [{"key": f"writer-{number}", "place": number, "more": 0} for number in range(writers)]
            )
        self._stand.create_target()

    def run(self, kills: int, *, outages: int) -> Result:
        with contextlib.ExitStack() as stack:
            for number, ledger in enumerate(self._ledgers):
                stack.enter_context(self._process("writer", str(ledger), str(number), str(self._seed + number)))
            epochs = {0}
            done = 0
            away = sorted(self._choices.sample(range(kills), min(outages, kills)))
            for kill in range(kills):
                with self._mover():
                    self._wait(self._choices.uniform(SHORTEST_LIFE, LONGEST_LIFE), epochs)
                done += 1
                if kill in away:
                    self._outage()
            with self._mover():
                begun = max(epochs)
                # Killed so often, it still comes through: there and back once more at least.
                self._until(lambda: peek(self._stand.path)[1] >= begun + 2)
        self._settle()
        return self._judge(done, len(away))

    @contextlib.contextmanager
    def _mover(self) -> Iterator[None]:
        """A mover that has begun; what it takes to start is not what is to be interrupted."""
        ready = self._place / READY
        ready.unlink(missing_ok=True)
        with self._process("mover", self._stand.postgres_url, how=signal.SIGKILL):
            self._until(ready.exists)
            yield

    @contextlib.contextmanager
    def _process(self, role: str, *arguments: str, how: signal.Signals = signal.SIGTERM) -> Iterator[None]:
        tests = Path(__file__).parents[2]
        command = [sys.executable, "-m", "integration.migration.rehearsal", "--role", role, str(self._stand.path)]
        with (self._place / f"{role}.log").open("a") as log:
            process = subprocess.Popen(
                [*command, *arguments], env={**os.environ, "PYTHONPATH": str(tests)}, cwd=tests, stdout=log, stderr=log
            )
        try:
            yield
        finally:
            ended = process.poll()
            process.send_signal(how)
            process.wait(LIMIT_SECONDS)
            assert ended is None, f"the {role} ended by itself: {(self._place / f'{role}.log').read_text()[-3000:]}"

    def _wait(self, seconds: float, epochs: set[int]) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            epochs.add(peek(self._stand.path)[1])
            time.sleep(0.01)

    def _until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT_SECONDS
        while not holds():
            assert time.monotonic() < deadline, (self._place / "mover.log").read_text()[-3000:]
            time.sleep(0.02)

    def _outage(self) -> None:
        self._server.stop()
        with self._mover():
            time.sleep(self._choices.uniform(0.1, 0.5))
        self._server.start()

    def _settle(self) -> None:
        """Whatever is the home now, the other one has to get there."""
        mover = self._stand.new_mover()
        with mover.held():
            mover.begin()
            mover.backfill()
            mover.catch_up()
        mover.close()

    def _judge(self, kills: int, outages: int) -> Result:
        pages, count, result = expected(self._ledgers)
        result.kills, result.outages = kills, outages
        result.cut_overs = peek(self._stand.path)[1]
        for database in (
            Database(f"sqlite:///{self._stand.path}", follow=False),
            Database(self._stand.postgres_url, follow=False),
        ):
            name = database.url.get_backend_name()
            with database.read() as work:
                found = {row.name: row.body.decode() for row in work.session.execute(select(page.c.name, page.c.body))}
                counted = work.session.scalar(select(folder.c.weight).where(folder.c.id == 1))
            if found != pages:
                odd = {key for key in found.keys() | pages.keys() if found.get(key) != pages.get(key)}
                result.missing += [f"{name} {key}: {found.get(key)} instead of {pages.get(key)}" for key in sorted(odd)]
            if counted != count:
                result.missing.append(f"{name} counted {counted} of {count} writes")
            database.close()
        result.differences = [str(each) for each in self._stand.differences()]
        self._stand.close()
        return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--outages", type=int, default=5)
    parser.add_argument("--writers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--role", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    match arguments.role:
        case ["writer", path, ledger, number, seed]:
            write(f"sqlite:///{path}", Path(ledger), int(number), int(seed))
        case ["mover", path, url]:
            move(path, url)
        case _:
            with tempfile.TemporaryDirectory(prefix="weave-rehearsal-") as name:
                server = OwnPostgres(Path(name))
                server.start()
                try:
                    place = Path(name) / "sqlite"
                    place.mkdir()
                    rehearsal = Rehearsal(place, server, writers=arguments.writers, seed=arguments.seed)
                    result = rehearsal.run(arguments.kills, outages=arguments.outages)
                finally:
                    server.stop()
            sys.stdout.write(f"{result}\n")
            return 0 if result.ok() else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
