"""What all of these commands do first."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weave_nn.entrypoints.cli.options import load_settings, open_instance

if TYPE_CHECKING:
    from weave_nn.entrypoints.composition import Runtime
    from weave_nn.migration import Mover

VaultOption = Annotated[
    Path | None, typer.Option("--vault", help="The folder of notes. Default: WEAVE_VAULT.", show_default=False)
]
ToOption = Annotated[
    str | None,
    typer.Option(
        "--to", help="postgresql://user:password@host/name. Default: DATABASE_URL_TARGET.", show_default=False
    ),
]


@contextmanager
def runtime(vault: Path | None, data_dir: Path | None) -> Iterator["Runtime"]:
    """The state of a vault, beside a server that may be running; the schema is left as it is."""
    settings = load_settings(vault=vault, data_dir=data_dir).settings
    instance = open_instance(settings)
    from weave_nn.entrypoints.composition import Runtime

    opened = Runtime.open(settings, instance)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def mover(vault: Path | None, data_dir: Path | None, to: str | None = None) -> Iterator["Mover"]:
    """The mover of a vault's database."""
    from weave_nn.entrypoints.moving import open_mover

    with runtime(vault, data_dir) as opened:
        made = open_mover(opened, to)
        try:
            yield made
        finally:
            made.close()
