"""A server of its own process for the tests of the runner: `python server_process.py HOST PORT DRAIN_SECONDS`."""

import sys
import threading
from contextlib import suppress

from fastapi import APIRouter

from weave_nn.shared.http import Limits, Security, SpooledBody, StaticKey, create_app, listen, serve
from weave_nn.shared.observability import configure_logging

router = APIRouter()
held = threading.Event()


@router.get("/hold")
def hold() -> str:
    """Answer when /release is called."""
    print("held", flush=True)  # noqa: T201 - the test waits for this line
    held.wait(60)
    return "released"


@router.get("/release")
async def release() -> str:
    """Let /hold go on."""
    held.set()
    return "done"


@router.put("/size")
def size(body: SpooledBody) -> int:
    """Count the bytes of the body."""
    return sum(len(chunk) for chunk in iter(lambda: body.read(65536), b""))


if __name__ == "__main__":
    host, port, drain_seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    configure_logging("info", "json")
    app = create_app(
        title="Test",
        version="1",
        routers=[router],
        security=Security(authenticator=StaticKey("k")),
        limits=Limits(body_bytes=1_000_000, body_silence_seconds=0.5),
    )
    listener = listen(host, port)
    with suppress(KeyboardInterrupt):
        serve(app, listener, drain_seconds=drain_seconds, on_ready=lambda: print(listener.url, flush=True))  # noqa: T201 - as above
    print("cleaned up", flush=True)  # noqa: T201 - as above
