"""Search as a client of a running server feels it, beside the nearest peer, and `rg` where there is one.

The peer has no plain HTTP, so that it answers over MCP; ours is asked both ways. Times are of the client, which is in
the same machine; processor times are of the server alone, and do not depend on what else the machine does.
"""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from benchmarks import machine
from benchmarks.report import Table, percentile, ratio
from benchmarks.servers import PEER, PEER_VERSION, PeerServer, Server, WeaveServer, call, install_peer

CHANGES = 10
HITS = 20
NOTICED_SECONDS = 60.0

Measures = dict[str, float]

AIMS = {
    "first start to ready, s": "< 15",
    "first start, processor s": "",
    "restart with nothing changed, s": "< 2",
    **{
        f"{kind} word over {way}, {figure}, ms": aim
        for way, aims in (("HTTP", ("< 5", "< 20", "")), ("MCP", ("", "", "")))
        for kind in ("common", "less common", "rare")
        for figure, aim in zip(("p50", "p95", "processor"), aims, strict=True)
    },
    "backlinks over HTTP, p50, ms": "",
    "backlinks over HTTP, p95, ms": "< 5",
    "backlinks over HTTP, processor, ms": "",
    "backlinks over MCP, p50, ms": "",
    "backlinks over MCP, p95, ms": "",
    "one changed note searchable, p50, ms": "< 300",
    "memory after the load, MB": "< 250",
    "rg, rare word, p50, ms": "",
}
"""The measures, in the order of the table, with what each must reach."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for: words by how many notes they are in, and a note that others link to."""

    words: dict[str, str]
    target: str
    rounds: int


def measure(title: str, root: Path, folder: Path, asked: Asked) -> Table:
    """One table: ours, the peer's, and the ratio. The vault is changed by it."""
    peer = _peer(PeerServer(root, folder / "peer"), asked)
    ours = _weave(WeaveServer(root, folder / "weave"), root, asked)
    if (ripgrep := _ripgrep()) is not None:
        command = [ripgrep, "-lw", asked.words["rare"], root]
        found = [_timed(lambda: subprocess.run(command, capture_output=True, check=True)) for _ in range(CHANGES)]
        peer["rg, rare word, p50, ms"] = percentile(found, 0.5) * 1000
    rows = []
    for measured, aim in AIMS.items():
        mine, theirs = ours.get(measured), peer.get(measured)
        if mine is not None or theirs is not None:
            shown = ["-" if figure is None else f"{figure:,.1f}" for figure in (mine, theirs)]
            rows.append([measured, aim, *shown, ratio(mine, theirs) if mine and theirs else ""])
    notes = [
        f"The peer is {PEER} {PEER_VERSION}, without models; the figure of rg stands in its column.",
        f"Pages are of {HITS} hits. Processor times are of the whole server, with what it does besides.",
    ]
    return Table(title, ["", "aim", "weave", "peer", "peer/weave"], rows, notes)


def _weave(server: WeaveServer, root: Path, asked: Asked) -> Measures:
    try:
        measured = _starts(server)
        for kind, word in asked.words.items():
            measured |= _over_http(server, f"{kind} word", f"/search?q={quote(word)}", asked.rounds)
        path = f"/graph/backlinks?path={quote(asked.target)}"
        measured |= _over_http(server, "backlinks", path, asked.rounds)
        measured |= _over_mcp(server, ("search_notes", "q"), "get_links", asked)
        measured["memory after the load, MB"] = machine.resident_megabytes(server.pid) or 0.0
        changes = [_change(server, root, number) for number in range(CHANGES)]
        measured["one changed note searchable, p50, ms"] = percentile(changes, 0.5) * 1000
    finally:
        server.stop()
    return measured


def _peer(server: PeerServer, asked: Asked) -> Measures:
    try:
        measured = _starts(server)
        measured |= _over_mcp(server, ("search", "query"), "get_backlinks", asked)
        measured["memory after the load, MB"] = machine.resident_megabytes(server.pid) or 0.0
    finally:
        server.stop()
    return measured


def _starts(server: Server) -> Measures:
    first = server.start()
    used = machine.processor_seconds(server.pid) or 0.0
    server.stop()
    return {
        "first start to ready, s": first,
        "first start, processor s": used,
        "restart with nothing changed, s": server.start(),
    }


def _over_http(server: WeaveServer, what: str, path: str, rounds: int) -> Measures:
    connection = server.connection()

    def ask() -> None:
        connection.request("GET", path, headers={"Authorization": f"Bearer {server.key}"})
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, body[:500]

    ask()
    before = machine.processor_seconds(server.pid) or 0.0
    times = [_timed(ask) for _ in range(rounds)]
    used = (machine.processor_seconds(server.pid) or 0.0) - before
    connection.close()
    return _figures(f"{what} over HTTP", times) | {f"{what} over HTTP, processor, ms": used / rounds * 1000}


def _over_mcp(server: Server, search: tuple[str, str], backlinks: str, asked: Asked) -> Measures:
    async def ask_all() -> Measures:
        measured: Measures = {}
        tool, argument = search
        async with server.client() as client:
            questions = {f"{kind} word": (tool, {argument: word, "limit": HITS}) for kind, word in asked.words.items()}
            questions["backlinks"] = (backlinks, {"path": asked.target})
            for what, (name, arguments) in questions.items():
                await call(client, name, **arguments)
                before = machine.processor_seconds(server.pid) or 0.0
                times = []
                for _ in range(asked.rounds):
                    started = time.perf_counter()
                    await call(client, name, **arguments)
                    times.append(time.perf_counter() - started)
                used = (machine.processor_seconds(server.pid) or 0.0) - before
                measured |= _figures(f"{what} over MCP", times)
                measured[f"{what} over MCP, processor, ms"] = used / asked.rounds * 1000
        return measured

    return asyncio.run(ask_all())


def _change(server: WeaveServer, root: Path, number: int) -> float:
    """From a note's change on disk, as an editor makes it, to the answer that holds it."""
    connection = server.connection()
    word = f"quetzalcoatl{number}"
    note = sorted(root.rglob("*.md"))[number]
    started = time.perf_counter()
    with note.open("a") as file:
        file.write(f"\n{word}\n")
    while True:
        connection.request("GET", f"/search?q={word}", headers={"Authorization": f"Bearer {server.key}"})
        if json.loads(connection.getresponse().read())["hits"]:
            break
        assert time.perf_counter() - started < NOTICED_SECONDS, "a change was not found"
        time.sleep(0.005)
    connection.close()
    return time.perf_counter() - started


def _ripgrep() -> str | Path | None:
    beside = install_peer().with_name("rg")
    return shutil.which("rg") or (beside if beside.exists() else None)


def _timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _figures(what: str, seconds: Sequence[float]) -> Measures:
    return {f"{what}, p50, ms": percentile(seconds, 0.5) * 1000, f"{what}, p95, ms": percentile(seconds, 0.95) * 1000}
