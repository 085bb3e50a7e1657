"""What the commands about rollouts share: the rollouts themselves, and waiting until a gateway serves a change."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from weave_nn.entrypoints.cli.options import DataDirOption, load_settings, open_instance, warn

if TYPE_CHECKING:
    from weave_nn.gateway.rollouts import Rollouts
    from weave_nn.shared.config import Instance, Settings

CONFIRM_SECONDS = 15.0
LOOK_SECONDS = 0.005

ServiceArgument = Annotated[str, typer.Argument(help="The service, such as tasks.")]
VaultOption = Annotated[str | None, typer.Option(help="The folder of notes. Default: WEAVE_VAULT.")]
WhyOption = Annotated[str, typer.Option(help="Why; it is kept in the history.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Without the guard's consent.")]

__all__ = ["DataDirOption", "ForceOption", "Opened", "ServiceArgument", "VaultOption", "WhyOption", "opened", "who"]


@dataclass(frozen=True, slots=True)
class Opened:
    """The rollouts of an instance."""

    settings: "Settings"
    instance: "Instance"
    rollouts: "Rollouts"

    def await_served(self) -> bool:
        """Wait until every gateway serves what the database says; False if there is none, or one does not."""
        nodes = self.rollouts.nodes()
        if not nodes:
            warn("No gateway runs; what was changed counts as soon as `weave gateway` does.")
            return False
        wanted = self.rollouts.version()
        for node in nodes:
            look(node.address)
        deadline = time.monotonic() + CONFIRM_SECONDS
        while time.monotonic() < deadline:
            nodes = self.rollouts.nodes()
            if nodes and all(node.version >= wanted for node in nodes):
                return True
            time.sleep(LOOK_SECONDS)
        behind = ", ".join(
            f"{node.node} ({node.problem or 'no reason given'})" for node in nodes if node.version < wanted
        )
        warn(f"Not every gateway serves the change: {behind}.")
        return False


@contextmanager
def opened(*, vault: str | None, data_dir: object) -> Iterator[Opened]:
    """The rollouts of the instance that the options name."""
    settings = load_settings(vault=vault, data_dir=data_dir).settings
    instance = open_instance(settings)
    from weave_nn.entrypoints.gateway import open_database, open_rollouts

    database = open_database(settings, instance)
    try:
        yield Opened(settings, instance, open_rollouts(settings, instance, database))
    finally:
        database.close()


def look(control: str) -> None:
    """Tell a gateway that there is a change; it would find it by itself a tenth of a second later."""
    import urllib.request

    request = urllib.request.Request(control + "/-/look", data=b"", method="POST")  # noqa: S310 - its own address
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=1).close()
    except OSError:
        return


def who() -> str:
    """The person at the terminal, for the history."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"
