"""The command `weave`: its commands, and the one place that renders errors for people at a terminal."""

import gc
import io
import os
import sys
from typing import Annotated

import typer

from weave_nn.entrypoints.cli import (
    config,
    db,
    events,
    gateway,
    git,
    key,
    keys,
    mcp,
    reindex,
    search,
    serve,
    status,
    tasks,
    up,
)
from weave_nn.shared.errors import WeaveError

ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000

app = typer.Typer(
    name="weave",
    help="Serve an Obsidian vault to people and to AI agents, over HTTP and the Model Context Protocol.",
    epilog="Settings come from options, the environment (WEAVE_...) and .env; `weave config` shows them all.",
    no_args_is_help=True,
    # Plain help starts in half the time of the rich one, and stack traces are never for users.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(up.up)
app.command()(serve.serve)
app.command()(mcp.mcp)
app.command()(status.status)
app.command()(reindex.reindex)
app.command()(search.search)
app.command()(search.links)
app.add_typer(events.app)
app.add_typer(tasks.app)
app.add_typer(git.app)
app.add_typer(db.app)
app.command()(config.config)
app.command()(key.key)
app.add_typer(keys.app)
gateway.add_commands(app)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer passes the flag so
    if wanted:
        from weave_nn import __version__

        typer.echo(f"weave {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run `weave` with the process's arguments; always ends in `SystemExit`.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted; a command's help names what others it has.
    """
    # Importing makes hundreds of thousands of objects that stay; looking for garbage among them took a third of it.
    gc.set_threshold(ALLOCATIONS_BETWEEN_COLLECTIONS, 20, 20)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file's name may hold what the terminal's encoding lacks; that must not end the command.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except WeaveError as error:
        _fail(str(error), error)
    except Exception as error:  # noqa: BLE001 - a defect: said in one line too, the trace is for those who ask
        hint = "This is a defect; WEAVE_LOG_LEVEL=debug shows where."
        _fail(f"internal error: {type(error).__name__}: {error}. {hint}", error)
    finally:
        _flush()


def _fail(message: str, error: Exception) -> None:
    if os.environ.get("WEAVE_LOG_LEVEL", "").lower() == "debug":
        raise error
    typer.secho(f"weave: {' '.join(message.split())}", err=True, fg=typer.colors.RED)
    sys.exit(1)


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has gone; without this the interpreter complains about it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
