"""Who is told of what, on the bus of a process; the transports are tested end to end."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.shared.subscriptions import ResourcesListChanged, ResourceUpdated
from mcp_types import ResourceUpdatedNotification

from weave_nn.services.files.events import FileRenamed, FileUpdated, VaultReindexed
from weave_nn.services.sync.tools.subscriptions import URIS_PER_CLIENT, Subscriptions, register_subscriptions
from weave_nn.shared import bus as shared_bus
from weave_nn.shared.bus import Announcement, Bus, EmbeddedBus, Message
from weave_nn.shared.db import Database, upgrade
from weave_nn.shared.errors import Unavailable
from weave_nn.shared.mcp import VaultServer

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")

ETAG = "0" * 64
TOLD_SECONDS = 60


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'bus.db'}")
    upgrade(made, [shared_bus.SCHEMA])
    yield made
    made.close()


@pytest.fixture
def bus(database: Database) -> EmbeddedBus:
    return EmbeddedBus(database)


@pytest.fixture
def server(bus: EmbeddedBus, database: Database) -> VaultServer:
    made = VaultServer("1")
    register_subscriptions(made, bus, "v", database.on_commit)
    return made


def publish(bus: Bus, *announced: Announcement, vault_id: str = "v") -> None:
    events = [each.to_event(source="files", vault_id=vault_id, request_id=None) for each in announced]
    bus.publish([Message(event.id, event.type, event.to_json()) for event in events])


def updated(path: str) -> FileUpdated:
    return FileUpdated(path, ETAG, 1, ETAG)


async def told(subscription: Any) -> Any:
    return await asyncio.wait_for(anext(subscription), TOLD_SECONDS)


async def test_a_listener_is_told_in_its_own_spelling(server: VaultServer, bus: EmbeddedBus) -> None:
    uri = "vault://My notes/50%25 gr%C3%BCn.md"
    async with Client(server) as client, client.listen(resource_subscriptions=[uri]) as subscription:
        publish(bus, updated("My notes/50% grün.md"), vault_id="another")
        publish(bus, updated("other.md"), updated("My notes/50% grün.md"))
        assert await told(subscription) == ResourceUpdated(uri)


async def test_both_ends_of_a_rename_and_a_reindexed_vault_are_told(server: VaultServer, bus: EmbeddedBus) -> None:
    uris = ["vault://a.md", "vault://b.md"]
    async with (
        Client(server) as client,
        client.listen(resource_subscriptions=uris, resources_list_changed=True) as subscription,
    ):
        for announced in (FileRenamed("b.md", "a.md", ETAG, 1), VaultReindexed(7)):
            publish(bus, announced)
            said = [await told(subscription) for _ in range(3)]
            assert said == [*(ResourceUpdated(uri) for uri in uris), ResourcesListChanged()]


async def test_what_was_published_before_is_not_told(server: VaultServer, bus: EmbeddedBus) -> None:
    publish(bus, updated("a.md"))
    async with Client(server) as client, client.listen(resource_subscriptions=["vault://a.md"]) as subscription:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(subscription), 0.5)


async def test_the_older_revision_can_unsubscribe(server: VaultServer, bus: EmbeddedBus) -> None:
    said: asyncio.Queue[str] = asyncio.Queue()

    async def hear(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            said.put_nowait(message.params.uri)

    async with Client(server, mode="legacy", message_handler=hear) as client:
        for uri in ("vault://a.md", "vault://b.md", "vault://b.md", "test://other"):
            await client.subscribe_resource(uri)
        publish(bus, updated("a.md"), updated("b.md"))
        assert {await asyncio.wait_for(said.get(), TOLD_SECONDS) for _ in range(2)} == {"vault://a.md", "vault://b.md"}
        await client.unsubscribe_resource("vault://a.md")
        await client.unsubscribe_resource("vault://never.md")
        publish(bus, updated("a.md"), updated("b.md"))
        assert await asyncio.wait_for(said.get(), TOLD_SECONDS) == "vault://b.md"
        assert said.empty()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_how_much_a_client_follows_is_bounded_and_forgotten_with_it(
    bus: EmbeddedBus, mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Subscriptions] = []
    plain = Subscriptions.__init__

    def remember(self: Subscriptions, *args: Any) -> None:
        made.append(self)
        plain(self, *args)

    monkeypatch.setattr(Subscriptions, "__init__", remember)
    server = VaultServer("1")
    register_subscriptions(server, bus, "v", lambda _wake: None)
    uris = [f"vault://{number}.md" for number in range(URIS_PER_CLIENT + 1)]
    async with Client(server, mode=mode) as client:
        if mode == "auto":
            with pytest.raises(MCPError, match="too many"):
                async with client.listen(resource_subscriptions=uris):
                    pass
            async with client.listen(resource_subscriptions=uris[:-1]):
                assert len(made[0]._spellings) == URIS_PER_CLIENT
        else:
            for uri in uris[:-1]:
                await client.subscribe_resource(uri)
            with pytest.raises(MCPError, match="too many"):
                await client.subscribe_resource(uris[-1])
    assert (made[0]._spellings, made[0]._followers) == ({}, 0)


class AwayOnce(EmbeddedBus):
    """A bus that does not answer one question."""

    away = False

    def tail(self, *, after: int | None = None, limit: int = 100) -> Any:
        if self.away:
            self.away = False
            raise Unavailable("The bus is away.")
        return super().tail(after=after, limit=limit)


async def test_a_bus_that_is_away_for_a_moment_loses_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weave_nn.services.sync.tools.subscriptions._RETRY_SECONDS", 0.01)
    bus = AwayOnce(database)
    server = VaultServer("1")
    register_subscriptions(server, bus, "v", database.on_commit)
    async with Client(server) as client, client.listen(resource_subscriptions=["vault://a.md"]) as subscription:
        bus.away = True
        publish(bus, updated("a.md"))
        assert await told(subscription) == ResourceUpdated("vault://a.md")
