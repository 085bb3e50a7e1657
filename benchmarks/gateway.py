"""The gateway: how fast it obeys, how fast it saves its users, and what it costs, beside nginx as a plain proxy.

The services behind it are small ones in C's hands (nginx itself, where it is installed), so that what is measured is
the gateway. Everything runs in one run on one machine: compare the rows with each other.
"""

import asyncio
import http.client
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.machine import processor_seconds
from benchmarks.report import Options, Table, percentile
from benchmarks.servers import free_port
from weave_nn.gateway import models
from weave_nn.gateway.control import Control
from weave_nn.gateway.envoy.edge import Edge, Place
from weave_nn.gateway.envoy.process import EnvoyProcess, find
from weave_nn.gateway.rollout import Policy, State
from weave_nn.gateway.rollouts import Rollouts
from weave_nn.shared import bus
from weave_nn.shared.db import Database, upgrade

NAME = "gateway"

_RATE = 500
_GUARD_RATE = 20
_USERS = 200


def run(options: Options) -> Iterator[Table]:
    """Measure obedience, then cost."""
    if shutil.which("nginx") is None:
        raise RuntimeError("nginx is needed as the service behind the gateway, and as the peer: apt install nginx")
    with tempfile.TemporaryDirectory() as folder, _stand(Path(folder)) as stand:
        yield _obedience(stand, changes=10 if options.quick else 100)
        yield _saving(stand, runs=1 if options.quick else 5)
        yield _cost(stand, seconds=2.0 if options.quick else 20.0)


@dataclass(frozen=True, slots=True)
class _Stand:
    """A gateway before two services: `plain` is nginx as a proxy to the stable one."""

    rollouts: Rollouts
    control: Control
    front: int
    stable: int
    candidate: int
    plain: int
    mode: Path
    plain_pid: int
    envoy_pid: int | None

    def follow(self) -> None:
        """Have the control plane look, and wait until it serves what the database says."""
        self.control.look()
        while self.control.version < self.rollouts.version():
            time.sleep(0.0005)

    def plan(self) -> None:
        """A rollout whose candidate is well."""
        self.mode.unlink(missing_ok=True)
        self.rollouts.plan(
            "tasks",
            candidate=f"http://127.0.0.1:{self.candidate}",
            monolith=f"http://127.0.0.1:{self.stable}",
            policy=Policy(soak_seconds=0.0),
            who="benchmark",
            why="",
        )
        self.follow()
        # The candidate is used when the first health check has come back.
        time.sleep(1.0)


