"""The bus's tables: `outbox`, `inbox` and what was published with every bus, and the queues of the embedded one."""

from pathlib import Path

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from weave_nn.shared.db import SchemaTree, UtcDateTime, metadata

_metadata = metadata()

# SQLite counts up only a column that is declared as INTEGER, which there has 64 bits anyway.
_Sequence = BigInteger().with_variant(Integer, "sqlite")
_NAME = String(255)

outbox = Table(
    "bus_outbox",
    _metadata,
    Column("sequence", _Sequence, primary_key=True),
    Column("event_id", _NAME, nullable=False),
    Column("type", _NAME, nullable=False),
    Column("body", Text, nullable=False),
    Column("announced_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)
"""Announced and not yet published, in the order of announcing."""

relay_lease = Table(
    "bus_relay_lease",
    _metadata,
    Column("name", _NAME, primary_key=True),
    Column("owner", _NAME, nullable=False),
    Column("until", UtcDateTime, nullable=False),
)
"""One row: the process that moves the outbox. Only one does, or events would be published twice and out of order."""

inbox = Table(
    "bus_inbox",
    _metadata,
    Column("consumer", _NAME, primary_key=True),
    Column("event_id", _NAME, primary_key=True),
    Column("handled_at", UtcDateTime, nullable=False),
    Index(None, "consumer", "handled_at"),
    sqlite_with_rowid=False,
)
"""What a consumer has handled; the primary key is what makes an effect happen once."""

binding = Table(
    "bus_binding",
    _metadata,
    Column("queue", _NAME, primary_key=True),
    Column("topic", _NAME, primary_key=True),
)
"""The topic patterns of each queue: kept, so that a process that does not consume a queue still fills it."""

event = Table(
    "bus_event",
    _metadata,
    Column("sequence", _Sequence, primary_key=True),
    Column("event_id", _NAME, nullable=False),
    Column("type", _NAME, nullable=False),
    Column("body", Text, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)
"""Published events, in order: those that are still to be delivered, and the most recent ones."""

delivery = Table(
    "bus_delivery",
    _metadata,
    Column("id", _Sequence, primary_key=True),
    Column("queue", _NAME, nullable=False),
    Column("sequence", _Sequence, ForeignKey(event.c.sequence), nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("available_at", UtcDateTime, nullable=False),
    Column("lease", _NAME),
    Index(None, "queue", "available_at", "id"),
    sqlite_autoincrement=True,
)
"""One row for each queue that an event waits in.

A consumer claims a row by moving `available_at` to the end of its lease and writing its `lease` token; so a claim
whose holder died comes back by itself, and is known by the token that it still carries.
"""

dead_letter = Table(
    "bus_dead_letter",
    _metadata,
    Column("id", _Sequence, primary_key=True),
    Column("queue", _NAME, nullable=False, index=True),
    Column("event_id", _NAME, nullable=False),
    Column("type", _NAME, nullable=False),
    Column("body", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("died_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)
"""What a queue gave up on, whole, until an operator replays or discards it."""

attempt = Table(
    "bus_attempt",
    _metadata,
    Column("queue", _NAME, primary_key=True),
    Column("event_id", _NAME, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("resting", Boolean, nullable=False),
    Column("noted_at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)
"""How often a message was tried that a broker carries and gives out again; only of those that did not succeed at once.

`resting` says that it waits outside of its queue for its next attempt.
"""

SCHEMA = SchemaTree(name="bus", folder=Path(__file__).parent / "migrations", metadata=_metadata)
