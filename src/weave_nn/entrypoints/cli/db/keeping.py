"""`weave db backup` and `weave db restore`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weave_nn.entrypoints.cli.db.opening import VaultOption, runtime
from weave_nn.entrypoints.cli.options import DataDirOption, JsonOption
from weave_nn.entrypoints.cli.output import print_json, wants_json

if TYPE_CHECKING:
    from weave_nn.entrypoints.composition import Runtime


def backup(
    *,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where to put it. Default: backups/ in the state folder.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Dump PostgreSQL without pg_dump.")] = False,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Back the database up while it is in use; what was written is read back and verified.

    \b
    weave db backup
    weave db backup --folder /mnt/backups
    """
    with runtime(vault, data_dir) as here:
        from weave_nn.entrypoints.moving import components, trees
        from weave_nn.shared.db.backups import back_up

        made = back_up(
            here.database, trees(components(here)), folder or here.instance.data_dir / "backups", plain=plain
        )
    if wants_json(chosen=as_json):
        print_json({"file": str(made.file), "rows": made.rows, "bytes": made.size_bytes, "schema": made.schema})
    else:
        typer.echo(f"{made.file}: {made.rows:,} rows, {made.size_bytes:,} bytes, verified.")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `weave db backup` wrote.")],
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Put what is there aside (SQLite), or drop it.")] = False,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Put a backup in the place of the database. No server may be running.

    The backup is verified before anything is touched. A backup of a newer version of the program is refused.

    \b
    weave db restore backups/weave-20261123T120000000000Z.db --replace
    """
    with runtime(vault, data_dir) as here:
        _refuse_while_served(here)
        from weave_nn.entrypoints.moving import components, trees
        from weave_nn.shared.db.restoring import restore as put_back

        schema = put_back(here.database, trees(components(here)), file, replace=replace)
    if wants_json(chosen=as_json):
        print_json({"restored": str(file), "schema": schema})
    else:
        typer.echo(f"Restored from {file}. What is about notes follows the vault at the next start.")


def _refuse_while_served(here: "Runtime") -> None:
    from weave_nn.shared.db.dialects import parse_url
    from weave_nn.shared.db.home import target_file
    from weave_nn.shared.ephemeral.leases import FileLeases
    from weave_nn.shared.errors import Conflict

    lease = FileLeases(here.instance.data_dir).hold("caretaker")
    if lease is None:
        raise Conflict("A server runs on this database.", hint="Stop `weave up` and every `weave mcp` first.")
    lease.release()
    url = parse_url(here.instance.database_url)
    if url.get_backend_name() == "sqlite":
        from weave_nn.shared.db.restoring import in_use

        file = Path(url.database or "")
        if target_file(file).exists() and here.database.home.moving():
            raise Conflict("The database is moving.", hint="Call it off first: `weave db rollback`.")
        here.database.close()
        if in_use(file):
            raise Conflict(f"Another program has {file} open.", hint="Stop it first.")
