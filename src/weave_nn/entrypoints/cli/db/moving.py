"""`weave db precheck`, `migrate` and `verify`: up to the point where both databases hold the same."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weave_nn.entrypoints.cli.db.opening import ToOption, VaultOption, mover
from weave_nn.entrypoints.cli.db.switching import PauseOption, switched
from weave_nn.entrypoints.cli.options import DataDirOption, JsonOption
from weave_nn.entrypoints.cli.output import print_json, print_table, printable, progress, wants_json

if TYPE_CHECKING:
    from weave_nn.migration import Mover
    from weave_nn.migration.precheck import Finding

FOUND = 4
SHOWN_DIFFERENCES = 20


def precheck(
    *, to: ToOption = None, vault: VaultOption = None, data_dir: DataDirOption = None, as_json: JsonOption = None
) -> None:
    """Look for what SQLite lets in and PostgreSQL does not; nothing is changed.

    The exit code is 0 when there is nothing, 4 when something has to be mended first.

    \b
    weave db precheck --to postgresql://weave@db.example/weave
    weave db precheck --to $URL --json | jq '.[].mending'
    """
    with mover(vault, data_dir, to) as here:
        found = _check(here)
    if wants_json(chosen=as_json):
        print_json([asdict(each) for each in found])
    else:
        _show_findings(found)
    if found:
        raise typer.Exit(FOUND)


def _check(here: "Mover") -> "list[Finding]":
    from weave_nn.migration.precheck import check_source, check_target

    with progress("Checking the tables") as told:
        return [*check_target(here.ends, here.tables), *check_source(here.ends, here.tables, told)]


def _show_findings(found: "list[Finding]") -> None:
    if not found:
        typer.echo("Nothing stands in the way of the move.")
        return
    rows = [
        (
            each.table + (f".{each.column}" if each.column else ""),
            each.what,
            str(each.rows or ""),
            "; ".join(printable(key) for key in each.keys),
            printable(each.mending),
        )
        for each in found
    ]
    print_table(("WHERE", "WHAT", "ROWS", "KEYS", "MENDING"), rows)


def migrate(
    *,
    to: ToOption = None,
    cutover: Annotated[
        bool, typer.Option("--cutover", help="Switch to PostgreSQL at the end, without asking.")
    ] = False,
    auto: Annotated[bool, typer.Option("--auto", help="As --cutover, and mend what differs.")] = False,
    skip_precheck: Annotated[bool, typer.Option(help="Begin in spite of what the precheck finds.")] = False,
    limit_seconds: PauseOption = 5.0,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Copy the database to PostgreSQL while it is in use, compare both, and switch if you say so.

    It can be stopped with Ctrl-C (or killed) at any time and goes on where it was when it is run again. Until the
    cut-over nothing depends on PostgreSQL; after it, `weave db rollback` goes back without losing a write. The exit
    code is 4 when something differs or has to be mended first.

    \b
    weave db migrate --to postgresql://weave:secret@db.example/weave
    weave db migrate --cutover
    """
    with mover(vault, data_dir, to) as here:
        from weave_nn.migration.state import Phase, peek

        if peek(here.path)[0].phase is Phase.NONE and not skip_precheck and (found := _check(here)):
            _show_findings(found)
            raise typer.Exit(FOUND)
        with here.held():
            state = here.begin()
            if state.phase is not Phase.REVERSIBLE:
                with progress("Copying rows") as told:
                    here.backfill(told)
                _verify(here, repair=auto, as_json=as_json, quiet=True)
                wanted = cutover or auto or _agrees(as_json=as_json)
                if not wanted:
                    _say("The two databases are equal. `weave db cutover` makes PostgreSQL the home.", as_json=as_json)
                    return
                switched(here.cut_over(limit_seconds=limit_seconds), "PostgreSQL", as_json=as_json)
                return
    _say("PostgreSQL is the home already; see `weave db status`.", as_json=as_json)


def _agrees(*, as_json: bool | None) -> bool:
    import sys

    if wants_json(chosen=as_json) or not sys.stdin.isatty():
        return False
    return typer.confirm("The two databases are equal. Make PostgreSQL the home now?")


def _say(text: str, *, as_json: bool | None) -> None:
    if wants_json(chosen=as_json):
        print_json({"message": text})
    else:
        typer.echo(text)


def verify(
    *,
    repair: Annotated[bool, typer.Option("--repair", help="Make what differs what it is at the home.")] = False,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Compare every row of both databases, while writing goes on.

    The exit code is 4 when something differs (and was not repaired).

    \b
    weave db verify
    weave db verify --repair --json
    """
    with mover(vault, data_dir) as here, here.held():
        _verify(here, repair=repair, as_json=as_json)


def _verify(here: "Mover", *, repair: bool, as_json: bool | None, quiet: bool = False) -> None:
    with progress("Comparing rows") as told:
        result = here.verify(told, repair=repair)
    if quiet and not result.differences:
        return
    shown: dict[str, Any] = {
        "rows": result.rows,
        "seconds": round(result.seconds, 2),
        "repaired": result.repaired,
        "differences": [asdict(each) for each in result.differences],
    }
    if wants_json(chosen=as_json):
        print_json(shown)
    else:
        for each in result.differences[:SHOWN_DIFFERENCES]:
            typer.echo(printable(str(each)))
        end = " All were repaired." if result.repaired else ""
        typer.echo(f"{result.rows:,} rows compared, {len(result.differences)} differences.{end}")
    if result.differences and not repair:
        raise typer.Exit(FOUND)
