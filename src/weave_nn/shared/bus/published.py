"""The most recent events that were published, kept in the database whatever the bus: what `Bus.tail` shows.

Every process of a vault reaches the database, no process has to consume anything to look, and positions stay valid
when the bus changes. The embedded bus delivers from the same rows.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select
from sqlalchemy.orm import Session

from weave_nn.shared.bus.models import delivery, event
from weave_nn.shared.bus.port import Message
from weave_nn.shared.db import insert_rows

KEPT_EVENTS = 10_000
"""How many published events are kept when nobody waits for them any more."""

TIDY_ROWS = 2000

COLUMNS = (event.c.event_id, event.c.type, event.c.body)

_APPEND_RETURNING = insert(event).returning(event.c.sequence, sort_by_parameter_order=True)


def append(session: Session, messages: Sequence[Message]) -> None:
    """Keep the messages, in order."""
    now = datetime.now(UTC)
    rows = [(message.event_id, message.type, message.body, now) for message in messages]
    insert_rows(session, event, ("event_id", "type", "body", "published_at"), rows)


def append_returning(session: Session, messages: Sequence[Message]) -> Sequence[int]:
    """Keep the messages, in order; returns their positions."""
    return session.scalars(_APPEND_RETURNING, _rows(messages)).all()


def tail(session: Session, *, after: int | None, limit: int) -> list[tuple[int, Message]]:
    """See `Bus.tail`."""
    position = event.c.sequence
    statement = select(position, *COLUMNS).limit(limit)
    if after is None:
        statement = statement.order_by(position.desc())
    else:
        statement = statement.where(position > after).order_by(position)
    found = [(row.sequence, message_of(row)) for row in session.execute(statement)]
    return sorted(found, key=lambda each: each[0])


def tidy(session: Session) -> bool:
    """Forget old events that no embedded queue waits for, a limited number at a time; whether that was all."""
    newest = session.scalar(select(func.max(event.c.sequence))) or 0
    oldest_needed = session.scalar(select(func.min(delivery.c.sequence)))
    end = min(newest - KEPT_EVENTS + 1, newest if oldest_needed is None else oldest_needed)
    first = session.scalar(select(func.min(event.c.sequence))) or 0
    session.execute(delete(event).where(event.c.sequence < min(end, first + TIDY_ROWS)))
    return end <= first + TIDY_ROWS


def message_of(row: Row[*tuple[Any, ...]]) -> Message:
    """The message of a row that has `COLUMNS`."""
    return Message(event_id=row.event_id, type=row.type, body=row.body)


def _rows(messages: Sequence[Message]) -> list[dict[str, object]]:
    now = datetime.now(UTC)
    return [
        {"event_id": message.event_id, "type": message.type, "body": message.body, "published_at": now}
        for message in messages
    ]
