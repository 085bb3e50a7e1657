"""`weave keys`: API keys for people and programs, each with a name, scopes and an end."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weave_nn.entrypoints.cli.options import DataDirOption, JsonOption, VaultArgument, load_settings, open_instance
from weave_nn.entrypoints.cli.output import print_json, print_table, wants_json

if TYPE_CHECKING:
    from weave_nn.shared.identity.keyring import Keyring, NewKey
    from weave_nn.shared.identity.repository import ApiKey

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

app = typer.Typer(
    name="keys",
    help="Make, list, revoke and rotate API keys.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class ScopeName(StrEnum):
    """What a key may be given; each holds the ones before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


VaultOption = Annotated[Path | None, typer.Option(help="The folder of notes. Default: WEAVE_VAULT.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The key's name, or its id.")]
ExpiresOption = Annotated[
    str | None, typer.Option("--expires", help="When it ends: 90d, 12h, 30m, 4w. Default: it does not end.")
]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for, such as laptop or claude.")],
    *,
    scope: Annotated[ScopeName, typer.Option(help="What it may do: read; write too; admin: everything.")],
    user: Annotated[str | None, typer.Option(help="The person or agent who uses it.")] = None,
    expires: ExpiresOption = None,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Make a key and show it, once.

    Only its digest is kept, so that it cannot be shown again. It works at once, also in a server that runs.

    \b
    weave keys create claude --scope read --vault ~/Notes
    weave keys create laptop --scope write --user ada --expires 90d --json | jq -r .secret
    """
    from weave_nn.shared.identity import scopes_of

    lasts = _duration(expires)
    with _keyring(vault=vault, data_dir=data_dir) as keyring:
        made = keyring.create(name, scopes_of([scope]), user=user, lasts=lasts)
    _show_new(made, as_json=as_json)


@app.command("list")
def list_(
    vault: VaultArgument = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Also those that were revoked or have expired.")] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Show the keys that work.

    The instance's own key, which `weave key` prints, is not among them: it always works, and may do everything.

    \b
    weave keys list ~/Notes
    weave keys list --all --json
    """
    with _keyring(vault=vault, data_dir=data_dir) as keyring:
        keys = keyring.all_keys(ended=every)
    if wants_json(chosen=as_json):
        print_json([_document(key) for key in keys])
    elif keys:
        rows = (
            (
                key.name,
                key.user or "",
                ",".join(_ordered(key)),
                _shown(key.expires_at, "never"),
                _shown(key.last_used_at, "not yet"),
                _state(key),
                key.id,
            )
            for key in keys
        )
        print_table(("NAME", "USER", "SCOPES", "ENDS (UTC)", "LAST USED (UTC)", "STATE", "ID"), rows)
    else:
        typer.echo("There are no keys but the one that `weave key` prints.")


@app.command()
def revoke(
    name: NameArgument,
    *,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Make a key worthless.

    Every server refuses it two seconds later at the latest.

    \b
    weave keys revoke laptop --vault ~/Notes
    """
    with _keyring(vault=vault, data_dir=data_dir) as keyring:
        revoked = keyring.revoke(name)
    if wants_json(chosen=as_json):
        print_json({"revoked": [{"name": key.name, "id": key.id} for key in revoked]})
    else:
        typer.echo(f"Revoked {', '.join(f'{key.name} ({key.id})' for key in revoked)}.")


@app.command()
def rotate(
    name: NameArgument,
    *,
    overlap: Annotated[
        str | None, typer.Option(help="How long the old one goes on working: 24h. Default: not at all.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="When the new one ends. Default: after as long as the old one had.")
    ] = None,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Make a key anew: the same name, user and scopes, another secret.

    \b
    weave keys rotate laptop --vault ~/Notes
    weave keys rotate laptop --overlap 24h --json | jq -r .secret
    """
    kept, lasts = _duration(overlap), _duration(expires)
    with _keyring(vault=vault, data_dir=data_dir) as keyring:
        made = keyring.rotate(name, overlap=kept or timedelta(), lasts=lasts)
    _show_new(made, as_json=as_json)


@contextmanager
def _keyring(**options: Any) -> Iterator["Keyring"]:
    settings = load_settings(**options).settings
    instance = open_instance(settings)
    from weave_nn.entrypoints.authentication import keyring

    with keyring(settings, instance) as opened:
        yield opened


def _duration(text: str | None) -> timedelta | None:
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,5})([mhdw])", text.strip().lower())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no length of time; write 30m, 12h, 90d or 4w")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def _show_new(made: "NewKey", *, as_json: bool | None) -> None:
    if wants_json(chosen=as_json):
        print_json({**_document(made.key), "secret": made.secret})
        return
    typer.echo(made.secret)
    ends = f"until {_shown(made.key.expires_at, '')} UTC" if made.key.expires_at else "until it is revoked"
    what = f"{made.key.name!r} ({', '.join(_ordered(made.key))})"
    typer.echo(f"This is the key {what}, good {ends}. Keep it: it is not shown again.", err=True)


def _document(key: "ApiKey") -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "user": key.user,
        "scopes": _ordered(key),
        "state": _state(key),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }


def _ordered(key: "ApiKey") -> list[str]:
    return [name.value for name in ScopeName if name.value in key.scopes]


def _state(key: "ApiKey") -> str:
    if key.works(datetime.now(UTC)):
        return "works"
    return "revoked" if key.revoked_at else "expired"


def _shown(moment: datetime | None, otherwise: str) -> str:
    return f"{moment:%F %R}" if moment else otherwise
