"""`weave db upgrade` and `weave db downgrade`."""

from typing import Annotated

import typer

from weave_nn.entrypoints.cli.db.opening import VaultOption, runtime
from weave_nn.entrypoints.cli.options import DataDirOption, JsonOption
from weave_nn.entrypoints.cli.output import print_json, print_table, wants_json


def upgrade(*, vault: VaultOption = None, data_dir: DataDirOption = None, as_json: JsonOption = None) -> None:
    """Bring the schema up to this version; `weave up` does it at its start as well.

    A database that is newer than the program is refused, and nothing is changed.

    \b
    weave db upgrade
    """
    with runtime(vault, data_dir) as here:
        from weave_nn.entrypoints.moving import components, trees
        from weave_nn.shared.db import upgrade as bring_up
        from weave_nn.shared.db.backups import versions

        known = trees(components(here))
        bring_up(here.database, known)
        with here.database.read() as work:
            _show(versions(work.session.connection(), known), as_json=as_json)


def downgrade(
    target: Annotated[str, typer.Argument(help="How far: -1 for one revision back, or `base`.")] = "-1",
    *,
    service: Annotated[str | None, typer.Option("--service", help="Only the tables of this service.")] = None,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Take the schema down, for an older version of the program. Back up first, and stop the server.

    \b
    weave db downgrade -1
    weave db downgrade --service tasks -1
    """
    with runtime(vault, data_dir) as here:
        from weave_nn.entrypoints.moving import components, trees
        from weave_nn.shared.db.backups import versions
        from weave_nn.shared.db.schema import downgrade as take_down
        from weave_nn.shared.errors import InvalidInput

        known = trees(components(here))
        chosen = [tree for tree in known if service in {None, tree.name}]
        if not chosen:
            names = ", ".join(tree.name for tree in known)
            raise InvalidInput(f"There is no service {service!r}.", hint=f"There are {names}.", field="service")
        take_down(here.database, chosen[::-1], target)
        with here.database.read() as work:
            _show(versions(work.session.connection(), known), as_json=as_json)


def _show(schema: dict[str, str], *, as_json: bool | None) -> None:
    if wants_json(chosen=as_json):
        print_json(schema)
    else:
        print_table(("SERVICE", "SCHEMA"), sorted(schema.items()))
