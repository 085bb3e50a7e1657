"""What someone who serves a vault feels: starting, reading, changes noticed, memory; real processes, on real sockets.

Every figure is of a running server as a client sees it, so that the client's own time is in it. The peer does the same
work in the same run with its models switched off; it has no plain HTTP, and without an extra package no watcher.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from benchmarks import machine, parse
from benchmarks.report import Options, Table, percentile, ratio
from benchmarks.servers import PEER, PEER_VERSION, PeerServer, Server, WeaveServer
from benchmarks.vaults import Vault, generated, vaults
from weave_nn.services.files.events import FileUpdated
from weave_nn.shared.bus import EmbeddedBus
from weave_nn.shared.db import Database
from weave_nn.vault.parse import parse as parse_note

NAME = "serving"

RESTARTS = 3
CLIENTS = 4
IDLE_SECONDS = 10.0
NOTICED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done."""

    reads: int
    changes: int


FULL = Size(reads=2000, changes=60)
QUICK = Size(reads=200, changes=10)

Measures = dict[str, float | None]


def run(options: Options) -> Iterator[Table]:
    """One table for each vault."""
    size = QUICK if options.quick else FULL
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _warm_up(generated(folder / "small", 10), folder)
        for vault in vaults(options, folder):
            yield _measure(vault, size, folder)


def _warm_up(vault: Vault, folder: Path) -> None:
    """Start each server once, so that its modules are compiled and in the system's cache, as on anyone's machine."""
    for server in (PeerServer(vault.root, folder / "peer"), WeaveServer(vault.root, folder / "weave")):
        server.start()
        server.stop()


def _measure(vault: Vault, size: Size, folder: Path) -> Table:
    before = vault.digest()
    name = vault.root.name
    peer = _peer(PeerServer(vault.root, folder / f"peer-{name}"), vault.notes, size)
    peer_unchanged = vault.digest() == before
    weave = WeaveServer(vault.root, folder / f"weave-{name}")
    ours = _weave(weave, vault.notes, size)
    unchanged = vault.digest() == before
    ours |= _changes(weave, vault, size)
    ours["parse, MB/s"] = parse.megabytes_per_second(
        parse_note, [(vault.root / path).read_bytes() for path in vault.notes]
    )
    rows = [_row(measure, ours, peer) for measure in AIMS]
    rows.append(
        ["vault is the same to the byte", "yes", *("yes" if it else "NO" for it in (unchanged, peer_unchanged)), ""]
    )
    conditions = f"Reads are {size.reads:,} of random notes, one at a time on a kept connection."
    notes = [
        f"The peer is {PEER} {PEER_VERSION}, without models; the ratio is how many times ours its figure is.",
        conditions,
    ]
    return Table(f"Serving a vault: {vault.name}", ["", "aim", "weave", "peer", "peer/weave"], rows, notes)


AIMS = {
    "first start to ready, s": "< 15",
    "restart with nothing changed, s": "< 2",
    "processor time of a restart, s": "",
    "memory after the first start, MB": "< 200",
    "memory after a restart, MB": "< 200",
    "memory after the load, MB": "< 200",
    "processor while idle, %": "",
    "read over HTTP, p50, ms": "",
    "read over HTTP, p95, ms": "< 5",
    "read over MCP, p50, ms": "",
    "read over MCP, p95, ms": "< 10",
    "reads over MCP that failed": "0",
    f"reads/s over HTTP, {CLIENTS} clients": "",
    "change announced, p50, ms": "",
    "change announced, p95, ms": "< 300",
    "parse, MB/s": ">= 20",
}
"""The measures, in the order of the table, with what each must reach."""


def _row(measure: str, ours: Measures, peer: Measures) -> list[str]:
    mine, theirs = ours.get(measure), peer.get(measure)
    shown = [
        "-" if figure is None else f"{figure:,.2f}" if figure < 100 else f"{figure:,.0f}" for figure in (mine, theirs)
    ]
    return [measure, AIMS[measure], *shown, ratio(mine, theirs) if mine and theirs else ""]


def _peer(server: PeerServer, notes: Sequence[str], size: Size) -> Measures:
    try:
        measured = _starts(server)
        measured |= _over_mcp(server, "read", lambda path: {"path": path}, _chosen(notes, size))
        measured["memory after the load, MB"] = machine.resident_megabytes(server.pid)
    finally:
        server.stop()
    return measured


