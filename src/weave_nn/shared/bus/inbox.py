"""The inbox: what each consumer has handled, written in the same transaction as what the handling did.

A crash before the commit leaves neither; a redelivery after it finds the record. Two workers that handle the same event
at once cannot both commit, because of the primary key.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, delete, select, tuple_
from sqlalchemy.orm import Session

from weave_nn.shared.bus.models import inbox
from weave_nn.shared.db import insert_rows

RETENTION = timedelta(days=7)
"""Far longer than a message can still be on its way, however long its retries and outages last."""

PRUNE_ROWS = 2000

_COLUMNS = ("consumer", "event_id", "handled_at")

# Made once: building an IN list anew for every batch costs more than running it.
_HANDLED = select(inbox.c.event_id).where(
    inbox.c.consumer == bindparam("consumer"),
    inbox.c.event_id.in_(bindparam("event_ids", expanding=True)),
)


def handled(session: Session, consumer: str, event_ids: Collection[str]) -> set[str]:
    """Those of `event_ids` that `consumer` has handled."""
    return set(session.scalars(_HANDLED, {"consumer": consumer, "event_ids": list(event_ids)}))


def record(session: Session, consumer: str, event_ids: Collection[str]) -> None:
    """Record that `consumer` handled these; the commit fails if another worker of it was quicker."""
    now = datetime.now(UTC)
    insert_rows(session, inbox, _COLUMNS, [(consumer, event_id, now) for event_id in event_ids])


def prune(session: Session, consumer: str, *, retention: timedelta = RETENTION, limit: int = PRUNE_ROWS) -> int:
    """Forget up to `limit` of the oldest records that are older than `retention`; returns how many."""
    old = (
        select(inbox.c.consumer, inbox.c.event_id)
        .where(inbox.c.consumer == consumer, inbox.c.handled_at < datetime.now(UTC) - retention)
        .order_by(inbox.c.handled_at)
        .limit(limit)
    )
    rows = [tuple(row) for row in session.execute(old)]
    if rows:
        session.execute(delete(inbox).where(tuple_(inbox.c.consumer, inbox.c.event_id).in_(rows)))
    return len(rows)
