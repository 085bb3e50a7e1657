"""A process hands over its port while it is asked all the time, and nobody notices."""

import http.client
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ports import free_port
from weave_nn.shared.http import StaticKey, listen, serve
from weave_nn.shared.http.app import Security, create_app

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the hand-over is Linux's")

KEY = {"Authorization": "Bearer key", "Content-Type": "application/json"}


class Serving:
    """One of our applications, served in a thread."""

    def __init__(self) -> None:
        self.listener = listen("127.0.0.1", 0)
        self.app = create_app(title="t", version="1", routers=[], security=Security(authenticator=StaticKey("key")))
        ready = threading.Event()
        self.thread = threading.Thread(target=serve, args=(self.app, self.listener), kwargs={"on_ready": ready.set})
        self.thread.start()
        assert ready.wait(60)

    def stop(self) -> None:
        self.app.state.server.should_exit = True
        self.thread.join()
        self.listener.close()


@pytest.fixture
def serving() -> Iterator[Serving]:
    made = Serving()
    yield made
    made.stop()


def ask(port: int, path: str, method: str = "GET", body: str | None = None, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, {**KEY, **headers})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def taken_beside(port: int) -> tuple[socket.socket, uvicorn.Server, threading.Thread]:
    """Another server on the same port, as a gateway opens it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(2048)

    async def answer(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("the other")

    app = Starlette(routes=[Route("/{path:path}", answer)])
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    return sock, server, thread


def test_a_port_is_handed_over_without_a_failed_request(serving: Serving) -> None:
    port = serving.listener.port
    said: Counter[str] = Counter()
    stopping = threading.Event()

    def users(kept: bool) -> None:  # noqa: FBT001 - one of two kinds
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while not stopping.is_set():
            try:
                connection.request("GET", "/health")
                response = connection.getresponse()
                body = response.read().decode()
                said["ours" if "ok" in body else body] += 1
            except (OSError, http.client.HTTPException) as error:
                said[repr(error)] += 1
                connection.close()
            if not kept:
                connection.close()
        connection.close()

    threads = [threading.Thread(target=users, args=(kept,)) for kept in (True, False, False, False)]
    for thread in threads:
        thread.start()
    beside = free_port()
    assert ask(port, "/-/front-door/beside", "POST", f'{{"port": {beside}}}')[0] == 200
    sock, other, thread = taken_beside(port)
    try:
        status, ports = ask(beside, "/-/front-door/leave", "POST", '{"others": 1}')
        assert (status, f'"ports":[{beside}]' in ports) == (200, True)
        had = said["the other"]
        while said["the other"] < had + 50:
            time.sleep(0.01)
        assert ask(port, "/health")[1] == "the other"
        assert "ok" in ask(beside, "/health")[1]
    finally:
        stopping.set()
        for each in threads:
            each.join()
        other.should_exit = True
        thread.join()
        sock.close()
    assert set(said) == {"ours", "the other"}, said


def test_only_administrators_hand_over_and_never_without_another_port(serving: Serving) -> None:
    port = serving.listener.port
    assert ask(port, "/-/front-door", Authorization="Bearer wrong")[0] == 401
    status, body = ask(port, "/-/front-door/leave", "POST", '{"others": 1}')
    assert status == 409
    assert "no other port" in body
    status, body = ask(port, "/-/front-door/beside", "POST", f'{{"port": {port}}}')
    assert status == 200


def test_a_port_that_is_served_is_still_refused_to_a_second_server(serving: Serving) -> None:
    with pytest.raises(Exception, match="is taken"):
        listen("127.0.0.1", serving.listener.port)
