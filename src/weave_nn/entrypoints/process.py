"""A process: the parts that it composes, the work beside requests, and the order in which all of it begins and ends."""

import functools
import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fastapi import FastAPI

from weave_nn.entrypoints.application import application
from weave_nn.entrypoints.composition import EVERYWHERE, Alone, Background, Component, Part, Runtime
from weave_nn.entrypoints.following import Following
from weave_nn.entrypoints.moving import MoveKeeper
from weave_nn.entrypoints.reaching import Contracts
from weave_nn.entrypoints.services import SERVICES
from weave_nn.entrypoints.singles import Single
from weave_nn.shared.bus import Relay, Worker
from weave_nn.shared.config import Instance, Settings
from weave_nn.shared.db import upgrade
from weave_nn.shared.ephemeral.leases import FileLeases
from weave_nn.shared.errors import Unavailable
from weave_nn.shared.http import ReadinessCheck

if TYPE_CHECKING:
    from weave_nn.entrypoints.mcp_face import McpFace
    from weave_nn.shared.mcp import VaultServer

RELAY = Part("relay", 8012, "carries announced events from the database to the bus")
MCP = Part("mcp", 8013, "the Model Context Protocol at /mcp, with the tools of all services")
PARTS = {
    part.name: part
    for part in (
        *(service.part for service in SERVICES),
        *(part for service in SERVICES for part in service.apart),
        RELAY,
        MCP,
    )
}
"""Everything that a process may be made of, by name."""


class Process:
    """A process with some of `PARTS`. `start` before serving `app`; `stop` afterwards, also when `start` failed.

    With `stands_by`, the work beside requests is done by one process of the state folder, and the others wait until it
    ends: `weave mcp` is started by every client that wants it, and several `weave up` may serve one vault.
    """

    def __init__(
        self,
        settings: Settings,
        instance: Instance,
        parts: frozenset[str] = frozenset(PARTS),
        *,
        stands_by: bool = False,
    ) -> None:
        what = "all" if parts == frozenset(PARTS) else "+".join(sorted(parts))
        self.runtime = runtime = Runtime.open(settings, instance, what)
        self.contracts = Contracts(runtime, SERVICES, parts)
        self.composed = [(each, self.contracts.component(each)) for each in SERVICES if each.name in parts]
        self._apart = [
            (self.contracts.component(each), part.name)
            for each in SERVICES
            for part in each.apart
            if part.name in parts
        ]
        subscriptions = [each for _, component in self.composed for each in component.subscriptions]
        self._worker = (
            Worker(runtime.database, runtime.bus, subscriptions, vault_id=runtime.vault_id) if subscriptions else None
        )
        self._relay = Relay(runtime.database, runtime.bus) if RELAY.name in parts else None
        self.asked_by_tools = Following(runtime, self.contracts)
        self.mcp = self._mcp_server() if MCP.name in parts else None
        singles = [(Single(runtime.leases, each.name, each.make), each) for each in self._alone()]
        self._to_start = self._background([single for single, _ in singles])
        self.checks = list(self._checks(singles))
        if stands_by:
            caretaker = Single(FileLeases(instance.data_dir), "caretaker", functools.partial(list, self._to_start))
            self.checks = [replace(each, check=caretaker.only_when_working(each.check)) for each in self.checks]
            self._to_start = [caretaker]
        self._started: list[Background] = []

    @functools.cached_property
    def app(self) -> FastAPI:
        """The HTTP application; made when it is asked for, because `weave mcp` has none."""
        return application(self.runtime, self.composed, self._mcp_face(), self.checks)

    def start(self) -> None:
        """Bring the schema up, mend what a crash left behind, and begin the work beside requests.

        Raises `DatabaseTooNew`, `Unavailable` and the like with one clear line; then nothing runs.
        """
        migrate(self.runtime, [component for _, component in self.composed] + [each for each, _ in self._apart])
        for _, component in self.composed:
            component.prepare()
        # What was imported stays for good; collections need not look at it again.
        gc.freeze()
        for background in self._to_start:
            background.start()
            self._started.append(background)

    def stop(self) -> None:
        """Finish what is in flight, the last begun first, and close what was opened."""
        while self._started:
            self._started.pop().stop()
        self.asked_by_tools.close()
        self.contracts.close()
        self.runtime.close()

    def _mcp_server(self) -> "VaultServer":
        from weave_nn.entrypoints.mcp_face import mcp_server  # noqa: PLC0415 - only where the part is wanted

        return mcp_server(self.runtime, self.asked_by_tools)

    def _mcp_face(self) -> "McpFace | None":
        if self.mcp is None:
            return None
        from weave_nn.entrypoints.mcp_face import McpFace  # noqa: PLC0415 - only where the part is wanted

        return McpFace(self.runtime, self.mcp)

    def _alone(self) -> Sequence[Alone]:
        apart = [component.apart[name] for component, name in self._apart]
        return [*apart, *(each for _, component in self.composed for each in component.alone)]

    def _background(self, singles: Sequence[Single]) -> Sequence[Background]:
        # The worker declares its queues before anything is announced, so that nothing is announced to nobody.
        bus: list[Background] = [each for each in (self._worker, self._relay) if each is not None]
        if self._relay is not None:
            bus.append(MoveKeeper(self.runtime))
        return [*bus, *singles, *(each for _, component in self.composed for each in component.background)]

    def _checks(self, singles: Sequence[tuple[Single, Alone]]) -> Iterator[ReadinessCheck]:
        yield ReadinessCheck("bus", self._check_bus)
        for _, component in self.composed:
            yield from component.checks
        for single, alone in singles:
            yield from (replace(each, check=single.only_when_working(each.check)) for each in alone.checks)

    def _check_bus(self) -> None:
        loops = [each for each in (self._worker, self._relay) if each is not None]
        if not all(each.alive() for each in loops):
            raise Unavailable("A thread of the bus has ended.", hint="Restart the server.")
        failing = list(self._worker.failing()) if self._worker is not None else []
        if self._relay is not None and self._relay.failing():
            failing.append("bus-relay")
        if failing:
            raise Unavailable(f"The bus cannot work: {', '.join(failing)}.")


def migrate(runtime: Runtime, components: Sequence[Component]) -> None:
    """Bring up to this version the tables of these services, and those that every process needs."""
    trees = {tree.name: tree for tree in (*EVERYWHERE, *(each.schema for each in components))}
    upgrade(runtime.database, list(trees.values()))
