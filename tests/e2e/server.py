"""Real processes: `weave up` on a copy of a vault, as a user runs it."""

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
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[2] / "examples" / "vault"
WEAVE = Path(sys.executable).with_name("weave")


def wait_until(condition: Callable[[], Any], seconds: float = 60) -> Any:
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
    process: subprocess.Popen[bytes] | None = None
    url: str = ""

    @property
    def env(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WEAVE_")}
        return {**inherited, "WEAVE_DATA_DIR": str(self.data_dir), **self.environment}

    @property
    def key(self) -> str:
        return (self.data_dir / "api-key").read_text().strip()

    def start(self) -> "Server":
        (self.data_dir / "address").unlink(missing_ok=True)
        self.data_dir.mkdir(exist_ok=True, parents=True)
        with (self.data_dir / "log").open("ab") as log:
            process = self.process = subprocess.Popen(
                [WEAVE, "up", self.vault, "--port", "0"], env=self.env, stdout=log, stderr=log
            )
        address = self.data_dir / "address"
        wait_until(lambda: process.poll() is not None or (address.exists() and address.read_text().strip()))
        assert process.poll() is None, self.log()
        self.url = address.read_text().strip()
        wait_until(lambda: self.get("/ready").status == 200)
        return self

    def log(self) -> str:
        return (self.data_dir / "log").read_text()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, None, **headers)

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if (self.data_dir / "api-key").exists():
            sent.setdefault("Authorization", f"Bearer {self.key}")
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return Answer(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())
        except urllib.error.URLError:
            return Answer(0, {}, b"")
