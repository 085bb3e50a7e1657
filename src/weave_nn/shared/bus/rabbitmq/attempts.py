"""How often each message was tried: kept in the database, for the broker cannot know it.

What it counts are deliveries, and every lost connection adds one to all that was fetched ahead, tried or not; how it
counts also differs between its versions. So nothing is written of a message that comes for the first time. One that
comes again was in the hands of a worker that died or lost its connection: it is assumed to have been tried then, and
from now on each attempt is written down before it begins.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, delete, func, insert, select
from sqlalchemy.orm import Session

from weave_nn.shared.bus.models import attempt

RETENTION = timedelta(days=7)

_KNOWN = select(attempt.c.event_id, attempt.c.attempts).where(
    attempt.c.queue == bindparam("in_queue"), attempt.c.event_id.in_(bindparam("ids", expanding=True))
)
_FORGET = delete(attempt).where(
    attempt.c.queue == bindparam("in_queue"), attempt.c.event_id.in_(bindparam("ids", expanding=True))
)


def known(session: Session, queue: str, event_ids: Collection[str]) -> dict[str, int]:
    """How often each of these was tried, as far as it was noted."""
    rows = session.execute(_KNOWN, {"in_queue": queue, "ids": list(event_ids)})
    return {row.event_id: row.attempts for row in rows}


def note(session: Session, queue: str, attempts: Mapping[str, int], *, resting: bool = False) -> None:
    """Note how often each was tried."""
    if attempts:
        forget(session, queue, list(attempts))
        now = datetime.now(UTC)
        rows = [
            {"queue": queue, "event_id": event_id, "attempts": count, "resting": resting, "noted_at": now}
            for event_id, count in attempts.items()
        ]
        session.execute(insert(attempt), rows)


def forget(session: Session, queue: str, event_ids: Sequence[str]) -> None:
    """Forget what was settled."""
    session.connection().execute(_FORGET, {"in_queue": queue, "ids": list(event_ids)})


def forget_queue(session: Session, queue: str) -> None:
    """Forget everything about a queue."""
    session.execute(delete(attempt).where(attempt.c.queue == queue))


def resting(session: Session) -> dict[str, int]:
    """How many messages of each queue rest until their next attempt."""
    counts = select(attempt.c.queue, func.count().label("resting")).where(attempt.c.resting)
    return {row.queue: row.resting for row in session.execute(counts.group_by(attempt.c.queue))}


def prune(session: Session) -> None:
    """Forget what is older than anything that can still be on its way."""
    session.execute(delete(attempt).where(attempt.c.noted_at < datetime.now(UTC) - RETENTION))
