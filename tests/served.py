"""An application on a real port, served by a thread of the test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import APIRouter, FastAPI

from weave_nn.shared.http import Listener, Security, StaticKey, create_app, listen, serve


@contextmanager
def served(*routers: APIRouter, key: str = "secret") -> Iterator[str]:
    """The URL of an application with these routers; `key` opens all of them."""
    app = create_app(title="test", version="0", routers=routers, security=Security(authenticator=StaticKey(key)))
    listener = listen("127.0.0.1", 0)
    ready = threading.Event()
    thread = threading.Thread(target=_serve, args=(app, listener, ready), daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield listener.url
    finally:
        app.state.server.should_exit = True
        thread.join(60)
        listener.close()


def _serve(app: FastAPI, listener: Listener, ready: threading.Event) -> None:
    serve(app, listener, shutdown_seconds=1, on_ready=ready.set)
