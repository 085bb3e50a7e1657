"""A gateway that comes again after its predecessor was killed in the middle of taking the port over."""

import socket
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

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


def started(front: int, monolith: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start a gateway whose Envoy serves already; nothing else of it is real."""
    monkeypatch.setattr("weave_nn.entrypoints.gateway.subprocess.Popen", lambda *_arguments, **_options: None)
    settings: Any = SimpleNamespace(
        host="127.0.0.1", port=front, monolith_url=f"http://127.0.0.1:{monolith}", gateway_comparer_port=1
    )
    envoy: Any = SimpleNamespace(admin=SimpleNamespace(ready=lambda: True), workers=1)
    control: Any = SimpleNamespace(start=lambda: None)
    nothing: Any = None
    composing.Gateway(settings, instance(), nothing, control, envoy, nothing).start()


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
