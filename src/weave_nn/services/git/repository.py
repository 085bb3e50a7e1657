"""What waits to be committed, and how the last attempts went."""

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from weave_nn.services.git.contract import Finding
from weave_nn.services.git.models import PendingRow, StateRow
from weave_nn.shared.db import lock

MAX_FINDINGS = 50


@dataclass(frozen=True, slots=True)
class Pending:
    """A path that waits, and the latest event of it."""

    path: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many paths wait, since when, and when the last of them changed."""

    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class State:
    """How the last attempts went; None says well."""

    problem: str | None = None
    sync_problem: str | None = None
    findings: tuple[Finding, ...] = ()


class GitRepository:
    """The rows of one vault, in one transaction."""

    def __init__(self, session: Session, vault_id: str) -> None:
        self._session = session
        self._vault_id = vault_id

    def note(self, paths: Sequence[str], event_id: str, now: datetime) -> None:
        """Remember that these paths have to be committed."""
        lock(self._session, f"git:{self._vault_id}")
        for path in paths:
            row = self._session.get(PendingRow, (self._vault_id, path))
            if row is None:
                self._session.add(
                    PendingRow(vault_id=self._vault_id, path=path, event_id=event_id, first_at=now, last_at=now)
                )
            else:
                row.event_id, row.last_at = event_id, now
        self._session.flush()

    def backlog(self) -> Backlog | None:
        """What waits; None if nothing does."""
        asked = select(func.count(), func.min(PendingRow.first_at), func.max(PendingRow.last_at))
        count, first_at, last_at = self._session.execute(asked.where(self._mine)).one()
        return Backlog(count, first_at, last_at) if count else None

    def pending(self) -> list[Pending]:
        """What waits, the longest first."""
        asked = select(PendingRow.path, PendingRow.event_id).where(self._mine)
        return [Pending(*row) for row in self._session.execute(asked.order_by(PendingRow.first_at, PendingRow.path))]

    def settle(self, done: Sequence[Pending]) -> None:
        """Forget what was committed, unless something was heard of it since."""
        # Or a row goes between the moment `note` reads it and the moment it writes it.
        lock(self._session, f"git:{self._vault_id}")
        for each in done:
            self._session.execute(
                delete(PendingRow).where(self._mine, PendingRow.path == each.path, PendingRow.event_id == each.event_id)
            )

    def state(self) -> State:
        """How the last attempts went."""
        row = self._session.get(StateRow, self._vault_id)
        if row is None:
            return State()
        return State(row.problem, row.sync_problem, tuple(Finding(*each) for each in json.loads(row.findings)))

    def remember(self, **changed: Any) -> None:
        """Write `problem`, `sync_problem` (both may be None) or `findings`."""
        lock(self._session, f"git:{self._vault_id}")
        row = self._session.get(StateRow, self._vault_id)
        if row is None:
            row = StateRow(vault_id=self._vault_id, findings="[]")
            self._session.add(row)
        if "findings" in changed:
            row.findings = json.dumps([astuple(each) for each in changed.pop("findings")[:MAX_FINDINGS]])
        for name, value in changed.items():
            setattr(row, name, value)
        self._session.flush()

    @property
    def _mine(self) -> Any:
        return PendingRow.vault_id == self._vault_id
