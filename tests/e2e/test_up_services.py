"""`make up-services`: every service as a process of its own, one of which dies."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.description import parts
from ports import free_row

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 180


class UpServices:
    def __init__(self, vault: Path, state: Path, first_port: int, servers: dict[str, str]) -> None:
        self._log = state.with_name("log")
        self.first_port = first_port
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "deploy.up_services",
                    str(vault),
                    "--state",
                    str(state),
                    "--port",
                    str(first_port),
                ],
                cwd=ROOT,
                env=os.environ
                | servers
                | {"PYTHONPATH": "tests", "WEAVE_API_KEY": "key", "WEAVE_GIT_AUTO_COMMIT": "false"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def lines(self) -> list[str]:
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()

    def pid_of(self, name: str) -> int:
        (row,) = [
            found for line in self.lines() if (found := re.match(rf"services \| {name}\s+http\S+\s+(\d+)$", line))
        ]
        return int(row[1])

    def port_of(self, name: str) -> int:
        (port,) = [part.port for part in parts() if part.name == name]
        return port - 8000 + self.first_port

    def ask(self, name: str, path: str, *, method: str = "GET", content: bytes | None = None) -> tuple[int, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port_of(name)}{path}",
            method=method,
            data=content,
            headers={"Authorization": "Bearer key", "Content-Type": "text/markdown", "Accept": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, None
        except OSError:
            return 0, None


def wait_until(condition: Callable[[], object], services: UpServices) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "\n".join(services.lines()[-60:])
        pause.wait(0.1)


@pytest.fixture
def services(tmp_path: Path, postgres_url: str, rabbitmq_url: str, redis_url: str) -> Iterator[UpServices]:
    vault = tmp_path / "vault"
    vault.mkdir()
    (vault / "here.md").write_text("# Here before\n")
    servers = {"DATABASE_URL": postgres_url, "RABBITMQ_URL": rabbitmq_url, "REDIS_URL": redis_url}
    started = UpServices(vault, tmp_path / "state", free_row(16), servers)
    yield started
    if started.process.poll() is None:
        started.process.send_signal(signal.SIGTERM)
        started.process.wait(LIMIT_SECONDS)


def test_all_services_work_together_and_outlive_one_that_is_killed(services: UpServices) -> None:
    wait_until(lambda: any("all are ready" in line for line in services.lines()), services)
    names = [part.name for part in parts()]
    pids = {name: services.pid_of(name) for name in names}

    status, _ = services.ask("files", "/files/new.md", method="PUT", content=b"# Lighthouse\n- [ ] paint it\n")
    assert status == 201

    def found() -> bool:
        _, answer = services.ask("sync", "/search?q=lighthouse")
        return answer is not None and "new.md" in json.dumps(answer)

    def listed() -> bool:
        _, answer = services.ask("tasks", "/tasks")
        return answer is not None and any(task["title"] == "paint it" for task in answer["tasks"])

    wait_until(found, services)
    wait_until(listed, services)

    os.kill(pids["tasks"], signal.SIGKILL)
    wait_until(lambda: any("ended with SIGKILL; starting again" in line for line in services.lines()), services)
    wait_until(listed, services)

    # As a terminal does it: Ctrl-C goes to every process of the group.
    os.killpg(services.process.pid, signal.SIGINT)
    assert services.process.wait(LIMIT_SECONDS) == 0
    assert services.lines()[-1].endswith("everything has ended")
    assert not any("redis.away" in line or "database_unusable" in line for line in services.lines())
    for name in names:
        assert services.ask(name, "/health")[0] == 0