def _obedience(stand: _Stand, changes: int) -> Table:
    """From the command's commit to the first answer by the new configuration, and to the last by the candidate."""
    stand.plan()
    watching = _Watcher(stand.front)
    effects, rollbacks = [], []
    with watching:
        for change in range(changes):
            before = watching.version
            begun = time.perf_counter()
            stand.rollouts.step("tasks", (10, 25, 50, 100)[change % 4], who="benchmark", force=True)
            stand.control.look()
            effects.append(watching.changed(before) - begun)
            stand.follow()
        for _ in range(max(3, changes // 10)):
            stand.rollouts.step("tasks", 100, who="benchmark", force=True)
            stand.follow()
            begun = time.perf_counter()
            stand.rollouts.roll_back("tasks", who="benchmark", why="measured")
            stand.control.look()
            stand.follow()
            time.sleep(0.2)
            rollbacks.append(max(0.0, watching.last_on_candidate - begun))
            stand.plan()
    stand.rollouts.roll_back("tasks", who="benchmark", why="measured")
    stand.follow()
    return Table(
        "What is commanded takes effect",
        ("", "median, ms", "p99, ms"),
        [
            ("a change of the split, until answers say so", *_both(effects)),
            ("a rollback, until the last answer of the candidate", *_both(rollbacks)),
        ],
        ["From before the database's transaction on; one client asks without pause meanwhile."],
    )


def _saving(stand: _Stand, runs: int) -> Table:
    """From a candidate that begins to answer 500 to the guard's rollback, at 20 requests a second."""
    seconds, failed, asked = [], 0, 0
    for _ in range(runs):
        stand.plan()
        stand.rollouts.step("tasks", 50, who="benchmark", force=True)
        stand.follow()
        with _Users(stand.front, _GUARD_RATE) as users:
            time.sleep(2.0)
            stand.mode.touch()
            begun = time.perf_counter()
            while stand.rollouts.find("tasks").state is not State.ROLLED_BACK:
                assert time.perf_counter() - begun < 120, "the guard did not roll back"
                time.sleep(0.02)
            stand.follow()
            seconds.append(time.perf_counter() - begun)
        failed += users.failed
        asked += users.asked
    return Table(
        f"A candidate that begins to answer 500, at {_GUARD_RATE} GETs a second",
        ("", "median", "worst"),
        [
            ("until nobody is on it, s", f"{percentile(seconds, 0.5):.1f}", f"{max(seconds):.1f}"),
            ("GETs that users saw fail", f"{failed} of {asked}", f"{100 * failed / max(1, asked):.2f} %"),
        ],
    )


def _cost(stand: _Stand, seconds: float) -> Table:
    """The same load on the service itself, through nginx, through the gateway."""
    stand.plan()
    stand.rollouts.step("tasks", 50, who="benchmark", force=True)
    stand.follow()
    rows = []
    places = (
        ("the service itself", stand.stable, None),
        ("nginx as a plain proxy", stand.plain, stand.plain_pid),
        ("the gateway", stand.front, stand.envoy_pid),
    )
    direct: list[float] = []
    for name, port, pid in places:
        asyncio.run(_latencies(port, 100, 0.5))
        before = processor_seconds(pid) if pid else None
        times = asyncio.run(_latencies(port, _RATE, seconds))
        used = processor_seconds(pid) if pid else None
        direct = direct or times
        figures = [f"{1000 * percentile(times, share):.2f}" for share in (0.5, 0.99)]
        figures += [f"{1000 * (percentile(times, share) - percentile(direct, share)):+.2f}" for share in (0.5, 0.99)]
        each = "-" if before is None or used is None else f"{1e6 * (used - before) / len(times):.0f}"
        rows.append((name, *figures, each, f"{asyncio.run(_throughput(port, min(seconds, 5.0))):,.0f}"))
    columns = ("", "p50, ms", "p99, ms", "added p50", "added p99", "processor, µs", "most requests/s")
    notes = [
        (
            f"{_RATE} requests a second, whether or not the last one was answered; the most with 16 connections. The "
            "client is a Python program on the same processors. The processor time is the proxy's own for a request: "
            "the figure that other load on the machine leaves alone."
        )
    ]
    return Table("What the gateway costs a request", columns, rows, notes)


def _both(seconds: Sequence[float]) -> tuple[str, str]:
    return f"{1000 * percentile(seconds, 0.5):.1f}", f"{1000 * percentile(seconds, 0.99):.1f}"


class _Watcher:
    """Asks all the time as one user, and remembers what the answers said."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._seen: tuple[str, float] = ("", 0.0)
        self.last_on_candidate = 0.0

    @property
    def version(self) -> str:
        """What the last answer said."""
        return self._seen[0]

    def __enter__(self) -> Self:
        self._thread.start()
        while not self.version:
            time.sleep(0.001)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        self._thread.join()

    def changed(self, before: str) -> float:
        """When the first answer came that said something else."""
        while self._seen[0] == before:
            time.sleep(0.0005)
        return self._seen[1]

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._stopping.is_set():
            connection.request("GET", "/tasks/1", headers={"Authorization": "Bearer u1"})
            response = connection.getresponse()
            response.read()
            now, version = time.perf_counter(), response.headers["x-weave-config"]
            if version != self._seen[0]:
                self._seen = (version, now)
            if response.headers.get("x-weave-side") == "candidate":
                self.last_on_candidate = now
        connection.close()


class _Users:
    """Many users who read at a rate, in a thread."""

    def __init__(self, port: int, rate: int) -> None:
        self._port = port
        self._rate = rate
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.asked = self.failed = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._stopping.wait(1 / self._rate):
            user = f"Bearer u{self.asked % _USERS}"
            connection.request("GET", "/tasks/1", headers={"Authorization": user})
            response = connection.getresponse()
            response.read()
            self.asked += 1
            self.failed += response.status != 200
        connection.close()


async def _latencies(port: int, rate: int, seconds: float) -> list[float]:
    """Open loop: each request is due at its time, and its time counts from then on."""
    free = [await asyncio.open_connection("127.0.0.1", port) for _ in range(32)]
    times: list[float] = []
    running: set[asyncio.Task[None]] = set()

    async def one(number: int, due: float) -> None:
        connection = free.pop() if free else await asyncio.open_connection("127.0.0.1", port)
        await _get(connection, number)
        times.append(time.perf_counter() - due)
        free.append(connection)

    begun = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = begun + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        # What the client's own clock is late by is none of the server's.
        task = asyncio.create_task(one(number, time.perf_counter()))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    for _, writer in free:
        writer.close()
    return times


async def _throughput(port: int, seconds: float) -> float:
    ends = time.perf_counter() + seconds

    async def user(number: int) -> int:
        connection = await asyncio.open_connection("127.0.0.1", port)
        done = 0
        while time.perf_counter() < ends:
            await _get(connection, number)
            done += 1
        connection[1].close()
        return done

    return sum(await asyncio.gather(*(user(number) for number in range(16)))) / seconds


async def _get(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], number: int) -> None:
    reader, writer = connection
    user = f"u{number % _USERS}"
    writer.write(f"GET /tasks/1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {user}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head[:15], head
    await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))


@contextmanager
def _stand(folder: Path) -> Iterator[_Stand]:
    ports = {name: free_port() for name in ("stable", "candidate", "plain", "control", "comparer", "front", "admin")}
    mode = folder / "broken"
    proxies = [_nginx(folder / name, part) for name, part in _configurations(ports, mode).items()]
    for port in (ports["stable"], ports["plain"]):
        _await_listening(port)
    database = Database(f"sqlite:///{folder / 'weave.db'}")
    upgrade(database, [bus.SCHEMA, models.SCHEMA])
    place = Place(
        port=ports["front"],
        admin_port=ports["admin"],
        control=f"http://127.0.0.1:{ports['control']}",
        comparer=f"http://127.0.0.1:{ports['comparer']}",
        monolith=f"http://127.0.0.1:{ports['stable']}",
    )
    envoy = EnvoyProcess(find(), folder / "envoy", admin_port=ports["admin"], workers=1)
    rollouts = Rollouts(database, "vault")
    control = Control(
        rollouts, database, vault_id="vault", node="bench", edge=Edge(place=place), folder=folder / "envoy", envoy=envoy
    )
    try:
        with _told_to(folder / "envoy.log"):
            control.start()
        yield _Stand(
            rollouts, control, ports["front"], ports["stable"], ports["candidate"], ports["plain"], mode,
            plain_pid=proxies[-1].pid, envoy_pid=envoy.pid,
        )  # fmt: skip
    finally:
        control.stop()
        for proxy in proxies:
            proxy.terminate()
            proxy.wait()
        database.close()


@contextmanager
def _told_to(file: Path) -> Iterator[None]:
    """What a process that is started meanwhile says on its standard error goes to `file`."""
    kept = os.dup(2)
    try:
        with file.open("ab") as log:
            os.dup2(log.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _configurations(ports: dict[str, int], mode: Path) -> dict[str, str]:
    """What stands behind the gateway, and the plain proxy. The candidate is broken while a file stands."""
    task = 'default_type application/json; return 200 "{\\"id\\": 1, \\"title\\": \\"Water the plants\\"}";'
    behind = f"""
  map $http_authorization $caller {{ "~^Bearer (?<name>u.*)$" $name; }}
  server {{ listen 127.0.0.1:{ports["stable"]}; location / {{ {task} }} }}
  server {{ listen 127.0.0.1:{ports["candidate"]};
    location = /ready {{ return 200 "ready"; }}
    location / {{ if (-f {mode}) {{ return 500 "broken"; }} {task} }} }}
  server {{ listen 127.0.0.1:{ports["control"]}; add_header x-weave-user $caller; location / {{ return 200 ""; }} }}
  server {{ listen 127.0.0.1:{ports["comparer"]}; location / {{ return 204; }} }}
"""
    plain = f"""
  upstream stable {{ server 127.0.0.1:{ports["stable"]}; keepalive 64; }}
  server {{ listen 127.0.0.1:{ports["plain"]};
    location / {{ proxy_pass http://stable; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
"""
    return {"behind": behind, "plain": plain}


def _nginx(folder: Path, servers: str) -> subprocess.Popen[bytes]:
    """One nginx of one process."""
    folder.mkdir()
    places = " ".join(f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    file = folder / "nginx.conf"
    file.write_text(f"""
master_process off; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log warn;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000; {places} {servers} }}
""")
    return subprocess.Popen(["nginx", "-c", file, "-p", folder], stderr=subprocess.DEVNULL)


def _await_listening(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.connect()
        except OSError:
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.02)
        else:
            connection.close()
            return
