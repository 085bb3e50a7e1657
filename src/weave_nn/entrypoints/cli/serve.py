"""`weave serve`: some parts of Weave-NN as a process of their own."""

from typing import Annotated

import typer

from weave_nn.entrypoints.cli.options import DataDirOption, JsonOption, ReadOnlyOption, load_settings, open_instance
from weave_nn.entrypoints.cli.output import print_json, print_table, wants_json
from weave_nn.entrypoints.cli.search import VaultOption


def serve(
    parts: Annotated[list[str] | None, typer.Argument(metavar="PART...", help="What to serve; --list shows.")] = None,
    *,
    vault: VaultOption = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on. Default: WEAVE_HOST, 127.0.0.1.")] = None,
    port: Annotated[
        int | None, typer.Option(help="The port, 0 for any free one. Default: WEAVE_PORT, or that of the first part.")
    ] = None,
    read_only: ReadOnlyOption = None,
    data_dir: DataDirOption = None,
    show_list: Annotated[bool, typer.Option("--list", help="Show the parts with their ports, and end.")] = False,
    as_json: JsonOption = None,
) -> None:
    """Serve some parts of a vault's server as a process of their own, until stopped with Ctrl-C.

    All processes of a vault share its folder, the database and the bus. Any of them may run several times: they share
    the work, and what must be done once is taken over within seconds when the process that does it ends. Services
    that are not in this process are reached at WEAVE_FILES_URL and so on, or through WEAVE_GATEWAY_URL. Each process
    answers /health, /ready and /metrics. `weave up` is all parts in one process.

    \b
    weave serve --list
    weave serve files --vault ~/Notes
    weave serve sync mcp --vault ~/Notes --port 8004
    WEAVE_VAULT=~/Notes DATABASE_URL=postgresql://... weave serve tasks relay
    """
    if show_list:
        _print_parts(as_json=as_json)
        return
    if not parts:
        raise typer.BadParameter("name at least one part; `weave serve --list` shows them", param_hint="PART")
    configuration = load_settings(vault=vault, host=host, port=port, read_only=read_only, data_dir=data_dir)
    settings = configuration.settings
    from weave_nn.entrypoints import standalone
    from weave_nn.entrypoints.cli.serving import listening, serve_process
    from weave_nn.shared.config import check_vault

    names = standalone.checked(parts)
    check_vault(settings)
    given = configuration.origins["port"] != "default"
    with listening(settings.host, settings.port if given else standalone.default_port(names)) as listener:
        name = "+".join(names)
        instance = open_instance(settings, serving=True, service=name)
        serve_process(
            lambda: standalone.build(settings, instance, names),
            listener,
            settings=settings,
            instance=instance,
            greeting=f"Weave-NN serves {', '.join(names)} of {instance.vault} at {listener.url}\nStop with Ctrl-C.",
            name=f"{name}.{listener.port}",
        )


def _print_parts(*, as_json: bool | None) -> None:
    from weave_nn.entrypoints.process import PARTS

    if wants_json(chosen=as_json):
        print_json([{"part": part.name, "port": part.port, "about": part.about} for part in PARTS.values()])
        return
    print_table(("PART", "PORT", "WHAT IT IS"), [(each.name, str(each.port), each.about) for each in PARTS.values()])
