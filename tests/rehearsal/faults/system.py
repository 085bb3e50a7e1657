"""The system under test: every service in processes of its own, on servers that only this rehearsal uses.

Between each process and each server, and between services, lies a proxy that can be cut or slowed. Whoever ends by
itself is started again, as a supervisor would, and that is counted.
"""

import contextlib
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ports import free_port
from postgres import OwnPostgres
from rabbitmq import NoBroker, Node
from redis_server import OwnRedis
from tcp_proxy import Proxy

TESTS = Path(__file__).parents[2]
KEY = "key-of-the-rehearsal"
RESTART_SECONDS = 0.3
READY_SECONDS = 300.0
SMALL: Mapping[str, tuple[str, ...]] = {
    "files-1": ("files",), "files-2": ("files",), "tasks-1": ("tasks",), "sync-1": ("sync", "mcp"), "git-1": ("git",),
    "relay-1": ("watcher", "relay"),
}  # fmt: skip
LARGE: Mapping[str, tuple[str, ...]] = {
    "files-1": ("files",), "files-2": ("files",), "tasks-1": ("tasks",), "tasks-2": ("tasks",), "sync-1": ("sync",),
    "sync-2": ("sync",), "git-1": ("git",), "git-2": ("git",), "watcher-1": ("watcher",), "watcher-2": ("watcher",),
    "relay-1": ("relay",), "relay-2": ("relay",), "mcp-1": ("mcp",),
}  # fmt: skip
"""The processes by name, and the parts that each serves."""

SERVICES = ("files", "tasks", "sync", "git", "mcp")
_VAULT_MEGABYTES, _STATE_MEGABYTES = 64, 24


class NoServer(Exception):
    """What the rehearsal stands on cannot be had here; the message says why."""


@dataclass
class Kept:
    """A process that is started again when it has ended, unless it is held down."""

    name: str
    port: int
    process: subprocess.Popen[bytes] | None = None
    held_down: bool = False
    killed: int = 0
    ended_by_itself: int = 0
    start_at: float = 0.0