def _weave(server: WeaveServer, notes: Sequence[str], size: Size) -> Measures:
    chosen = _chosen(notes, size)
    try:
        measured = _starts(server)
        measured |= _over_http(server, chosen)
        measured |= _over_mcp(server, "read_notes", lambda path: {"paths": [path]}, chosen)
        measured |= _at_once(server, chosen)
        measured["memory after the load, MB"] = machine.resident_megabytes(server.pid)
    finally:
        server.stop()
    return measured


def _chosen(notes: Sequence[str], size: Size) -> list[str]:
    return random.Random(1).choices(notes, k=size.reads)


def _starts(server: Server) -> Measures:
    """A first start, restarts, and a rest; the server runs afterwards."""
    measured: Measures = {"first start to ready, s": server.start()}
    measured["memory after the first start, MB"] = machine.resident_megabytes(server.pid)
    restarts, used = [], []
    for _ in range(RESTARTS):
        server.stop()
        restarts.append(server.start())
        used.append(machine.processor_seconds(server.pid) or 0.0)
    measured["restart with nothing changed, s"] = statistics.median(restarts)
    measured["processor time of a restart, s"] = statistics.median(used)
    measured["memory after a restart, MB"] = machine.resident_megabytes(server.pid)
    before = machine.processor_seconds(server.pid)
    time.sleep(IDLE_SECONDS)
    after = machine.processor_seconds(server.pid)
    measured["processor while idle, %"] = 100 * (after - before) / IDLE_SECONDS if after and before else None
    return measured


def _over_http(server: WeaveServer, chosen: Sequence[str]) -> Measures:
    return _latencies("read over HTTP", _read_all(server, chosen))


def _at_once(server: WeaveServer, chosen: Sequence[str]) -> Measures:
    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        done = sum(len(times) for times in clients.map(lambda _: _read_all(server, chosen), range(CLIENTS)))
    return {f"reads/s over HTTP, {CLIENTS} clients": done / (time.perf_counter() - started)}


def _read_all(server: WeaveServer, chosen: Sequence[str]) -> list[float]:
    connection = server.connection()
    headers = {"Authorization": f"Bearer {server.key}"}
    times = []
    for path in chosen:
        started = time.perf_counter()
        connection.request("GET", f"/files/{quote(path)}", headers=headers)
        response = connection.getresponse()
        response.read()
        times.append(time.perf_counter() - started)
        assert response.status == 200, path
    connection.close()
    return times


def _over_mcp(
    server: Server, tool: str, arguments: Callable[[str], dict[str, object]], chosen: Sequence[str]
) -> Measures:
    times: list[float] = []
    failed = 0

    async def read_all() -> None:
        nonlocal failed
        async with server.client() as client:
            for path in chosen:
                started = time.perf_counter()
                result = await client.call_tool(tool, arguments(path))
                times.append(time.perf_counter() - started)
                failed += bool(result.is_error)

    asyncio.run(read_all())
    return {**_latencies("read over MCP", times), "reads over MCP that failed": failed}


def _changes(server: WeaveServer, vault: Vault, size: Size) -> Measures:
    """From a note's change on disk, as an editor makes it, to its event on the bus."""
    server.start()
    bus = EmbeddedBus(Database(f"sqlite:///{server.state / 'weave.db'}"))
    latencies = []
    pick = random.Random(2)
    try:
        for path in pick.sample(vault.notes, size.changes):
            position = max((position for position, _ in bus.tail(limit=1)), default=0)
            # Editors do not save in step with the watcher.
            time.sleep(pick.uniform(0.05, 0.5))
            started = time.perf_counter()
            with (vault.root / path).open("a") as note:
                note.write("\nA line more.\n")
            _wait_for_update(bus, position)
            latencies.append(time.perf_counter() - started)
    finally:
        server.stop()
    return _latencies("change announced", latencies)


def _wait_for_update(bus: EmbeddedBus, position: int) -> None:
    deadline = time.perf_counter() + NOTICED_SECONDS
    while not any(message.type == FileUpdated.TYPE for _, message in bus.tail(after=position)):
        assert time.perf_counter() < deadline, "a change was not announced"
        time.sleep(0.002)


def _latencies(what: str, seconds: Sequence[float]) -> Measures:
    return {
        f"{what}, p50, ms": percentile(seconds, 0.5) * 1000,
        f"{what}, p95, ms": percentile(seconds, 0.95) * 1000,
    }
