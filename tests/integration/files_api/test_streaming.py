"""Big attachments over a real connection: streamed in both directions, never held in memory."""

import hashlib
import socket
import tracemalloc
from collections.abc import Iterator
from http.client import HTTPConnection
from threading import Thread
from typing import TYPE_CHECKING

import pytest
import uvicorn

if TYPE_CHECKING:
    from integration.files_api.conftest import Server

HEADERS = {"Authorization": "Bearer a-key-of-the-tests"}
HEAD = "/files/big.bin HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer a-key-of-the-tests\r\n"
CHUNK = bytes(range(256)) * 4096
CHUNKS = 50
SIZE = CHUNKS * len(CHUNK)
DIGEST = hashlib.sha256(CHUNK * CHUNKS).hexdigest()
MEMORY = 12_000_000


@pytest.fixture(scope="module")
def address(lasting_server: "Server") -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = uvicorn.Server(uvicorn.Config(lasting_server.app, lifespan="off", log_config=None))
        thread = Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()
        running.should_exit = True
        thread.join()


@pytest.fixture
def connection(address: tuple[str, int]) -> Iterator[HTTPConnection]:
    connection = HTTPConnection(*address, timeout=30)
    yield connection
    connection.close()


@pytest.mark.parametrize("url", ["/files/Attachments/big%20one.bin", "/vault/Attachments/big%20one.bin"])
def test_a_big_attachment_passes_through_little_memory(server: "Server", connection: HTTPConnection, url: str) -> None:
    tracemalloc.start()
    try:
        body = (CHUNK for _ in range(CHUNKS))
        connection.request("PUT", url, body=body, headers=HEADERS | {"Content-Length": str(SIZE)})
        put = connection.getresponse()
        put.read()
        connection.request("GET", url, headers=HEADERS)
        got = connection.getresponse()
        digest = hashlib.sha256()
        while chunk := got.read(65536):
            digest.update(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert put.status in {201, 204}
    assert put.headers["ETag"] == got.headers["ETag"] == f'"{DIGEST}"'
    assert (got.status, got.headers["Content-Length"], digest.hexdigest()) == (200, str(SIZE), DIGEST)
    assert peak < MEMORY
    assert (server.root / "Attachments/big one.bin").stat().st_size == SIZE


def test_a_part_of_a_big_attachment_is_streamed(server: "Server", connection: HTTPConnection) -> None:
    server.write("big.bin", CHUNK * 3)
    start = len(CHUNK) - 1

    connection.request("GET", "/files/big.bin", headers=HEADERS | {"Range": f"bytes={start}-{start + len(CHUNK)}"})
    part = connection.getresponse()

    assert part.status == 206
    assert part.read() == CHUNK[-1:] + CHUNK


def test_a_chunked_upload_over_the_limit_leaves_nothing(server: "Server", connection: HTTPConnection) -> None:
    connection.request("PUT", "/files/.move/x.bin", body=iter([CHUNK] * 3), headers=HEADERS, encode_chunked=True)

    assert connection.getresponse().status == 413
    assert server.everything() == {}


def test_a_client_that_hangs_up_leaves_the_old_version(server: "Server", address: tuple[str, int]) -> None:
    old = server.write("big.bin", b"old")

    with socket.create_connection(address) as cut:
        cut.sendall(f"PUT {HEAD}Content-Length: {SIZE}\r\n\r\n".encode() + CHUNK)
    with socket.create_connection(address) as next_one:
        next_one.sendall(f"GET {HEAD}\r\n".encode())
        answer = b"".join(iter(lambda: next_one.recv(65536), b""))

    assert answer.endswith(b"old")
    assert server.everything() == {"big.bin": old}


def test_a_client_that_leaves_a_download_lets_go_of_the_file(server: "Server", address: tuple[str, int]) -> None:
    server.write("big.bin", CHUNK * 20)

    for _ in range(3):
        with socket.create_connection(address) as cut:
            cut.sendall(f"GET {HEAD}\r\n".encode())
            assert cut.recv(1000).startswith(b"HTTP/1.1 200")
    connection = HTTPConnection(*address, timeout=30)
    connection.request("HEAD", "/files/big.bin", headers=HEADERS)
    answer = connection.getresponse()

    assert (answer.status, answer.headers["Content-Length"]) == (200, str(20 * len(CHUNK)))
    connection.close()
