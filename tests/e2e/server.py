"""Real processes on a copy of a vault, as a user runs them: one `weave up`, or every service by itself."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from e2e import front_door
from ports import free_port

EXAMPLE = Path(__file__).parents[2] / "examples" / "vault"
WEAVE = Path(sys.executable).with_name("weave")


START_SECONDS = 240
"""For several processes that start at once, on a machine that may have other work."""


def wait_until(condition: Callable[[], Any], seconds: float = 90) -> Any:
    """Wait for a truthy answer."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (answer := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        pause.wait(0.03)
    return answer


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """One `weave up`; it can be killed and started again on the same state."""

    vault: Path
    data_dir: Path
    environment: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    url: str = ""

    @property
    def env(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WEAVE_")}
        return {**inherited, "WEAVE_DATA_DIR": str(self.data_dir), **self.environment}

    @property
    def key(self) -> str:
        return (self.data_dir / "api-key").read_text().strip()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self.processes["up"]

    def start(self) -> "Server":
        (self.data_dir / "address").unlink(missing_ok=True)
        self.run("up", "up", str(self.vault), "--port", "0")
        address = self.data_dir / "address"
        wait_until(
            lambda: self.process.poll() is not None or (address.exists() and address.read_text().strip()), START_SECONDS
        )
        assert self.process.poll() is None, self.log()
        self.url = address.read_text().strip()
        wait_until(lambda: self.get("/ready").status == 200, START_SECONDS)
        return self

    def run(self, name: str, *arguments: str) -> None:
        """Start one process of it."""
        self.data_dir.mkdir(exist_ok=True, parents=True)
        with (self.data_dir / f"log-{name}").open("ab") as log:
            self.processes[name] = subprocess.Popen([WEAVE, *arguments], env=self.env, stdout=log, stderr=log)

    def log(self) -> str:
        return "".join(each.read_text() for each in sorted(self.data_dir.glob("log-*")))

    def kill(self, *names: str) -> None:
        """Kill these of its processes, or all of them."""
        for name in names or list(self.processes):
            process = self.processes.pop(name)
            process.kill()
            process.wait()

    def stop(self) -> int:
        """End it as a user would; the highest exit code."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        return max(self.processes.pop(name).wait(START_SECONDS) for name in list(self.processes))

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, None, **headers)

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        for process in self.processes.values():
            assert process.poll() is None, self.log()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if (self.data_dir / "api-key").exists():
            sent.setdefault("Authorization", f"Bearer {self.key}")
        return self._send(urllib.request.Request(self.url + path, data=body, method=method, headers=sent))

    def ask(self, address: str, path: str) -> Answer:
        """GET from one of its processes, past the front door."""
        for process in self.processes.values():
            assert process.poll() is None, self.log()
        return self._send(urllib.request.Request(address + path))

    def _ready(self, address: str) -> bool:
        return self.ask(address, "/ready").status == 200

    def _send(self, request: urllib.request.Request) -> Answer:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return Answer(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return Answer(0, {}, b"")


STANDALONE = {
    "files": ("files",),
    "sync": ("sync", "mcp"),
    "tasks": ("tasks",),
    "git": ("git",),
    "beside": ("watcher", "relay"),
}
"""The processes of a set of standalone services, by name, and the parts that each serves."""


@dataclass
class Services(Server):
    """Every service in a process of its own, behind one door."""

    ports: dict[str, int] = field(default_factory=dict)
    _port: int = 0

    @property
    def _services(self) -> list[tuple[str, int]]:
        return [(name, port) for name, port in self.ports.items() if name in STANDALONE[name]]

    @property
    def env(self) -> dict[str, str]:
        addresses = {f"WEAVE_{name.upper()}_URL": f"http://127.0.0.1:{port}" for name, port in self._services}
        return {**addresses, "WEAVE_SERVICE_KEY": "key-between-services", **super().env}

    def start(self) -> "Services":
        if not self.ports:
            self._port = free_port()
            self.ports = {name: free_port() for name in STANDALONE}
            self.url = f"http://127.0.0.1:{self._port}"
        for name in STANDALONE:
            self.serve(name)
        self.processes["front-door"] = front_door.start(self.data_dir, self._port, self.ports)
        self.wait_ready()
        return self

    def serve(self, name: str, port: int | None = None) -> None:
        """Start one of the processes, or with `port` a further one of its kind."""
        at = self.ports[name] if port is None else port
        label = name if port is None else f"{name}-{port}"
        self.run(label, "serve", *STANDALONE[name], "--vault", str(self.vault), "--port", str(at))

    def wait_ready(self, *ports: int) -> None:
        """Wait until all of them, or those at `ports`, can serve."""
        for port in ports or self.ports.values():
            wait_until(partial(self._ready, f"http://127.0.0.1:{port}"), START_SECONDS)
        wait_until(lambda: self.get("/ready").status == 200)
