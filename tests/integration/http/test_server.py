import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from httpx2 import Client

from weave_nn.shared.http import CannotListen, listen

SERVER = Path(__file__).with_name("server_process.py")
HEAD = b"Host: localhost\r\nAuthorization: Bearer k\r\n"
DRAIN_SECONDS = 30.0
LIMIT_SECONDS = 60


class Server:
    """A server in a process of its own."""

    def __init__(self, host: str, drain_seconds: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SERVER), host, "0", str(drain_seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = self.line()
        self.client = Client(base_url=self.url, headers={"Authorization": "Bearer k"}, timeout=LIMIT_SECONDS)

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def connect(self) -> socket.socket:
        address = urlsplit(self.url)
        assert address.hostname is not None
        assert address.port is not None
        return socket.create_connection((address.hostname, address.port), timeout=LIMIT_SECONDS)

    def stop(self) -> tuple[str, str]:
        """End it and return the rest of its output and its log."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=LIMIT_SECONDS)


Start = Callable[..., Server]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def run(host: str = "127.0.0.1", drain_seconds: float = 0.0) -> Server:
            server = Server(host, drain_seconds)
            stack.callback(server.stop)
            return server

        yield run


def answer(connection: socket.socket) -> bytes:
    """All that comes until the peer is silent after a whole response with a body of JSON."""
    received = b""
    while b"\r\n\r\n" not in received or not received.endswith((b"}", b"]", b'"')):
        chunk = connection.recv(65536)
        if not chunk:
            break
        received += chunk
    return received


def test_a_taken_port_is_told_in_one_line_before_anything_starts() -> None:
    first = listen("127.0.0.1", 0)
    try:
        with pytest.raises(CannotListen) as refused:
            listen("127.0.0.1", first.port)
    finally:
        first.close()
    assert str(refused.value).startswith(f"Port {first.port} on 127.0.0.1 is taken. Stop the program")
    assert "\n" not in str(refused.value)
    listen("127.0.0.1", first.port).close()


@pytest.mark.parametrize(
    ("host", "said"), [("no such host", "is not known"), ("192.0.2.1", "is not an address of this machine")]
)
def test_a_host_that_cannot_be_listened_on_is_told(host: str, said: str) -> None:
    with pytest.raises(CannotListen, match=said):
        listen(host, 0)


def test_a_name_is_listened_on_with_all_its_addresses_on_one_port() -> None:
    listener = listen("localhost", 0)
    try:
        assert {one.getsockname()[1] for one in listener.sockets} == {listener.port}
        assert listener.url == f"http://localhost:{listener.port}"
        # Without this asyncio leaves Nagle's algorithm on, and each response waits for 40 ms.
        assert {one.proto for one in listener.sockets} == {socket.IPPROTO_TCP}
    finally:
        listener.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_serves_until_a_signal_and_the_caller_can_clean_up(start: Start, host: str) -> None:
    try:
        listen(host, 0).close()
    except CannotListen:
        pytest.skip(f"{host} is not there on this machine")
    server = start(host)
    assert server.client.get("/ready").json()["status"] == "ready"
    assert server.client.get("/hold2").status_code == 404
    server.process.send_signal(signal.SIGTERM)
    out, log = server.process.communicate(timeout=LIMIT_SECONDS)
    assert (server.process.returncode, out) == (0, "cleaned up\n")
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["status"] for line in lines if line["event"] == "request"] == [404]


def test_running_requests_end_before_it_stops(start: Start) -> None:
    server = start()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.client.get, "/hold")
        assert server.line() == "held"
        with Client(base_url=server.url, headers={"Authorization": "Bearer k"}) as other:
            # The connection exists before the signal: it is answered until the listener is gone for new ones.
            assert other.get("/health").status_code == 200
            server.client.get("/release")
            server.process.send_signal(signal.SIGTERM)
            assert running.result(timeout=LIMIT_SECONDS).json() == "released"
    assert server.process.wait(timeout=LIMIT_SECONDS) == 0


def test_while_draining_it_serves_but_is_not_ready_and_a_second_signal_ends_it(start: Start) -> None:
    server = start(drain_seconds=DRAIN_SECONDS)
    server.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + LIMIT_SECONDS
    while (response := server.client.get("/ready")).status_code == 200:
        assert time.monotonic() < deadline
    assert response.json()["status"] == "draining"
    assert server.client.get("/release").status_code == 200
    begun = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=LIMIT_SECONDS) == 0
    assert time.monotonic() - begun < DRAIN_SECONDS / 2


def test_a_chunked_body_over_the_limit_is_refused_while_it_comes(start: Start) -> None:
    with start().connect() as connection:
        connection.sendall(b"PUT /size HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"x" * 100_000
        for _ in range(11):
            connection.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        response = answer(connection)
    assert response.startswith(b"HTTP/1.1 413 ")
    assert b'"limit_bytes":1000000' in response


def test_a_declared_body_over_the_limit_is_refused_before_it_is_sent(start: Start) -> None:
    with start().connect() as connection:
        connection.sendall(
            b"PUT /size HTTP/1.1\r\n" + HEAD + b"Content-Length: 1000001\r\nExpect: 100-continue\r\n\r\n"
        )
        assert answer(connection).startswith(b"HTTP/1.1 413 ")


def test_a_silent_client_is_given_up_and_hinders_nobody(start: Start) -> None:
    server = start()
    with server.connect() as silent:
        silent.sendall(b"PUT /size HTTP/1.1\r\n" + HEAD + b"Content-Length: 10\r\n\r\nabc")
        assert server.client.put("/size", content=b"x" * 500_000).json() == 500_000
        assert answer(silent).startswith(b"HTTP/1.1 408 ")


def test_a_body_cut_short_by_the_client_never_reaches_the_route(start: Start) -> None:
    server = start()
    with server.connect() as leaving:
        leaving.sendall(b"PUT /size HTTP/1.1\r\n" + HEAD + b"Content-Length: 10\r\n\r\nabc")
        assert server.client.get("/release").status_code == 200
    # What comes after its leaving is answered after it was noticed.
    assert server.client.get("/release").status_code == 200
    _, log = server.stop()
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["status"] for line in lines if line["event"] == "request" and line["path"] == "/size"] == [499]
    assert "Traceback" not in log


def test_requests_that_are_no_http_and_foreign_hosts_are_refused(start: Start) -> None:
    server = start()
    for request, status in ((b"nonsense\r\n\r\n", b"400"), (b"GET /size HTTP/1.0\r\n\r\n", b"421")):
        with server.connect() as connection:
            connection.sendall(request)
            assert connection.recv(65536).split(b" ")[1] == status
