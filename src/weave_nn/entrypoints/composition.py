"""What every composition is made of: the runtime that services stand on, and each service as a component.

A component says what a service brings to a process. `weave up` takes all of them, `weave serve` some. What a service
needs of another it asks of `Contracts` (`reaching.py`), which know where that one runs. The services are registered in
`services.py`.
"""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from fastapi import APIRouter
from sqlalchemy import Connection

from weave_nn.gateway import models as gateway_models
from weave_nn.shared import bus as shared_bus
from weave_nn.shared.bus import Bus, Outbox, Subscription, open_bus
from weave_nn.shared.config import Instance, Settings
from weave_nn.shared.db import Database, SchemaTree, ServerLimits, UnitOfWork
from weave_nn.shared.ephemeral.leases import Leases, open_leases
from weave_nn.shared.http import Dialect, ReadinessCheck
from weave_nn.shared.identity import models as identity_models
from weave_nn.vault.store import Vault

if TYPE_CHECKING:
    from weave_nn.shared.mcp import VaultServer

_Contract = TypeVar("_Contract")


EVERYWHERE = (shared_bus.SCHEMA, identity_models.SCHEMA, gateway_models.SCHEMA)
"""The tables that are in every database, whichever services are: whatever moves or saves a database takes them too."""


class Background(Protocol):
    """Work that goes on beside requests, in threads of its own."""

    def start(self) -> None:
        """Begin; returns at once."""

    def stop(self) -> object:
        """Finish what is in flight and end."""


def server_limits(settings: Settings, process: str) -> ServerLimits:
    """What a process may ask of a database server, where it is known by what it is, its host and its number."""
    return ServerLimits(
        writer_connections=settings.database_writer_connections,
        reader_connections=settings.database_reader_connections,
        connect_timeout_seconds=settings.database_connect_timeout_seconds,
        statement_timeout_seconds=settings.database_statement_timeout_seconds,
        lock_timeout_seconds=settings.database_lock_timeout_seconds,
        idle_transaction_timeout_seconds=settings.database_idle_transaction_timeout_seconds,
        name=f"weave-nn {process[:20]} {socket.gethostname()[:15]}/{os.getpid()}",
    )


@dataclass(frozen=True, slots=True)
class Runtime:
    """What all services of a process share."""

    settings: Settings
    instance: Instance
    vault: Vault
    database: Database
    bus: Bus
    leases: Leases

    @classmethod
    def open(cls, settings: Settings, instance: Instance, process: str = "tool") -> "Runtime":
        """Open the vault and name the database; nothing is written yet. Raises `VaultUnusable`, `InvalidInput`.

        `process` is what the database server shows of the process, in a word or two.
        """
        vault = Vault(instance.vault, read_only=settings.read_only)
        database = Database(instance.database_url, limits=server_limits(settings, process))
        leases = open_leases(settings.redis_url, instance.data_dir / "leases", vault_id=instance.vault_id)
        bus = open_bus(settings.rabbitmq_url, database, vault_id=instance.vault_id)
        return cls(settings, instance, vault, database, bus, leases)

    def close(self) -> None:
        """Give everything back, after what uses it has ended."""
        self.bus.close()
        self.leases.close()
        self.database.close()

    @property
    def vault_id(self) -> str:
        """The vault's id in events and rows."""
        return self.instance.vault_id

    @property
    def journal(self) -> Path:
        """Where changes of several files are written down before they are made."""
        return self.instance.data_dir / "journal"

    def outbox(self, source: str) -> Callable[[UnitOfWork], Outbox]:
        """How a service announces: its outbox in a given transaction."""
        return lambda work: Outbox(work.session, source, self.vault_id)


class Derived(Protocol):
    """What is not copied when the data moves to another database; see `weave_nn.migration.Derived`."""

    table: str

    def forget(self, connection: Connection, keys: Sequence[Any]) -> None: ...  # noqa: D102 - said there
    def make(self, connection: Connection, keys: Sequence[Any]) -> None: ...  # noqa: D102 - said there


@dataclass(frozen=True, slots=True)
class Alone:
    """Work beside requests that one process does for all: `make` makes it anew whenever this process takes it over.

    `checks` count for the readiness of the process that does it.
    """

    name: str
    make: Callable[[], Sequence[Background]]
    checks: Sequence[ReadinessCheck] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One service as a part of a process.

    `derived` is what its tables' database keeps in a way of its own, and is made anew when the data moves to another.

    `contracts` are what other services and the MCP face may ask of it. `background` runs in every process that composes
    it, `alone` in one of them, and `apart` (by the names of parts for `weave serve`) is work of it that may have a
    process of its own. All of that begins after `prepare`, and that after the schema.
    """

    name: str
    schema: SchemaTree
    contracts: Mapping[type, object]
    prepare: Callable[[], None] = lambda: None
    subscriptions: Sequence[Subscription] = ()
    routers: Sequence[APIRouter] = ()
    background: Sequence[Background] = ()
    alone: Sequence[Alone] = ()
    apart: Mapping[str, Alone] = field(default_factory=dict)
    checks: Sequence[ReadinessCheck] = ()
    dialects: dict[str, Dialect] = field(default_factory=dict)
    reading_paths: frozenset[str] = frozenset()
    public_paths: frozenset[str] = frozenset()
    body_bytes_by_prefix: dict[str, int] = field(default_factory=dict)
    rebuild: Callable[[Callable[[int, int], None]], dict[str, int]] = lambda _progress: {}
    counts: Callable[[], dict[str, int]] = dict
    derived: Sequence[Derived] = ()


class Asking(Protocol):
    """Where the contracts of other services are had; see `reaching.Contracts`."""

    def get(self, contract: type[_Contract]) -> _Contract: ...  # noqa: D102 - said there


@dataclass(frozen=True, slots=True)
class Part:
    """What `weave serve` can make a process of: its name, where it listens by itself, and one line for people."""

    name: str
    port: int
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service as it is registered: what has to be known of it also where it is not composed.

    Calls of its `contracts` from other processes go to paths under `prefix`. `compose` makes it a part of a process;
    `register_tools` gives the MCP face its tools, over the contracts. `apart` are its parts that may have a process of
    their own.
    """

    part: Part
    prefix: str
    contracts: tuple[type, ...]
    compose: Callable[[Runtime, Asking], Component]
    register_tools: Callable[["VaultServer", Runtime, Asking], None] = lambda _server, _runtime, _contracts: None
    apart: tuple[Part, ...] = ()

    @property
    def name(self) -> str:
        """Its name as a part, in settings and in messages."""
        return self.part.name

    @property
    def url_setting(self) -> str:
        """The field of the settings that says where it is reached from other processes."""
        return f"{self.name}_url"
