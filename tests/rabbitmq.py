"""A broker for tests, as a plugin of pytest: `rabbitmq_server` and `rabbitmq_url`.

See `services` for which broker it is; a missing one is of the Debian package, started for the session with its own
ports, data and cookie (see `Node`, which fault tests use to have brokers that they may kill).

A virtual host cannot be made over AMQP, so every test has a prefix of its own before the names of its queues and
exchanges; they are deleted when it ends.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pika
import pytest
from pika.exceptions import AMQPError

from ports import free_port
from services import missing, own_only

LOCAL = "amqp://guest:guest@127.0.0.1:5672/%2F"
START_SECONDS = 120.0
_BINARIES = (Path("/usr/lib/rabbitmq/bin"), Path("/usr/local/lib/rabbitmq/bin"), Path("/opt/rabbitmq/sbin"))
QUEUES = ("mcp_sync", "git_auto_commit", "task_sync", "file_edits", "q", "a", "b", "all", "none", "other", "one", "two")


class NoBroker(Exception):
    """RabbitMQ can be neither reached nor started."""


class Node:
    """A broker of our own, which may be killed; needs neither root nor any service of the system.

    `peers` are names of running nodes with the same `cookie`, whose cluster it joins.
    """

    def __init__(self, folder: Path, *, cookie: str | None = None) -> None:
        self.name = f"weave-{uuid.uuid4().hex[:8]}@localhost"
        self.cookie = cookie or uuid.uuid4().hex
        self.port, self.tls_port, self._distribution_port, self.mapper_port = (free_port() for _ in range(4))
        self.certificate = folder / "certificate.pem"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._binaries = _binaries()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".erlang.cookie").write_text(self.cookie)
        (folder / ".erlang.cookie").chmod(0o400)
        key = _certify(self.certificate)
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}\n"
            f"ssl_options.certfile = {self.certificate}\nssl_options.keyfile = {key}\n"
            "disk_free_limit.absolute = 50MB\n"
            "vm_memory_high_watermark.absolute = 512MB\n"
            "log.file = false\nlog.console = true\nlog.console.level = warning\n"
        )
        (folder / "enabled_plugins").write_text("[].")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    @property
    def pid(self) -> int:
        """The broker's process."""
        return int((self._folder / "pid").read_text())

    def share_mapper(self, other: "Node") -> None:
        """Use the port mapper of another node, so that the two find one another."""
        self.mapper_port = other.mapper_port

    def start(self) -> None:
        """Start, or start again with what was kept; returns when it serves."""
        (self._folder / "pid").unlink(missing_ok=True)
        log = (self._folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [str(self._binaries / "rabbitmq-server")],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        tick = threading.Event()
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = (self._folder / "log").read_text(errors="replace")[-2000:]
                self.kill()
                raise NoBroker(f"the broker did not start: {tail}")
            tick.wait(0.1)

    def answers(self) -> bool:
        """Whether clients are served."""
        try:
            parameters = pika.URLParameters(self.url + "?connection_attempts=1&socket_timeout=2&stack_timeout=5")
            pika.BlockingConnection(parameters).close()
        except (AMQPError, OSError):
            return False
        return True

    def kill(self) -> None:
        """End it as a loss of power would, with everything that it has started but the port mapper."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self._process.pid, number)
            else:
                os.kill(self.pid, number)
        self._process.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process = None

    def suspend(self, *, on: bool) -> None:
        """Let it stand still, or go on."""
        os.kill(self.pid, signal.SIGSTOP if on else signal.SIGCONT)

    def control(self, *arguments: str) -> str:
        """What `rabbitmqctl` says."""
        done = subprocess.run(
            [str(self._binaries / "rabbitmqctl"), "-n", self.name, *arguments],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise NoBroker(f"rabbitmqctl {' '.join(arguments)}: {done.stdout} {done.stderr}")
        return done.stdout

    def join(self, other: "Node") -> None:
        """Become a member of the other's cluster; what was here is forgotten."""
        self.control("stop_app")
        self.control("join_cluster", other.name)
        self.control("start_app")

    def end_mapper(self) -> None:
        """End the port mapper that was started with the first node; all nodes must have ended."""
        deadline = time.monotonic() + START_SECONDS
        tick = threading.Event()
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            # It refuses until it has noticed that the nodes have ended.
            while "not allowed" in self._mapper("-kill") and time.monotonic() < deadline:
                tick.wait(0.1)

    def _mapper(self, command: str) -> str:
        done = subprocess.run(
            ["epmd", "-port", str(self.mapper_port), command],
            # Without the address that it listens on it would not be found.
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return done.stdout + done.stderr

    def _environment(self) -> dict[str, str]:
        folder = str(self._folder)
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("RABBITMQ_")},
            "HOME": folder,
            "ERL_EPMD_PORT": str(self.mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/advanced.config",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/rabbitmq-env.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/logs",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
        }


@contextlib.contextmanager
def node(folder: Path | None = None) -> Iterator[Node]:
    """A running broker of our own; raises `NoBroker`."""
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weave-rabbitmq-")))
        made = Node(folder)
        stack.callback(made.end_mapper)
        stack.callback(made.kill)
        made.start()
        yield made


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[str]:
    """The URL of a broker."""
    with contextlib.ExitStack() as stack:
        try:
            url = _given() or stack.enter_context(node()).url
        except (NoBroker, OSError, subprocess.SubprocessError) as error:
            missing("RabbitMQ", f"Set WEAVE_TEST_RABBITMQ_URL, or install rabbitmq-server ({error}).")
        yield url


@pytest.fixture(scope="session")
def rabbitmq_node() -> Iterator[Node]:
    """A broker that the tests may kill and start again; each leaves it running."""
    with contextlib.ExitStack() as stack:
        try:
            started = stack.enter_context(node())
        except (NoBroker, OSError, subprocess.SubprocessError) as error:
            missing("RabbitMQ", f"To test its failures, install rabbitmq-server ({error}).")
        yield started


@pytest.fixture
def rabbitmq_url(rabbitmq_server: str) -> Iterator[str]:
    """The value of `RABBITMQ_URL` for one test: nobody else sees its queues, and they go with it."""
    prefix = f"test-{uuid.uuid4().hex[:12]}."
    separator = "&" if "?" in rabbitmq_server else "?"
    yield f"{rabbitmq_server}{separator}prefix={prefix}"
    remove(rabbitmq_server, prefix)


def remove(url: str, prefix: str, queues: Sequence[str] = QUEUES) -> None:
    """Delete everything that a test with this prefix may have made."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    rests = [f"weave-nn.rest.{level}" for level in ("2s", "15s", "2m", "long")]
    for queue in (*queues, "dlq", *rests):
        channel.queue_delete(prefix + queue)
    for exchange in ("events", "queues", "rest", "dead", "vault"):
        channel.exchange_delete(f"{prefix}weave-nn.{exchange}")
    connection.close()


def _given() -> str | None:
    if named := os.environ.get("WEAVE_TEST_RABBITMQ_URL"):
        return named
    if own_only():
        return None
    try:
        pika.BlockingConnection(pika.URLParameters(LOCAL + "?socket_timeout=2&stack_timeout=5")).close()
    except (AMQPError, OSError):
        return None
    return LOCAL


def _certify(certificate: Path) -> Path:
    """Make a certificate for this machine that is its own authority; returns its key."""
    key = certificate.with_name("key.pem")
    made = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    command = ["openssl", *made, *subject, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    return key


def _binaries() -> Path:
    """The scripts themselves: those on the path may insist on being root or a user `rabbitmq`."""
    found = [folder for folder in _BINARIES if (folder / "rabbitmq-server").exists()]
    if found:
        return found[0]
    on_path = shutil.which("rabbitmq-server")
    if on_path and not re.match(r"^/usr/s?bin/", on_path):
        return Path(on_path).parent
    raise NoBroker("rabbitmq-server is not installed")
