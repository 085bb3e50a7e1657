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

    The exit code is 0 when it runs, as a whole or in parts (`weave serve`), 3 when it does not.

    \b
    weave status ~/Notes
    weave status --json | jq .server.ready
    """
    settings = load_settings(vault=vault, data_dir=data_dir).settings
    server, parts, counts = _server(settings), _parts(settings), _counts(settings)
    if wants_json(chosen=as_json):
        print_json(
            {
                "server": server,
                "parts": parts,
                "vault": str(settings.vault),
                "data_dir": str(settings.data_dir),
                "counts": counts,
            }
        )
    else:
        _print(settings, server, parts, counts)
    if not parts and server["state"] != "running":
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


def _parts(settings: "Settings") -> list[dict[str, Any]]:
    """The processes of `weave serve` that answer, which may have been killed since they said where they listen."""
    from weave_nn.entrypoints.cli.running import ask, part_addresses

    answers = {name: (address, ask(address, "/ready")) for name, address in part_addresses(settings.data_dir).items()}
    return [
        {"part": name.rpartition(".")[0], "address": address, "ready": ready.status == HTTPStatus.OK}
        for name, (address, ready) in answers.items()
        if ready is not None
    ]


def _counts(settings: "Settings") -> dict[str, int] | None:
    """What the database holds, or None when there is none yet; looking makes nothing."""
    if settings.vault is None or settings.data_dir is None or not settings.data_dir.exists():
        return None
    instance = open_instance(settings)
    from weave_nn.entrypoints import monolith

    with monolith.offline(settings, instance) as offline:
        return dict(offline.counts())


def _print(
    settings: "Settings", server: dict[str, Any], parts: list[dict[str, Any]], counts: dict[str, int] | None
) -> None:
    state = server["state"]
    if state == "running":
        state += ", ready" if server["ready"] else ", not ready yet"
    rows = [
        ("server", f"{state} ({server.get('note') or server['address']})"),
        *(
            (f"part {each['part']}", f"running, {'ready' if each['ready'] else 'not ready yet'} ({each['address']})")
            for each in parts
        ),
        ("vault", str(settings.vault or "none given")),
        ("state folder", str(settings.data_dir or "none")),
    ]
    if counts is None:
        rows.append(("database", "none yet; `weave up` makes it"))
    else:
        rows += [(name.replace("_", " "), str(count)) for name, count in counts.items()]
    print_table(("WHAT", "VALUE"), rows)
