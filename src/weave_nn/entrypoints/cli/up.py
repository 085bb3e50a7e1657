"""`weave up`: serve a vault over HTTP and MCP until stopped."""

import gc
import json
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from weave_nn.entrypoints.cli.options import (
    DataDirOption,
    ReadOnlyOption,
    VaultArgument,
    load_settings,
    open_instance,
    warn,
)

if TYPE_CHECKING:
    from weave_nn.shared.config import Configuration, Instance, Settings
    from weave_nn.shared.http import Listener

SHUTDOWN_SECONDS = 10
LOCAL_HOSTS = {"127.0.0.1", "::1", "localhost"}


def up(
    vault: VaultArgument = None,
    *,
    host: Annotated[str | None, typer.Option(help="The address to listen on. Default: WEAVE_HOST, 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="The port, 0 for any free one. Default: WEAVE_PORT, 8000.")] = None,
    read_only: ReadOnlyOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Serve a vault over HTTP and MCP until stopped with Ctrl-C.

    Prints the address, where the API key is, and what to paste into Claude Desktop's configuration.

    \b
    weave up ~/Notes
    weave up ~/Notes --port 9000 --read-only
    WEAVE_VAULT=~/Notes weave up
    """
    # Being asked to stop is a success, also while the start is still under way.
    signal.signal(signal.SIGTERM, _stop)
    configuration = load_settings(vault=vault, host=host, port=port, read_only=read_only, data_dir=data_dir)
    settings = configuration.settings
    from weave_nn.shared.config import check_vault

    check_vault(settings)
    from weave_nn.shared.http import listen

    listener = listen(settings.host, settings.port)
    try:
        instance = open_instance(settings, serving=True)
        if settings.host not in LOCAL_HOSTS:
            warn(f"{settings.host} can be reached by other machines, without TLS; see WEAVE_ALLOWED_HOSTS.")
        _serve(settings, instance, listener, _banner(configuration, instance, listener.url))
    finally:
        listener.close()


def _stop(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


def _serve(settings: "Settings", instance: "Instance", listener: "Listener", banner: str) -> None:
    # What importing and composing make stays for good: looking for garbage in it costs an eighth of a start's time,
    # and pauses of requests later on.
    gc.disable()
    from weave_nn.entrypoints import monolith
    from weave_nn.entrypoints.cli.running import recorded_address
    from weave_nn.shared.http import serve

    composed = monolith.build(settings, instance)
    gc.freeze()
    gc.enable()
    try:
        composed.start()
        with recorded_address(instance.data_dir, listener.url):
            serve(
                composed.app,
                listener,
                drain_seconds=settings.drain_seconds,
                shutdown_seconds=SHUTDOWN_SECONDS,
                on_ready=lambda: _show(banner),
            )
    finally:
        composed.stop()


def _show(banner: str) -> None:
    typer.echo(banner)
    sys.stdout.flush()


def _banner(configuration: "Configuration", instance: "Instance", address: str) -> str:
    from weave_nn import __version__

    settings = configuration.settings
    where = str(instance.api_key_file) if instance.api_key_file else "from WEAVE_API_KEY"
    mode = ", read-only" if settings.read_only else ""
    return "\n".join(
        (
            f"Weave-NN {__version__} serves {instance.vault}{mode}",
            f"  Address   {address}  (documentation at /docs, MCP at /mcp)",
            f"  API key   {where}",
            f"  State     {instance.data_dir}",
            "",
            "For Claude Desktop, paste this into claude_desktop_config.json:",
            json.dumps(_client_configuration(configuration, instance), indent=2, ensure_ascii=False),
            "",
            "Stop with Ctrl-C.",
        ),
    )


def _client_configuration(configuration: "Configuration", instance: "Instance") -> dict[str, Any]:
    """What makes a client start `weave mcp` on the same state; it inherits neither our environment nor our folder."""
    from weave_nn.shared.config import variable

    settings, origins = configuration.settings, configuration.origins
    environment = {
        variable(name): value
        for name, value in (
            ("data_dir", str(instance.data_dir)),
            ("vault_id", instance.vault_id),
            ("read_only", str(settings.read_only).lower()),
            ("database_url", instance.database_url),
        )
        if origins[name] != "default"
    }
    client: dict[str, Any] = {"command": _executable(), "args": ["mcp", str(instance.vault)]}
    if environment:
        client["env"] = environment
    return {"mcpServers": {f"weave-{instance.slug}": client}}


def _executable() -> str:
    """The absolute path of the command `weave` of this installation."""
    beside = Path(sys.executable).with_name("weave.exe" if sys.platform == "win32" else "weave")
    return str(beside) if beside.exists() else shutil.which("weave") or str(Path(sys.argv[0]).resolve())
