"""`weave db cutover`, `rollback` and `retire`: which database is the home."""

from typing import TYPE_CHECKING, Annotated

import typer

from weave_nn.entrypoints.cli.db.opening import VaultOption, mover
from weave_nn.entrypoints.cli.options import DataDirOption, JsonOption
from weave_nn.entrypoints.cli.output import print_json, wants_json

if TYPE_CHECKING:
    from weave_nn.migration.switching import Switched

PauseOption = Annotated[
    float, typer.Option("--limit-seconds", min=0.1, max=60, help="The longest that writers may wait for the switch.")
]


def switched(done: "Switched", home: str, *, as_json: bool | None) -> None:
    """Tell how a switch went."""
    if wants_json(chosen=as_json):
        pause = round(done.pause_milliseconds, 1)
        print_json({"home": home.lower(), "pause_milliseconds": pause, "rows_in_the_pause": done.rows})
    else:
        typer.echo(f"{home} is the home now, for every process. Writers waited {done.pause_milliseconds:,.0f} ms.")


def cutover(
    *,
    limit_seconds: PauseOption = 5.0,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Make PostgreSQL the home of every process, without a restart.

    Writers wait for a moment, and no read is interrupted. If it would take longer than the limit, or anything differs,
    SQLite stays the home and nothing has happened. From then on PostgreSQL also fills SQLite.

    \b
    weave db cutover
    weave db cutover --limit-seconds 1
    """
    with mover(vault, data_dir) as here, here.held():
        switched(here.cut_over(limit_seconds=limit_seconds), "PostgreSQL", as_json=as_json)


def rollback(
    *,
    limit_seconds: PauseOption = 5.0,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Make SQLite the home again, with every write made since; before the cut-over, call the move off.

    \b
    weave db rollback
    """
    with mover(vault, data_dir) as here, here.held():
        from weave_nn.migration.errors import TargetAway
        from weave_nn.migration.state import Phase

        try:
            phase = here.settle().phase
        except TargetAway:
            if here.postgres_is_home:
                raise
            phase = Phase.CAPTURING
        if phase is Phase.REVERSIBLE:
            switched(here.roll_back(limit_seconds=limit_seconds), "SQLite", as_json=as_json)
            return
        here.call_off()
    message = "The move is called off; SQLite is the home, as before."
    if wants_json(chosen=as_json):
        print_json({"home": "sqlite", "message": message})
    else:
        typer.echo(message)


def retire(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """End the move: PostgreSQL alone is left, and there is no way back.

    The SQLite file is kept as a dated and verified backup in the state folder. Processes that are still started with
    the old DATABASE_URL find PostgreSQL, with a warning.

    \b
    weave db retire --yes
    """
    if not yes:
        typer.confirm("There is no way back to SQLite after this. Go on?", abort=True)
    with mover(vault, data_dir) as here, here.held():
        kept = here.retire(here.path.parent / "backups")
    if wants_json(chosen=as_json):
        print_json({"home": "postgresql", "backup": str(kept)})
    else:
        typer.echo(f"The move is over. The SQLite database is kept as {kept}; set DATABASE_URL to PostgreSQL.")
