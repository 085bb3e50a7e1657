"""Real processes for a rehearsal: the monolith, a task service, a gateway with Envoy, all of them as users run them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ports import free_port
from weave_nn.gateway.rollouts import Rollouts
from weave_nn.shared.bus.published import tail
from weave_nn.shared.db import Database
from weave_nn.shared.identity import Scope
from weave_nn.shared.identity.keyring import Keyring

WEAVE = Path(sys.executable).with_name("weave")
PATIENCE_SECONDS = 120.0


def wait_until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not in time: {what}"
        pause.wait(0.02)
    return answer


@dataclass
class House:
    """Everything in `folder`; leave the context, and nothing of it runs any more."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    database_url: str = ""

    def __enter__(self) -> Self:
        self.vault.mkdir(parents=True)
        (self.vault / "Inbox.md").write_text("# Inbox\n\n- [ ] Water the plants\n")
        for name in ("front", "monolith", "tasks", "faulty", "admin", "control", "comparer"):
            self.ports[name] = free_port()
        return self

    def __exit__(self, *_error: object) -> None:
        for name in ("gateway", *self.processes):
            self.end(name)
        self._end_others()

    @property
    def vault(self) -> Path:
        return self.folder / "vault"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def env(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("WEAVE_", "ROLLOUT_", "DATABASE_URL", "RABBITMQ_URL", "REDIS_URL"))
        }
        url = {"DATABASE_URL": self.database_url} if self.database_url else {}
        return kept | url | {
            "WEAVE_VAULT": str(self.vault),
            "WEAVE_DATA_DIR": str(self.state),
            "WEAVE_VAULT_ID": "rehearsal",
            "WEAVE_API_KEY": "administrator",
            "WEAVE_SERVICE_KEY": "between-services",
            "WEAVE_PORT": str(self.ports["front"]),
            "WEAVE_MONOLITH_URL": f"http://127.0.0.1:{self.ports['monolith']}",
            "WEAVE_TASKS_URL": f"http://127.0.0.1:{self.ports['tasks']}",
            "WEAVE_GATEWAY_ADMIN_PORT": str(self.ports["admin"]),
            "WEAVE_GATEWAY_CONTROL_PORT": str(self.ports["control"]),
            "WEAVE_GATEWAY_COMPARER_PORT": str(self.ports["comparer"]),
            "WEAVE_GATEWAY_WORKERS": "2",
            "WEAVE_GIT_AUTO_COMMIT": "false",
            "WEAVE_SEMANTIC": "off",
            "WEAVE_LOG_FORMAT": "json",
        }  # fmt: skip

    def start(self, name: str, *command: str | Path) -> subprocess.Popen[bytes]:
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log, cwd=Path(__file__).parents[1])
        self.processes[name] = process
        return process

    def start_monolith(self, port: str = "front") -> None:
        self.start("monolith", WEAVE, "up", "--port", str(self.ports[port]))
        self.await_ready(port)

    def start_faulty(self, upstream: str = "tasks") -> str:
        """A candidate that breaks on command; see `mode`."""
        self.mode("well")
        arguments = (str(self.ports["faulty"]), str(self.ports[upstream]), str(self.folder / "mode"))
        self.start("faulty", sys.executable, "-m", "rehearsal.faulty", *arguments)
        self.await_ready("faulty")
        return self.address("faulty")

    def mode(self, word: str) -> None:
        fresh = self.folder / "mode.new"
        fresh.write_text(word)
        fresh.replace(self.folder / "mode")

    def weave(self, *arguments: str, code: int = 0) -> str:
        """Run a command as a person does; what it printed."""
        done = subprocess.run(
            [WEAVE, *arguments], env=self.env, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == code, f"weave {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def ask(self, name: str, path: str, body: Any = None, method: str | None = None) -> tuple[int, Any]:
        """Ask as the administrator; status and JSON value."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": "Bearer administrator", "Content-Type": "application/json"}
        request = urllib.request.Request(self.address(name) + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")
        except (OSError, ValueError):
            return 0, None

    def await_ready(self, name: str) -> None:
        wait_until(lambda: self.ask(name, "/ready")[0] == 200, f"{name} is ready")

    def end(self, name: str, with_signal: int = signal.SIGTERM) -> None:
        process = self.processes.pop(name, None)
        if process is not None and process.poll() is None:
            process.send_signal(with_signal)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def database(self) -> Database:
        return Database(self.database_url or f"sqlite:///{self.state / 'weave.db'}")

    def rollouts(self, database: Database) -> Rollouts:
        return Rollouts(database, "rehearsal")

    def keys(self, database: Database, users: int) -> list[tuple[str, Sequence[str]]]:
        """Users with their keys; every tenth has two."""
        ring = Keyring(database)
        scopes = frozenset({Scope.READ, Scope.WRITE})
        made: list[tuple[str, Sequence[str]]] = []
        for number in range(users):
            name = f"user-{number:03}"
            names = [f"{name}-laptop", *([f"{name}-phone"] if number % 10 == 0 else [])]
            made.append((name, [ring.create(each, scopes, user=name).secret for each in names]))
        ring.close()
        return made

    def _end_others(self) -> None:
        """End what `weave extract` and the gateway started; both are known by our folder in their environment."""
        mark = f"WEAVE_DATA_DIR={self.state}".encode()
        boot = str(self.state / "envoy" / "boot.json").encode()
        for each in Path("/proc").iterdir():
            if not each.name.isdigit() or int(each.name) == os.getpid():
                continue
            try:
                ours = mark in (each / "environ").read_bytes() or boot in (each / "cmdline").read_bytes()
            except OSError:
                continue
            if ours:
                _end(int(each.name))


def _end(pid: int) -> None:
    for sent in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, sent)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and Path(f"/proc/{pid}").exists():
            time.sleep(0.05)


def announced(database: Database, type_: str) -> list[str]:
    """The subjects of all published events of a type, as often as each was published."""
    found: list[str] = []
    position = 0
    while page := _page(database, position):
        position = page[-1][0]
        found += [json.loads(message.body)["subject"] for _, message in page if message.type == type_]
    return found


def _page(database: Database, after: int) -> Any:
    with database.read() as work:
        return tail(work.session, after=after, limit=1000)
