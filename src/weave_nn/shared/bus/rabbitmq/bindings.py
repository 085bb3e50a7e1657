"""Which topics belong to which queue: noted in the database, because the broker does not tell."""

from collections.abc import Collection, Mapping

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from weave_nn.shared.bus.models import binding
from weave_nn.shared.db import Database, lock


def topics(database: Database) -> dict[str, list[str]]:
    """The topics of every queue."""
    found: dict[str, list[str]] = {}
    with database.read() as work:
        for queue, topic in work.session.execute(select(binding.c.queue, binding.c.topic)):
            found.setdefault(queue, []).append(topic)
    return found


def note(database: Database, wanted: Mapping[str, Collection[str]], *, forget: bool) -> dict[str, list[str]]:
    """Note the topics of some queues; returns those that they have and should not, `forget` deletes these."""
    stale: dict[str, list[str]] = {}
    with database.write() as work:
        lock(work.session, "bus-bindings")
        rows = work.session.execute(select(binding).where(binding.c.queue.in_(wanted)))
        noted = {(queue, topic) for queue, topic in rows}
        new = [(queue, topic) for queue, topics in wanted.items() for topic in topics]
        if missing := [{"queue": queue, "topic": topic} for queue, topic in new if (queue, topic) not in noted]:
            work.session.execute(insert(binding), missing)
        for queue, topic in sorted(noted - set(new)):
            stale.setdefault(queue, []).append(topic)
            if forget:
                work.session.execute(delete(binding).where(binding.c.queue == queue, binding.c.topic == topic))
    return stale


def forget(session: Session, queue: str) -> None:
    """Note no topics for a queue any more."""
    session.execute(delete(binding).where(binding.c.queue == queue))
