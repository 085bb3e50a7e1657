"""The command line `weave`, one file per command group.

Starting must be quick, for the shell completion's sake too: the modules here import only typer at the top, and what is
heavy (pydantic, SQLAlchemy, rich, the services) inside the command that needs it.
"""

from weave_nn.entrypoints.cli.app import main

__all__ = ["main"]
