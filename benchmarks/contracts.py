"""What a contract costs: in process over the plain method, over HTTP, and reads on servers beside the embedded ones."""

import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from benchmarks.report import Options, Table, percentile
from benchmarks.servers import Server, WeaveServer, free_port
from benchmarks.vaults import generated
from weave_nn.services.files.contract import FilesContract
from weave_nn.shared import bus
from weave_nn.shared.contracts import local, query
from weave_nn.shared.contracts.client import Client, Target
from weave_nn.shared.contracts.remote import remote
from weave_nn.shared.db import Database, UnitOfWork, upgrade

NAME = "contracts"

NOTES = 1000
SERVERS = ("DATABASE_URL", "RABBITMQ_URL", "REDIS_URL")
READS = {
    "one note": "/files/{note}",
    "a page of files": "/files?limit=100",
    "a search": "/search?q={word}&limit=20",
    "a page of tasks": "/tasks?limit=50",
}


class Question(Protocol):
    """The smallest contract."""

    @query
    def answer(self, number: int, *, named: str = "") -> int: ...


class Answers:
    """What implements it, and asks the database nothing: what is measured is what is around it."""

    def __init__(self, _work: UnitOfWork) -> None:
        pass

    def answer(self, number: int, *, named: str = "") -> int:
        return number + len(named)


def run(options: Options) -> Iterator[Table]:
    """Calls; and reads on both kinds of infrastructure, where settings name PostgreSQL, RabbitMQ and Redis."""
    rounds = 200 if options.quick else 2000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vault = generated(folder / "vault", 100 if options.quick else NOTES)
        note = str(vault.notes[len(vault.notes) // 2])
        yield Table(
            "One call", ["", "p50", "p99"], [*_local(folder, rounds), *_remote(folder, vault.root, note, rounds)]
        )
        servers = {variable: os.environ[variable] for variable in SERVERS if os.environ.get(variable)}
        if len(servers) == len(SERVERS):
            yield _reads(folder, vault.root, note, servers, rounds // 4)


def _local(folder: Path, rounds: int) -> Iterator[list[str]]:
    database = Database(f"sqlite:///{folder}/empty.db")
    upgrade(database, [bus.SCHEMA])
    contract = local(Question, Answers, database)

    def plain() -> None:
        with database.read() as work:
            Answers(work).answer(1, named="one")

    # Alternately, so that what else the machine does is in both.
    times: dict[str, list[float]] = {"plain": [], "contract": []}
    for _ in range(rounds):
        times["plain"].append(_seconds(plain))
        times["contract"].append(_seconds(lambda: contract.answer(1, named="one")))
    database.close()
    over = percentile(times["contract"], 0.5) - percentile(times["plain"], 0.5)
    yield ["in process: the plain method in its transaction", *_shown(times["plain"])]
    yield ["in process: the contract", *_shown(times["contract"])]
    yield ["in process: the contract over the plain method", f"{over * 1e6:.1f} µs", ""]


def _remote(folder: Path, vault: Path, note: str, rounds: int) -> Iterator[list[str]]:
    server = PartServer(vault, folder / "part", key="measured")
    server.start()
    client = Client(
        Target("files", f"http://127.0.0.1:{server.port}", "WEAVE_FILES_URL"),
        headers=lambda: {"Authorization": f"Bearer {server.key}"},
    )
    files = remote(FilesContract, client, prefix="/files")
    try:
        for name, call in (
            ("over HTTP: the facts of a file", lambda: files.stat_file(note)),
            ("over HTTP: a note, read", lambda: files.read_file(note)),
            ("over HTTP: a note, parsed", lambda: files.view_note(note)),
        ):
            yield [name, *_shown(_repeated(call, rounds))]
    finally:
        client.close()
        server.stop()


class PartServer(WeaveServer):
    """`weave serve files`."""

    def start(self) -> float:
        """Start; ready is when `/ready` says so."""
        self.port = free_port()
        self.environment = {"WEAVE_DATA_DIR": str(self.state), "WEAVE_API_KEY": self.key}
        weave = Path(sys.executable).with_name("weave")
        command: list[str | Path] = [
            weave,
            "serve",
            "files",
            "watcher",
            "--vault",
            self.vault,
            "--port",
            str(self.port),
        ]
        return self._launch(command, lambda: self._answers("/ready"))


class OnServers(WeaveServer):
    """`weave up` on PostgreSQL, RabbitMQ and Redis."""

    servers: dict[str, str]

    def start(self) -> float:
        """Start; ready is when `/ready` says so."""
        self.port = free_port()
        state = {"WEAVE_DATA_DIR": str(self.state), "WEAVE_API_KEY": self.key, "WEAVE_SEMANTIC": "off"}
        self.environment = state | self.servers
        weave = Path(sys.executable).with_name("weave")
        return self._launch([weave, "up", self.vault, "--port", str(self.port)], lambda: self._answers("/ready"))


def _reads(folder: Path, vault: Path, note: str, servers: dict[str, str], rounds: int) -> Table:
    embedded = WeaveServer(vault, folder / "embedded")
    on_servers = OnServers(vault, folder / "servers")
    on_servers.servers = servers
    both: tuple[Server, Server] = (embedded, on_servers)
    word = max(re.findall(r"[a-z]{4,}", (vault / note).read_text()), key=len)
    for each in both:
        each.start()
    try:
        rows = []
        for name, path in READS.items():
            # Alternately again; a server that waits costs the other one nothing.
            times: list[list[float]] = [[], []]
            calls = [_getting(each, path.format(note=note, word=word)) for each in both]
            for _ in range(rounds):
                for measured, call in zip(times, calls, strict=True):
                    measured.append(_seconds(call))
            halves = [percentile(measured, 0.5) for measured in times]
            rows.append(
                [name, f"{halves[0] * 1e3:.2f} ms", f"{halves[1] * 1e3:.2f} ms", f"{halves[1] / halves[0]:.2f}"]
            )
    finally:
        for each in both:
            each.stop()
    return Table(
        f"Reads of one client, p50, {NOTES} notes",
        ["", "SQLite, embedded bus", "PostgreSQL, RabbitMQ", "ratio"],
        rows,
        notes=["The aim is a ratio of 1.5 at most."],
    )


def _getting(server: Server, path: str) -> Callable[[], None]:
    connection = server.connection()

    def get() -> None:
        connection.request("GET", path.replace(" ", "%20"), headers={"Authorization": f"Bearer {server.key}"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, path

    return get


def _repeated(call: Callable[[], object], rounds: int) -> list[float]:
    for _ in range(20):
        call()
    return [_seconds(call) for _ in range(rounds)]


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _shown(times: list[float]) -> list[str]:
    return [f"{percentile(times, share) * 1e6:.0f} µs" for share in (0.5, 0.99)]
