"""The commands that move a service's traffic: `weave gateway`, `extract`, `rollout`, `rollback` and the like."""

import typer

from weave_nn.entrypoints.cli.gateway import extracting, rolling, serving, showing


def add_commands(app: typer.Typer) -> None:
    """Add them to the command `weave`."""
    app.command()(serving.gateway)
    app.command()(extracting.extract)
    app.command()(rolling.rollout)
    app.command()(rolling.rollback)
    app.command()(rolling.complete)
    app.command()(showing.where)
