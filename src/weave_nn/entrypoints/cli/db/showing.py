"""`weave db status`: where the database is, and how far a move has come."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weave_nn.entrypoints.cli.db.opening import VaultOption, runtime
from weave_nn.entrypoints.cli.options import DataDirOption, JsonOption
from weave_nn.entrypoints.cli.output import print_json, print_table, wants_json

if TYPE_CHECKING:
    from weave_nn.entrypoints.composition import Runtime


def status(*, vault: VaultOption = None, data_dir: DataDirOption = None, as_json: JsonOption = None) -> None:
    """Show which database is the home, the phase of a move, its lag, and when it was last verified and backed up.

    \b
    weave db status
    weave db status --json | jq .lag_seconds
    """
    with runtime(vault, data_dir) as here:
        shown = _status(here)
    if wants_json(chosen=as_json):
        print_json(shown)
    else:
        print_table(("WHAT", "VALUE"), [(name.replace("_", " "), _text(value)) for name, value in shown.items()])


def _text(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case _:
            return str(value)


def _status(here: "Runtime") -> dict[str, Any]:
    from weave_nn.entrypoints.moving import sqlite_file
    from weave_nn.shared.errors import InvalidInput

    folder = here.instance.data_dir / "backups"
    try:
        file = sqlite_file(here.settings, here.instance)
    except InvalidInput:
        home = here.database.home.settled().url.render_as_string()
        return {"phase": "none", "home": home, "last_backup": _last_backup(folder)}
    from weave_nn.shared.db.home import target_file

    if not target_file(file).exists():
        return {"phase": "none", "home": str(file), "last_backup": _last_backup(folder)}
    return _of_move(here, file) | {"last_backup": _last_backup(folder) or _last_backup(file.parent / "backups")}


def _of_move(here: "Runtime", file: Path) -> dict[str, Any]:
    from weave_nn.entrypoints.moving import open_mover
    from weave_nn.migration.status import status_of

    mover = open_mover(here)
    try:
        return status_of(mover, file)
    finally:
        mover.close()


def _last_backup(folder: Path) -> str | None:
    files = [*folder.glob("weave*.db"), *folder.glob("weave*.dump"), *folder.glob("weave*.zip")]
    if not files:
        return None
    newest = max(files, key=lambda each: each.stat().st_mtime)
    made = datetime.fromtimestamp(newest.stat().st_mtime, UTC).isoformat(timespec="seconds")
    return f"{made} {newest.name}"
