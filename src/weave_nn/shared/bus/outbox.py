"""The outbox: announcing in the same transaction as the change that is announced.

An event that was announced exists if and only if the change was committed. `Relay` moves it to the bus afterwards.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from weave_nn.shared import context
from weave_nn.shared.bus.event import Announcement
from weave_nn.shared.bus.models import outbox
from weave_nn.shared.db import insert_rows, signal

_COLUMNS = ("event_id", "type", "body", "announced_at")

ANNOUNCED = "outbox"
"""The signal that the outbox is not empty."""


class Outbox:
    """Announces on behalf of one service, in one transaction.

    `source` is the service's name, such as `files`; `vault_id` the vault that all of it is about.
    """

    def __init__(self, session: Session, source: str, vault_id: str) -> None:
        self._session = session
        self._source = source
        self._vault_id = vault_id

    def announce(self, *announcements: Announcement) -> None:
        """Announce, in this order, if and when the transaction commits; the request id is the present one.

        Raises `EventTooLarge`, or `InvalidEvent` for what JSON cannot hold; nothing is written then.
        """
        now = datetime.now(UTC)
        rows = [self._row(announcement, now) for announcement in announcements]
        if rows:
            insert_rows(self._session, outbox, _COLUMNS, rows)
            signal(self._session, ANNOUNCED)

    def _row(self, announcement: Announcement, now: datetime) -> tuple[str, str, str, datetime]:
        event = announcement.to_event(
            source=self._source,
            vault_id=self._vault_id,
            request_id=context.request_id.get(),
            announced_at=now,
        )
        return event.id, event.type, event.to_json(), event.time


@dataclass(frozen=True, slots=True)
class Backlog:
    """What was announced and is not published yet."""

    count: int
    oldest_seconds: float


def backlog(session: Session) -> Backlog:
    """How far the relay is behind; a number that keeps growing says that the bus does not take events."""
    count, oldest = session.execute(select(func.count(), func.min(outbox.c.announced_at))).one()
    age = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
    return Backlog(count=count, oldest_seconds=max(0.0, age))
