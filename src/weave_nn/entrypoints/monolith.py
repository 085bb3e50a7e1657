"""The monolith: all parts in one process, on one database, over HTTP and MCP; and its state without a server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from weave_nn.entrypoints.composition import Asking, Component, Runtime
from weave_nn.entrypoints.following import Following
from weave_nn.entrypoints.process import PARTS, Process, migrate
from weave_nn.entrypoints.reaching import Contracts
from weave_nn.entrypoints.services import SERVICES
from weave_nn.shared.bus import Bus
from weave_nn.shared.config import Instance, Settings

_Contract = TypeVar("_Contract")


def build(settings: Settings, instance: Instance) -> Process:
    """Compose the monolith; nothing is opened for writing before `Process.start`."""
    return Process(settings, instance, stands_by=True)


@dataclass(frozen=True, slots=True)
class Offline:
    """The vault's state without a server: for commands that look, or that rebuild it."""

    runtime: Runtime
    components: tuple[Component, ...]
    asking: Asking

    @property
    def bus(self) -> Bus:
        """Where events are looked at and replayed."""
        return self.runtime.bus

    def counts(self) -> dict[str, int]:
        """How much of what the database holds."""
        return {name: count for part in self.components for name, count in part.counts().items()}

    def reindex(self, progress: Callable[[int, int], None]) -> dict[str, int]:
        """Rebuild everything that is kept about notes; `progress` is called with done and total."""
        return {name: count for part in self.components for name, count in part.rebuild(progress).items()}

    def contract(self, contract: type[_Contract]) -> _Contract:
        """The implementation of `contract`: on this state, or where the gateway sends everybody."""
        return self.asking.get(contract)


@contextmanager
def offline(settings: Settings, instance: Instance) -> Iterator[Offline]:
    """Open the state of a vault beside a server that may be running, with the schema brought up."""
    runtime = Runtime.open(settings, instance)
    contracts = Contracts(runtime, SERVICES, frozenset(PARTS))
    following = Following(runtime, contracts)
    try:
        components = tuple(contracts.component(service) for service in SERVICES)
        migrate(runtime, components)
        yield Offline(runtime, components, following)
    finally:
        following.close()
        contracts.close()
        runtime.close()
