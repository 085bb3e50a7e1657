"""`weave gateway`: the one door for clients once anything is extracted."""

import signal
import sys
import threading
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from weave_nn.entrypoints.cli.options import DataDirOption, VaultArgument, load_settings, open_instance

if TYPE_CHECKING:
    from weave_nn.entrypoints.gateway import Gateway

SHUTDOWN_SECONDS = 5


def gateway(
    vault: VaultArgument = None,
    *,
    host: Annotated[str | None, typer.Option(help="The front door's address. Default: WEAVE_HOST, 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="The front door's port. Default: WEAVE_PORT, 8000.")] = None,
    data_dir: DataDirOption = None,
) -> None:
    """Run the gateway until stopped with Ctrl-C.

    It routes the front door's traffic with Envoy, as the rollouts in the database say. Started beside a monolith that
    serves the port, it takes the port over: the monolith goes on at WEAVE_MONOLITH_URL, and no request fails.

    \b
    weave gateway ~/Notes
    """
    signal.signal(signal.SIGTERM, _stop)
    settings = load_settings(vault=vault, host=host, port=port, data_dir=data_dir).settings
    instance = open_instance(settings, serving=True)
    from weave_nn.entrypoints import gateway as composing
    from weave_nn.shared.http import listen, serve

    listener = listen("127.0.0.1", settings.gateway_control_port)
    composed: Gateway | None = None
    failures: list[Exception] = []
    try:
        composed = composing.build(settings, instance)
        starting = threading.Thread(target=_start, args=(composed, failures), name="gateway-start")
        # Envoy asks this process who calls from its first request on: it starts when that can be answered.
        serve(
            composed.app,
            listener,
            drain_seconds=settings.drain_seconds,
            shutdown_seconds=SHUTDOWN_SECONDS,
            on_ready=starting.start,
        )
        starting.join()
    finally:
        if composed is not None:
            composed.stop()
        listener.close()
    if failures:
        raise failures[0]


def _start(composed: "Gateway", failures: list[Exception]) -> None:
    settings = composed.settings
    try:
        composed.start()
    except Exception as error:  # noqa: BLE001 - told where the command ends, which it does now
        failures.append(error)
        composed.app.state.server.should_exit = True
        return
    typer.echo(f"The gateway serves {settings.host}:{settings.port}; the monolith is at {settings.monolith_url}.")
    sys.stdout.flush()


def _stop(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(0)
