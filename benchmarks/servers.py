"""The servers that are measured, as processes: ours, and the nearest peer, in an environment of its own."""

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from socket import create_server
from typing import Any

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

ROOT = Path(__file__).parents[1]
PEER = "markdown-vault-mcp"
PEER_VERSION = "5.1.0"
START_SECONDS = 600.0
STOP_SECONDS = 180.0
READY_SECONDS = 0.05


@dataclass
class Server:
    """One server on one vault; it keeps its state in `state` and can be started again."""

    vault: Path
    state: Path
    process: subprocess.Popen[bytes] | None = None
    port: int = 0
    key: str = "measured"
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> float:
        """Start the process; returns after how many seconds it was ready."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ask the process to end, and wait until it has."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(STOP_SECONDS)
            self.process = None

    @property
    def pid(self) -> int:
        """The process."""
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> Path:
        """Where the process writes what it says."""
        return self.state / "server.log"

    def connection(self) -> HTTPConnection:
        """A connection that is kept open between requests."""
        return HTTPConnection("127.0.0.1", self.port, timeout=60)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """An MCP client over streamable HTTP."""
        headers = {"Authorization": f"Bearer {self.key}"}
        url = f"http://127.0.0.1:{self.port}/mcp"
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            yield client

    def _launch(self, command: list[str | Path], ready: Callable[[], bool]) -> float:
        self.state.mkdir(parents=True, exist_ok=True)
        # As after an installation: compiled modules are kept, and nothing of the caller's settings counts.
        settings = ("WEAVE_", "PYTHON", "DATABASE_URL", "RABBITMQ_URL", "REDIS_URL")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
        kept["PYTHONPYCACHEPREFIX"] = str(ROOT / ".cache" / "pycache")
        started = time.perf_counter()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=kept | self.environment, stdout=log, stderr=log)
        while not ready():
            assert self.process.poll() is None, (
                f"{command[0]} ended with {self.process.poll()}: {self.log.read_text()[-2000:]}"
            )
            assert time.perf_counter() - started < START_SECONDS, f"{command[0]} is not ready"
            time.sleep(READY_SECONDS)
        return time.perf_counter() - started

    def _answers(self, path: str) -> bool:
        connection = self.connection()
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


class WeaveServer(Server):
    """`weave up`."""

    def start(self) -> float:
        """Start; ready is when `/ready` says so."""
        self.port = free_port()
        # As the plain installation serves, which has no models either.
        self.environment = {"WEAVE_DATA_DIR": str(self.state), "WEAVE_API_KEY": self.key, "WEAVE_SEMANTIC": "off"}
        weave = Path(sys.executable).with_name("weave")
        return self._launch([weave, "up", self.vault, "--port", str(self.port)], lambda: self._answers("/ready"))


class PeerServer(Server):
    """The peer over HTTP, without its models; it is installed first where it is not yet."""

    def start(self) -> float:
        """Start; ready is when it has compared its index with the vault, which it says in its log only."""
        command = install_peer()
        self.port = free_port()
        prefix = "MARKDOWN_VAULT_MCP_"
        self.environment = {
            f"{prefix}SOURCE_DIR": str(self.vault),
            f"{prefix}INDEX_PATH": str(self.state / "index.db"),
            f"{prefix}STATE_PATH": str(self.state / "state.json"),
            f"{prefix}LOG_FORMAT": "json",
        }
        done = "build_index_complete" if not (self.state / "index.db").exists() else "reindex_changes_detected"
        arguments: list[str | Path] = [command, "serve", "--transport", "http", "--port", str(self.port)]
        return self._launch(arguments, lambda: done in self.log.read_text() and self._answers("/health"))


def install_peer() -> Path:
    """The peer's command, installed by uv into `.cache/bench-venv`, where nothing of it meets our dependencies."""
    environment = ROOT / ".cache" / "bench-venv"
    command = environment / "bin" / PEER
    if not command.exists():
        uv = ROOT / ".tools" / "bin" / "uv"
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, environment], check=True)
        wanted = f"{PEER}=={PEER_VERSION}"
        subprocess.run([uv, "pip", "install", "--quiet", "--python", environment, wanted], check=True)
    return command


def free_port() -> int:
    """A port that is free now."""
    with create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


async def call(client: Client, tool: str, **arguments: Any) -> CallToolResult:
    """Call a tool that must succeed."""
    result = await client.call_tool(tool, arguments)
    assert isinstance(result, CallToolResult)
    assert not result.is_error, result.content
    return result
