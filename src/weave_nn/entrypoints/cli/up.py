"""`weave up`: serve a vault over HTTP and MCP until stopped."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weave_nn.entrypoints.cli.options import (
    DataDirOption,
    ReadOnlyOption,
    VaultArgument,
    load_settings,
    open_instance,
)

if TYPE_CHECKING:
    from weave_nn.entrypoints.process import Process
    from weave_nn.shared.config import Configuration, Instance

PASSWORD = "YOUR-PASSWORD"  # noqa: S105 - stands in place of one


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
    configuration = load_settings(vault=vault, host=host, port=port, read_only=read_only, data_dir=data_dir)
    settings = configuration.settings
    from weave_nn.entrypoints.cli.serving import listening, serve_process
    from weave_nn.shared.config import check_vault

    check_vault(settings)
    with listening(settings.host, settings.port) as listener:
        instance = open_instance(settings, serving=True)

        def compose() -> "Process":
            from weave_nn.entrypoints import monolith

            return monolith.build(settings, instance)

        greeting = _banner(configuration, instance, listener.url)
        serve_process(compose, listener, settings=settings, instance=instance, greeting=greeting)


def _banner(configuration: "Configuration", instance: "Instance", address: str) -> str:
    from weave_nn import __version__

    settings = configuration.settings
    where = str(instance.api_key_file) if instance.api_key_file else "from WEAVE_API_KEY"
    mode = ", read-only" if settings.read_only else ""
    client = json.dumps(_client_configuration(configuration, instance), indent=2, ensure_ascii=False)
    return "\n".join(
        (
            f"Weave-NN {__version__} serves {instance.vault}{mode}",
            f"  Address   {address}  (documentation at /docs, MCP at /mcp)",
            f"  API key   {where}",
            f"  State     {instance.data_dir}",
            "",
            "For Claude Desktop, paste this into claude_desktop_config.json:",
            client,
            *([f"Write the passwords of the URLs in place of {PASSWORD}."] if PASSWORD in client else []),
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
            ("database_url", _without_password(instance.database_url)),
            ("rabbitmq_url", _without_password(settings.rabbitmq_url or "")),
            ("redis_url", _without_password(settings.redis_url or "")),
        )
        if origins[name] != "default"
    }
    client: dict[str, Any] = {"command": _executable(), "args": ["mcp", str(instance.vault)]}
    if environment:
        client["env"] = environment
    return {"mcpServers": {f"weave-{instance.slug}": client}}


def _without_password(url: str) -> str:
    """The URL as it may stand in a terminal, a log or a screenshot."""
    return re.sub(r"(://[^:/@\s]*:)[^@\s]*@", rf"\1{PASSWORD}@", url)


def _executable() -> str:
    """The absolute path of the command `weave` of this installation."""
    beside = Path(sys.executable).with_name("weave.exe" if sys.platform == "win32" else "weave")
    return str(beside) if beside.exists() else shutil.which("weave") or str(Path(sys.argv[0]).resolve())
