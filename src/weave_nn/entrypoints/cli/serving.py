"""What `weave up` and `weave serve` do alike: take the port, serve a process until a signal, and end in order."""

import gc
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

from weave_nn.entrypoints.cli.options import warn

if TYPE_CHECKING:
    from weave_nn.entrypoints.process import Process
    from weave_nn.shared.config import Instance, Settings
    from weave_nn.shared.http import Listener

SHUTDOWN_SECONDS = 10
LOCAL_HOSTS = {"127.0.0.1", "::1", "localhost"}


@contextmanager
def listening(host: str, port: int) -> Iterator["Listener"]:
    """The open port, before anything slow is begun; from now on being asked to stop is a success."""
    signal.signal(signal.SIGTERM, _stop)
    from weave_nn.shared.http import listen

    listener = listen(host, port)
    try:
        if host not in LOCAL_HOSTS:
            warn(f"{host} can be reached by other machines, without TLS; see WEAVE_ALLOWED_HOSTS.")
        yield listener
    finally:
        listener.close()


def serve_process(
    compose: Callable[[], "Process"],
    listener: "Listener",
    *,
    settings: "Settings",
    instance: "Instance",
    greeting: str,
    name: str | None = None,
) -> None:
    """Serve what `compose` makes until it is asked to stop; `greeting` is shown when it serves.

    Then `/ready` says so, requests are still taken while others notice, those that run are finished, and the work
    beside requests ends. `name` tells several processes of one state folder apart.
    """
    # What importing and composing make stays for good: looking for garbage in it costs an eighth of a start's time,
    # and pauses of requests later on.
    gc.disable()
    from weave_nn.entrypoints.cli.running import recorded_address
    from weave_nn.shared.http import serve

    process = compose()
    app = process.app
    gc.freeze()
    gc.enable()
    try:
        process.start()
        with recorded_address(instance.data_dir, listener.url, name):
            serve(
                app,
                listener,
                drain_seconds=settings.drain_seconds,
                shutdown_seconds=SHUTDOWN_SECONDS,
                trusted_proxies=settings.trusted_proxies,
                on_ready=lambda: _show(greeting),
            )
    finally:
        process.stop()


def _stop(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


def _show(greeting: str) -> None:
    typer.echo(greeting)
    sys.stdout.flush()