class System:
    """Everything in `folder`; leave the context, and nothing of it runs any more."""

    def __init__(self, folder: Path, processes: Mapping[str, tuple[str, ...]], *, vault_bytes: int = 0) -> None:
        self.folder = folder
        self.vault, self.state = folder / "vault", folder / "state"
        self.parts = processes
        self.kept = {name: Kept(name, free_port()) for name in processes}
        self.proxies: dict[str, Proxy] = {}
        self.failing_file = folder / "failing"
        self.small_disks = False
        self._vault_megabytes = _VAULT_MEGABYTES + 3 * vault_bytes // 2**20
        self.clocks = False
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def _open(self) -> None:
        # PostgreSQL refuses to be root, and its other user has to come through here.
        self.folder.chmod(0o755)
        for place, megabytes in ((self.vault, self._vault_megabytes), (self.state, _STATE_MEGABYTES)):
            place.mkdir()
            self.small_disks = self._mounted(place, megabytes)
        self.clocks = self._build_clock()
        try:
            self._start_servers()
        except (NoBroker, ImportError, OSError, subprocess.SubprocessError) as error:
            raise NoServer(f"A server cannot be started: {error}") from error
        for name, url in self.direct.items():
            self._proxy(name.partition("_")[0].lower(), _port_of(url))
        for service in SERVICES:
            self._proxy(service, *(self.kept[name].port for name, parts in self.parts.items() if service in parts))

    def _start_servers(self) -> None:
        self.postgres = OwnPostgres(_made(self.folder / "postgres"))
        self.postgres.start()
        self._stack.callback(self._suppressed, self.postgres.stop)
        self.redis = OwnRedis(_made(self.folder / "redis"))
        self.redis.start()
        self._stack.callback(self.redis.stop)
        self.rabbitmq = Node(_made(self.folder / "rabbitmq"))
        self._stack.callback(self.rabbitmq.end_mapper)
        self._stack.callback(self.rabbitmq.kill)
        self.rabbitmq.start()

    def _mounted(self, place: Path, megabytes: int) -> bool:
        """Give it a small disk of its own, which can be filled; only root can."""
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "weave-rehearsal", str(place)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
            return False
        self._stack.callback(subprocess.run, ["umount", "--lazy", str(place)], capture_output=True, check=False)
        return True

    def _build_clock(self) -> bool:
        if (compiler := shutil.which("cc")) is None:
            return False
        source = Path(__file__).with_name("clock.c")
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(self.folder / "clock.so"), str(source), "-ldl"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _proxy(self, name: str, *ports: int) -> None:
        self.proxies[name] = proxy = Proxy("127.0.0.1", *ports)
        self._stack.callback(proxy.close)

    @staticmethod
    def _suppressed(stop: Callable[[], object]) -> None:
        # A fault may have stopped it already.
        with contextlib.suppress(subprocess.SubprocessError):
            stop()

    @property
    def direct(self) -> dict[str, str]:
        """The servers, past the proxies."""
        postgres = self.postgres.url.set(drivername="postgresql").render_as_string(hide_password=False)
        return {"POSTGRES_URL": postgres, "RABBITMQ_URL": self.rabbitmq.url, "REDIS_URL": self.redis.url}

    def environment(self, *, direct: bool = False) -> dict[str, str]:
        """What the processes are started with; `direct` for commands that are not part of the load."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WEAVE_", "DATABASE_"))}
        servers = dict(self.direct)
        if not direct:
            for name, url in servers.items():
                proxy = self.proxies[name.partition("_")[0].lower()]
                servers[name] = url.replace(f":{_port_of(url)}/", f":{proxy.port}/")
        servers["DATABASE_URL"] = servers.pop("POSTGRES_URL")
        addresses = {f"WEAVE_{name.upper()}_URL": self.address(name) for name in SERVICES if name != "mcp"}
        options = {
            "WEAVE_VAULT": str(self.vault),
            "WEAVE_DATA_DIR": str(self.state),
            "WEAVE_API_KEY": KEY,
            "WEAVE_SERVICE_KEY": "between-services-of-the-rehearsal",
            "WEAVE_GIT_QUIET_SECONDS": "1",
            "WEAVE_GIT_LONGEST_SECONDS": "5",
            "WEAVE_SEMANTIC": "off",
            "WEAVE_LOG_FORMAT": "json",
            "REHEARSAL_FAILING": str(self.failing_file),
            "PYTHONPATH": str(TESTS),
        }
        return kept | servers | addresses | options

    def address(self, service: str) -> str:
        """Where a service is reached: at the proxy before its replicas."""
        return f"http://127.0.0.1:{self.proxies[service].port}"

    def start(self) -> None:
        """Start all processes and keep them running."""
        first, *others = self.kept.values()
        # The first one brings the schema up, which the others would only wait for.
        self._start(first)
        self.wait_ready(first.name)
        for each in others:
            self._start(each)
        supervisor = threading.Thread(target=self._supervise, name="supervisor")
        supervisor.start()

        def end() -> None:
            self._stopping.set()
            supervisor.join()
            for each in self.kept.values():
                self._end(each)

        self._stack.callback(end)
        self.wait_ready(*self.kept)

    def _start(self, kept: Kept) -> None:
        environment = self.environment()
        if self.clocks:
            clock = self.folder / f"clock-{kept.name}"
            if not clock.exists():
                clock.write_bytes(struct.pack("q", 0))
            environment |= {"LD_PRELOAD": str(self.folder / "clock.so"), "REHEARSAL_CLOCK": str(clock)}
        command = [sys.executable, "-m", "rehearsal.faults.wrapped", "serve", *self.parts[kept.name]]
        with (self.folder / f"log-{kept.name}").open("ab") as log:
            kept.process = subprocess.Popen(
                [*command, "--port", str(kept.port)], env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def _supervise(self) -> None:
        while not self._stopping.wait(0.05):
            with self._lock:
                for each in self.kept.values():
                    if each.held_down or each.process is None or each.process.poll() is None:
                        continue
                    if each.start_at == 0.0:
                        each.ended_by_itself += 1
                        each.start_at = time.monotonic() + RESTART_SECONDS
                    if time.monotonic() >= each.start_at:
                        each.start_at = 0.0
                        self._start(each)

    def kill(self, name: str) -> None:
        """`kill -9`; it is started again soon after."""
        with self._lock:
            each = self.kept[name]
            if each.process is not None and each.process.poll() is None:
                each.process.kill()
                each.process.wait()
                each.killed += 1
                each.start_at = time.monotonic() + RESTART_SECONDS

    def shift_clock(self, name: str, seconds: int) -> None:
        """Let the wall clock of a process jump to so many seconds beside the right time."""
        (self.folder / f"clock-{name}").write_bytes(struct.pack("q", seconds))

    def stop(self) -> dict[str, int]:
        """End all in order; the exit codes."""
        with self._lock:
            for each in self.kept.values():
                each.held_down = True
            running = {each.name: each.process for each in self.kept.values() if each.process is not None}
            for process in running.values():
                process.send_signal(signal.SIGTERM)
            return {name: process.wait(60) for name, process in running.items()}

    def _end(self, kept: Kept) -> None:
        if kept.process is not None and kept.process.poll() is None:
            kept.process.kill()
            kept.process.wait()

    def is_ready(self, name: str) -> bool:
        return self.ask_ready(name)[0] == 200

    def ask_ready(self, name: str) -> tuple[int, str]:
        """The status and body of `/ready`, and 0 where nobody answers."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.kept[name].port}/ready", headers={"Authorization": f"Bearer {KEY}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")
        except OSError:
            return 0, ""

    def wait_ready(self, *names: str, seconds: float = READY_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        for name in names:
            while not self.is_ready(name):
                if time.monotonic() > deadline:
                    log = (self.folder / f"log-{name}").read_text(errors="replace")[-3000:]
                    raise AssertionError(f"{name} is not ready: {self.ask_ready(name)}\n{log}")
                self._stopping.wait(0.1)

    @contextlib.contextmanager
    def full(self, place: Path) -> Iterator[None]:
        """Leave no room on the disk of the vault or of the state folder."""
        filler = place / ".filler"
        try:
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                for size in (2**20, 4096):
                    with contextlib.suppress(OSError):
                        while file.write(b"x" * size) == size:
                            pass
            yield
        finally:
            filler.unlink(missing_ok=True)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _port_of(url: str) -> int:
    return int(url.rpartition("@")[2].rpartition("//")[2].partition(":")[2].partition("/")[0])
