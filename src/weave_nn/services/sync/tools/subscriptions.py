"""Telling MCP clients what changed, in both revisions of the protocol.

Whoever may hold a subscription is a process: `weave up`, or one of many `weave mcp`. A queue of its own for each would
outlive it and fill up, so every process reads the tail of what the bus published instead, while at least one client
follows: at once after a commit of its own, and every `POLL_SECONDS` for those of others. A client is told that
something changed, never what: being told twice does no harm, and being told of what changed a moment before it
subscribed neither.

All of it runs on the event loop of the server; only the bus is asked in a thread.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from anyio.to_thread import run_sync
from mcp import MCPError
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
)
from mcp_types import (
    INVALID_PARAMS,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from weave_nn.services.files.events import FileCreated, FileDeleted, FileRenamed, FileUpdated, VaultReindexed
from weave_nn.services.sync.tools.uris import path_of
from weave_nn.shared.bus import Bus, Event, Message
from weave_nn.shared.mcp import VaultServer

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.2
PAUSE_SECONDS = 0.02
URIS_PER_CLIENT = 1000

_BATCH_EVENTS = 500
_RETRY_SECONDS = 2.0
_STATE = "weave-nn.subscriptions"

_Context = ServerRequestContext[Any, Any]


def register_subscriptions(
    server: VaultServer, bus: Bus, vault_id: str, on_commit: Callable[[Callable[[], None]], None]
) -> None:
    """Serve subscriptions; `on_commit` takes a function to call after each commit of this process, from any thread."""
    subscriptions = Subscriptions(bus, vault_id)
    on_commit(subscriptions.wake)
    server.run_beside(subscriptions.follow, end=subscriptions.end)
    server.handle("subscriptions/listen", SubscriptionsListenRequestParams, subscriptions.listen)
    server.handle("resources/subscribe", SubscribeRequestParams, subscriptions.subscribe)
    server.handle("resources/unsubscribe", UnsubscribeRequestParams, subscriptions.unsubscribe)


class Subscriptions:
    """Who wants to be told of which files."""

    def __init__(self, bus: Bus, vault_id: str) -> None:
        self._bus = bus
        self._vault_id = vault_id
        self._fan_out = InMemorySubscriptionBus()
        self._listening = ListenHandler(self._fan_out)
        # The spellings in which clients named each path: they are told of it in their own.
        self._spellings: dict[str, Counter[str]] = {}
        self._followers = 0
        self._position = 0
        self._beginning = asyncio.Lock()
        self._alone = asyncio.Lock()
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def wake(self) -> None:
        """Look at the bus now; from any thread."""
        if self._followers and self._loop is not None:
            # A loop that has ended has nobody to tell.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._woken.set)

    def end(self) -> None:
        """End the open streams of `listen`, with a last message that says so."""
        self._listening.close()

    async def follow(self) -> None:
        """Pass on what the bus publishes, until cancelled; of several servers in one process, one does it for all."""
        async with self._alone:
            # An event belongs to the loop that first waited for it.
            self._loop, self._woken = asyncio.get_running_loop(), asyncio.Event()
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS if self._followers else None):
                        await self._woken.wait()
                self._woken.clear()
                if self._followers:
                    try:
                        await self._pass_on()
                    except Exception as error:  # noqa: BLE001 - the server must outlive whatever the bus raises
                        log.warning("subscriptions.failed", error=repr(error))
                        await asyncio.sleep(_RETRY_SECONDS)
                    # Under load, a short pause lets many changes share one look.
                    await asyncio.sleep(PAUSE_SECONDS)

    async def listen(self, context: _Context, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """Serve one stream of the revision 2026-07-28."""
        uris = params.notifications.resource_subscriptions or []
        _check_number(len(uris))
        async with self._following(uris):
            return await self._listening(context, params)

    async def subscribe(self, context: _Context, params: SubscribeRequestParams) -> EmptyResult:
        """Tell a connection of the revision 2025-11-25 of one more resource; one that is not there may come to be."""
        connection = context.session._connection  # noqa: SLF001 - the library offers no other way to know its end
        told = connection.state.get(_STATE)
        if told is None:
            told = connection.state[_STATE] = _Told(connection)
            await connection.exit_stack.enter_async_context(self._telling(told))
        if params.uri not in told.uris:
            _check_number(len(told.uris) + 1)
            told.uris.add(params.uri)
            self._add([params.uri])
        return EmptyResult()

    async def unsubscribe(self, context: _Context, params: UnsubscribeRequestParams) -> EmptyResult:
        """The opposite of `subscribe`; what was not subscribed to is left as it is."""
        told = context.session._connection.state.get(_STATE)  # noqa: SLF001 - as above
        if told is not None and params.uri in told.uris:
            told.uris.remove(params.uri)
            self._remove([params.uri])
        return EmptyResult()

    @asynccontextmanager
    async def _telling(self, told: "_Told") -> AsyncIterator[None]:
        async with self._following(()):
            ignore = self._fan_out.subscribe(told.notice)
            teller = asyncio.create_task(told.tell())
            try:
                yield
            finally:
                ignore()
                teller.cancel()
                self._remove(told.uris)

    @asynccontextmanager
    async def _following(self, uris: Sequence[str]) -> AsyncIterator[None]:
        """Follow the bus from now on, and these resources."""
        async with self._beginning:
            if not self._followers:
                self._position = await run_sync(self._newest)
            self._followers += 1
        self._woken.set()
        self._add(uris)
        try:
            yield
        finally:
            self._remove(uris)
            self._followers -= 1

    def _add(self, uris: Iterable[str]) -> None:
        for uri in uris:
            if (path := path_of(uri)) is not None:
                self._spellings.setdefault(path, Counter())[uri] += 1

    def _remove(self, uris: Iterable[str]) -> None:
        for uri in uris:
            if (path := path_of(uri)) is not None:
                spellings = self._spellings[path]
                spellings[uri] -= 1
                if not spellings[uri]:
                    del spellings[uri]
                if not spellings:
                    del self._spellings[path]

    def _newest(self) -> int:
        last = self._bus.tail(limit=1)
        return last[-1][0] if last else 0

    async def _pass_on(self) -> None:
        while batch := await run_sync(partial(self._bus.tail, after=self._position, limit=_BATCH_EVENTS)):
            self._position = batch[-1][0]
            paths, listing = self._changed([message for _, message in batch])
            for path in paths:
                for uri in list(self._spellings.get(path, ())):
                    await self._fan_out.publish(ResourceUpdated(uri))
            if listing:
                await self._fan_out.publish(ResourcesListChanged())

    def _changed(self, messages: Sequence[Message]) -> tuple[dict[str, None], bool]:
        """The paths that changed, in order, and whether the list of files did."""
        paths: dict[str, None] = {}
        listing = False
        for message in messages:
            if message.type not in _OF_FILES:
                continue
            event = Event.from_json(message.body)
            if event.vault_id != self._vault_id:
                continue
            listing = listing or event.type != FileUpdated.TYPE
            known = self._spellings if event.type == VaultReindexed.TYPE else _paths(event)
            paths |= dict.fromkeys(known)
        return paths, listing


@dataclass
class _Told:
    """One connection of the revision 2025-11-25; what it must be told waits in `changed`, each URI once."""

    connection: Connection
    uris: set[str] = field(default_factory=set)
    changed: dict[str, None] = field(default_factory=dict)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def notice(self, event: ServerEvent) -> None:
        if isinstance(event, ResourceUpdated) and event.uri in self.uris:
            self.changed[event.uri] = None
            self.woken.set()

    async def tell(self) -> None:
        # Each connection has a task of its own: one whose client does not read must not hold up the others.
        while True:
            await self.woken.wait()
            self.woken.clear()
            changed, self.changed = self.changed, {}
            for uri in changed:
                await self.connection.notify("notifications/resources/updated", {"uri": uri})


_OF_FILES = {each.TYPE for each in (FileCreated, FileUpdated, FileDeleted, FileRenamed, VaultReindexed)}


def _paths(event: Event) -> list[str]:
    if event.type == FileRenamed.TYPE:
        renamed = FileRenamed.from_event(event)
        return [renamed.previous_path, renamed.path]
    return [event.subject] if event.subject else []


def _check_number(count: int) -> None:
    if count > URIS_PER_CLIENT:
        raise MCPError(INVALID_PARAMS, f"{count} resources are too many; a client may follow {URIS_PER_CLIENT}.")
