"""What every composition is made of: the runtime that services stand on, and each service as a component.

A component says what a service brings to a process. The monolith takes all of them; a standalone process will take
some. Adding a service means writing its component here.
"""

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fastapi import APIRouter

from weave_nn.shared.bus import Bus, EmbeddedBus, Outbox, Subscription
from weave_nn.shared.config import Instance, Settings
from weave_nn.shared.db import Database, SchemaTree, ServerLimits, UnitOfWork
from weave_nn.shared.http import Dialect, ReadinessCheck
from weave_nn.shared.mcp import VaultServer
from weave_nn.vault.store import Vault


class Background(Protocol):
    """Work that goes on beside requests, in threads of its own."""

    def start(self) -> None:
        """Begin; returns at once."""

    def stop(self) -> object:
        """Finish what is in flight and end."""


def server_limits(settings: Settings) -> ServerLimits:
    """What a process with these settings may ask of a database server; it is known there by its host and number."""
    return ServerLimits(
        writer_connections=settings.database_writer_connections,
        reader_connections=settings.database_reader_connections,
        connect_timeout_seconds=settings.database_connect_timeout_seconds,
        statement_timeout_seconds=settings.database_statement_timeout_seconds,
        lock_timeout_seconds=settings.database_lock_timeout_seconds,
        idle_transaction_timeout_seconds=settings.database_idle_transaction_timeout_seconds,
        name=f"weave-nn {socket.gethostname()[:32]}/{os.getpid()}",
    )


@dataclass(frozen=True, slots=True)
class Runtime:
    """What all services of a process share."""

    settings: Settings
    instance: Instance
    vault: Vault
    database: Database
    bus: Bus

    @classmethod
    def open(cls, settings: Settings, instance: Instance) -> "Runtime":
        """Open the vault and name the database; nothing is written yet. Raises `VaultUnusable`, `InvalidInput`."""
        vault = Vault(instance.vault, read_only=settings.read_only)
        database = Database(instance.database_url, limits=server_limits(settings))
        return cls(settings, instance, vault, database, EmbeddedBus(database))

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


@dataclass(frozen=True, slots=True)
class Component:
    """One service as a part of a process; its parts are started in the order of `background`, after the schema."""

    name: str
    schema: SchemaTree
    contract: object
    prepare: Callable[[], None] = lambda: None
    subscriptions: Sequence[Subscription] = ()
    routers: Sequence[APIRouter] = ()
    register_tools: Callable[[VaultServer], None] = lambda _server: None
    background: Sequence[Background] = ()
    checks: Sequence[ReadinessCheck] = ()
    dialects: dict[str, Dialect] = field(default_factory=dict)
    reading_paths: frozenset[str] = frozenset()
    public_paths: frozenset[str] = frozenset()
    body_bytes_by_prefix: dict[str, int] = field(default_factory=dict)
    rebuild: Callable[[Callable[[int, int], None]], dict[str, int]] = lambda _progress: {}
    counts: Callable[[], dict[str, int]] = dict
