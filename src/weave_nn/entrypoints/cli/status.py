"""`weave status`: whether a server runs for the vault, whether it is ready, and what the database holds."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import typer

from weave_nn.entrypoints.cli.options import DataDirOption, JsonOption, VaultArgument, load_settings, open_instance
from weave_nn.entrypoints.cli.output import print_json, print_table, wants_json

if TYPE_CHECKING:
    from weave_nn.shared.config import Settings

NOT_RUNNING = 3


def status(vault: VaultArgument = None, *, data_dir: DataDirOption = None, as_json: JsonOption = None) -> None:
    """Show whether a server runs and what the database holds.

    The exit code is 0 when it runs, 3 when it does not.

    \b
    weave status ~/Notes
    weave status --json | jq .server.ready
    """
    settings = load_settings(vault=vault, data_dir=data_dir).settings
    server, counts = _server(settings), _counts(settings)
    if wants_json(chosen=as_json):
        print_json(
            {"server": server, "vault": str(settings.vault), "data_dir": str(settings.data_dir), "counts": counts}
        )
    else:
        _print(settings, server, counts)
    if server["state"] != "running":
        raise typer.Exit(NOT_RUNNING)


def _server(settings: "Settings") -> dict[str, Any]:
    from weave_nn.entrypoints.cli.running import ask, known_address
    from weave_nn.shared.config import saved_api_key

    address = known_address(settings.data_dir, f"http://{settings.host}:{settings.port}")
    ready = ask(address, "/ready")
    if ready is None:
        return {"state": "not running", "address": address}
    # Another program, or the server of another vault, may have the port: only ours takes our key.
    known = ask(address, "/metrics", saved_api_key(settings))
    if known is None or known.status != HTTPStatus.OK:
        return {"state": "not running", "address": address, "note": "another program answers there"}
    return {"state": "running", "address": address, "ready": ready.status == HTTPStatus.OK, "checks": ready.body}


def _counts(settings: "Settings") -> dict[str, int] | None:
    """What the database holds, or None when there is none yet; looking makes nothing."""
    if settings.vault is None or settings.data_dir is None or not settings.data_dir.exists():
        return None
    instance = open_instance(settings)
    from weave_nn.entrypoints import monolith

    with monolith.offline(settings, instance) as offline:
        return dict(offline.counts())


def _print(settings: "Settings", server: dict[str, Any], counts: dict[str, int] | None) -> None:
    state = server["state"]
    if state == "running":
        state += ", ready" if server["ready"] else ", not ready yet"
    rows = [
        ("server", f"{state} ({server.get('note') or server['address']})"),
        ("vault", str(settings.vault or "none given")),
        ("state folder", str(settings.data_dir or "none")),
    ]
    if counts is None:
        rows.append(("database", "none yet; `weave up` makes it"))
    else:
        rows += [(name.replace("_", " "), str(count)) for name, count in counts.items()]
    print_table(("WHAT", "VALUE"), rows)
