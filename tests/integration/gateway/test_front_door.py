"""How a gateway starts: beside a port that its predecessor left shared, and with a comparer that is there."""

import socket
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from integration.gateway.stand import wait_until
from ports import free_port
from weave_nn.entrypoints import gateway as composing
from weave_nn.shared.http import StaticKey, listen, serve
from weave_nn.shared.http.app import Security, create_app
from weave_nn.shared.http.front_door import PATH

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the hand-over is Linux's")


@pytest.fixture
def front() -> Iterator[int]:
    """The port of a monolith."""
    listener = listen("127.0.0.1", 0)
    app = create_app(title="t", version="1", routers=[], security=Security(authenticator=StaticKey("key")))
    ready = threading.Event()
    thread = threading.Thread(target=serve, args=(app, listener), kwargs={"on_ready": ready.set})
    thread.start()
    assert ready.wait(60)
    yield listener.port
    app.state.server.should_exit = True
    thread.join()
    listener.close()


def instance() -> Any:
    return SimpleNamespace(
        api_key=SecretStr("key"), vault="vault", data_dir="state", vault_id="vault", database_url="sqlite://"
    )


class Comparer:
    """A process that ends when it is told to."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.terminate = self.kill = self.ended.set

    def wait(self) -> int:
        self.ended.wait()
        return 1


def started(front: int, monolith: int, monkeypatch: pytest.MonkeyPatch) -> list[Comparer]:
    """Start a gateway whose Envoy serves already, and stop it; the comparers that it started."""
    comparers: list[Comparer] = []

    def process(*_arguments: object, **_options: object) -> Comparer:
        comparers.append(Comparer())
        return comparers[-1]

    monkeypatch.setattr("weave_nn.entrypoints.gateway.subprocess.Popen", process)
    monkeypatch.setattr(composing, "_COMPARER_AGAIN_SECONDS", 0.01)
    settings: Any = SimpleNamespace(
        host="127.0.0.1", port=front, monolith_url=f"http://127.0.0.1:{monolith}", gateway_comparer_port=1
    )
    envoy: Any = SimpleNamespace(admin=SimpleNamespace(ready=lambda: True), workers=1)
    control: Any = SimpleNamespace(start=lambda: None, stop=lambda: None)
    database: Any = SimpleNamespace(close=lambda: None)
    nothing: Any = None
    gateway = composing.Gateway(settings, instance(), database, control, envoy, nothing)
    gateway.start()
    wait_until(lambda: comparers)
    comparers[0].ended.set()
    wait_until(lambda: len(comparers) == 2)
    gateway.stop()
    return comparers


def ports(port: int) -> object:
    return composing._ask("GET", f"http://127.0.0.1:{port}{PATH}", instance(), None).get("ports")


def test_a_port_that_is_shared_still_is_taken_over_by_the_next_gateway(
    front: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = free_port()
    composing._tell(f"http://127.0.0.1:{front}", f"{PATH}/beside", instance(), port=beside)
    with socket.socket() as envoys:
        envoys.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        envoys.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        envoys.bind(("127.0.0.1", front))
        envoys.listen()
        assert ports(beside) == sorted([front, beside])
        started(front, beside, monkeypatch)
        assert ports(beside) == [beside]
        # Once it is taken over there is nothing more to do.
        started(front, beside, monkeypatch)
        assert ports(beside) == [beside]


def test_a_monolith_that_has_one_port_keeps_it(front: int, monkeypatch: pytest.MonkeyPatch) -> None:
    started(free_port(), front, monkeypatch)
    assert ports(front) == [front]


def test_a_comparer_that_ends_is_started_again_until_the_gateway_stops(
    front: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparers = started(free_port(), front, monkeypatch)
    assert [each.ended.is_set() for each in comparers] == [True, True]
