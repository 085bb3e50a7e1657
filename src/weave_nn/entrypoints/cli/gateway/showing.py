"""`weave rollout status` and `weave where`: how a rollout goes, and who is where."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weave_nn.entrypoints.cli.gateway.options import DataDirOption, Opened, VaultOption, opened
from weave_nn.entrypoints.cli.options import JsonOption
from weave_nn.entrypoints.cli.output import print_json, print_table, printable, wants_json

if TYPE_CHECKING:
    from weave_nn.gateway.rollout import Rollout
    from weave_nn.gateway.rollouts import Status

FOLLOW_SECONDS = 1.0
_SHOWN_CHANGES = 8
_SHOWN_ROUTES = 10


def where(
    user: Annotated[str, typer.Argument(help="The user of a key, or the subject of a token.")],
    *,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Say which side serves a user, and why.

    \b
    weave where alice
    """
    with opened(vault=vault, data_dir=data_dir) as here:
        found = here.rollouts.where(user)
    if wants_json(chosen=as_json):
        print_json([asdict(each) for each in found])
    elif found:
        rows = ((each.service, each.side, each.address, each.why) for each in found)
        print_table(("SERVICE", "SIDE", "ADDRESS", "WHY"), rows)
    else:
        typer.echo("Nothing has been extracted: the monolith serves everybody.")


def show(
    service: str | None,
    *,
    vault: str | None,
    data_dir: Path | None,
    as_json: bool | None,
    follow: bool,
    mismatches: bool,
) -> None:
    """Print how the rollouts go, or that of one service."""
    with opened(vault=vault, data_dir=data_dir) as here:
        while True:
            names = [service] if service else [each.service for each in here.rollouts.routed()[1]]
            if mismatches:
                _show_mismatches(here, names, as_json=as_json)
            else:
                _show_states(here, names, as_json=as_json, clear=follow)
            if not follow:
                return
            time.sleep(FOLLOW_SECONDS)


def described(rollout: "Rollout") -> dict[str, Any]:
    """A rollout as JSON."""
    return asdict(rollout)


def _show_states(here: Opened, names: list[str], *, as_json: bool | None, clear: bool) -> None:
    found = [here.rollouts.status(name) for name in names]
    if wants_json(chosen=as_json):
        print_json([asdict(each) for each in found])
        return
    if clear:
        typer.echo("\x1b[2J\x1b[H", nl=False)
    if not found:
        typer.echo("Nothing has been extracted. Begin with `weave extract SERVICE`.")
    for each in found:
        _show_state(each)


def _show_state(status: "Status") -> None:
    from weave_nn.gateway.rollout import BUCKETS, next_step, share

    rollout, seen = status.rollout, status.window.seen if status.window else {}
    typer.echo(f"{rollout.service}: {rollout.state} since {rollout.stepped_at:%F %T} UTC (rollout {rollout.id})")
    if rollout.reason:
        typer.echo(f"  because    {printable(rollout.reason)}")
    if status.demanded is not None:
        typer.echo(f"  overridden the gateway's environment demands {status.demanded} %")
    candidate = share(rollout, status.demanded)
    rows = [
        _side("stable", rollout.stable, BUCKETS - candidate, seen.get("stable", {})),
        _side("candidate", rollout.candidate, candidate, seen.get("candidate", {})),
    ]
    print_table(("SIDE", "ADDRESS", "USERS", "REQ/S", "ERRORS", "P50 MS", "P99 MS"), rows)
    if status.comparisons:
        compared = sum(each.compared for each in status.comparisons)
        mismatched = sum(each.mismatched for each in status.comparisons)
        typer.echo(f"  compared   {compared}, {mismatched} differ ({rollout.shadow_percent} % of GETs are mirrored)")
        worst = [each for each in status.comparisons if each.mismatched or each.failed][:_SHOWN_ROUTES]
        for each in worst:
            typer.echo(f"             {each.route}: {each.mismatched} of {each.compared} differ, {each.failed} failed")
    following = next_step(rollout)
    if status.window and not rollout.ended:
        typer.echo(f"  guard      {status.window.verdict}: {status.window.reason}")
    if following is not None:
        by_itself = " (by itself)" if rollout.automatic else ""
        typer.echo(f"  next       {following} %{by_itself}")
    for node in status.nodes:
        behind = "" if node.version >= status.version else f", behind version {status.version}"
        problem = f"; {printable(node.problem)}" if node.problem else ""
        typer.echo(f"  gateway    {node.node} serves version {node.version}{behind}{problem}")
    for change in status.history[-_SHOWN_CHANGES:]:
        why = f": {printable(change.why)}" if change.why else ""
        typer.echo(
            f"  {change.at:%F %T}  {change.who}: {change.action}, {change.from_percent} % -> {change.to_percent} %"
            f" ({change.to_state}){why}"
        )


def _side(name: str, address: str, share: int, seen: dict[str, Any]) -> tuple[str, ...]:
    requests = seen.get("requests", 0)
    errors = f"{100 * seen['errors'] / requests:.1f} %" if requests else "-"
    times = [f"{seen[key]:g}" if seen.get(key) is not None else "-" for key in ("p50_ms", "p99_ms")]
    return name, address, f"{share / 100:g} %", f"{requests / 5:.1f}", errors, *times


def _show_mismatches(here: Opened, names: list[str], *, as_json: bool | None) -> None:
    found = {name: here.rollouts.mismatches(name, 20) for name in names}
    if wants_json(chosen=as_json):
        print_json({name: [asdict(each) for each in every] for name, every in found.items()})
        return
    for name, every in found.items():
        if not every:
            typer.echo(f"{name}: the comparer has found no difference.")
        for each in every:
            typer.echo(f"{each.at:%F %T}  GET {printable(each.path)}: {printable(each.difference)}")
            for side, body in (("stable", each.stable), ("candidate", each.candidate)):
                lines = "\n".join(f"    {printable(line)}" for line in body.splitlines())
                typer.echo(f"  {side}\n{lines}")
