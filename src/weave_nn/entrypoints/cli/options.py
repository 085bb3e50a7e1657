"""The options that several commands share, and what they all do first: read the settings, open the instance."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from weave_nn.shared.config import Configuration, Instance, Settings

VaultArgument = Annotated[
    Path | None,
    typer.Argument(help="The folder of notes. Default: WEAVE_VAULT.", show_default=False),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(help="The folder of the database and the API key. Default: WEAVE_DATA_DIR, or one per vault."),
]
ReadOnlyOption = Annotated[
    bool | None,
    typer.Option("--read-only/--read-write", help="Refuse every change of the vault. Default: WEAVE_READ_ONLY."),
]
JsonOption = Annotated[
    bool | None,
    typer.Option("--json/--text", help="JSON for scripts or text for people. Default: text on a terminal."),
]


def load_settings(**options: Any) -> "Configuration":
    """The settings, with `options` by field name (None where not given); warnings go to stderr."""
    from weave_nn.shared.config import load

    configuration = load(options)
    for warning in configuration.warnings:
        warn(warning)
    return configuration


def open_instance(settings: "Settings", *, serving: bool = False, service: str | None = None) -> "Instance":
    """The instance of these settings, made if need be; logs go to stderr, only what matters unless `serving`."""
    from weave_nn.shared.config import prepare
    from weave_nn.shared.observability import configure_logging

    instance = prepare(settings)
    for warning in instance.warnings:
        warn(warning)
    level, log_format = settings.log_level, settings.log_format
    if not serving and level == "info":
        level = "warning"
    if log_format == "auto":
        log_format = "console" if sys.stderr.isatty() else "json"
    configure_logging(level, log_format, service=service)
    return instance


def warn(message: str) -> None:
    """Tell the person at the terminal of something that does not stop the command."""
    typer.secho(f"weave: warning: {message}", err=True, fg=typer.colors.YELLOW)
