"""The only SQL of the gateway."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from weave_nn.gateway.models import (
    ComparisonRow,
    HistoryRow,
    MismatchRow,
    NodeRow,
    RolloutRow,
    VersionRow,
    WindowRow,
)
from weave_nn.gateway.rollout import Policy, Rollout, State

KEPT_MISMATCHES = 100
"""How many mismatches of a rollout are kept; the newest."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a rollout's history."""

    at: datetime
    who: str
    action: str
    why: str
    from_state: str | None
    to_state: str
    from_percent: int
    to_percent: int


@dataclass(frozen=True, slots=True)
class Node:
    """A gateway process that was seen lately; `version` is what its Envoy serves.

    `demanded` are the percentages by service that its environment demands.
    """

    node: str
    address: str
    version: int
    problem: str
    seen_at: datetime
    demanded: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a route compares; `failed` are those where a side could not be asked."""

    route: str
    compared: int = 0
    mismatched: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What differed on one path."""

    at: datetime
    route: str
    path: str
    difference: str
    stable: str
    candidate: str
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Window:
    """What the guard saw last; `seen` holds the figures of both sides by name.

    `stepped_at` is that of the rollout which was judged, and so names the step.
    """

    stepped_at: datetime
    at: datetime
    verdict: str
    reason: str
    seen: dict[str, Any]


class RolloutRepository:
    """Rollouts of one vault, in one transaction."""

    def __init__(self, session: Session, vault_id: str) -> None:
        self._session = session
        self._vault_id = vault_id

    def version(self) -> int:
        """How many changes there have been."""
        found = self._session.scalar(select(VersionRow.version).where(VersionRow.vault_id == self._vault_id))
        return found or 0

    def count_change(self) -> int:
        """Count one more change; returns the version that it makes."""
        row = self._session.get(VersionRow, self._vault_id, with_for_update=True)
        if row is None:
            row = VersionRow(vault_id=self._vault_id, version=0)
            self._session.add(row)
        row.version += 1
        self._session.flush()
        return row.version

    def latest(self) -> list[Rollout]:
        """For each service its newest rollout, which decides on its routes.

        One that was planned after another was completed has that one's candidate for its stable side, so that the
        newest alone is enough.
        """
        newest = (
            select(func.max(RolloutRow.id)).where(RolloutRow.vault_id == self._vault_id).group_by(RolloutRow.service)
        )
        rows = self._session.scalars(select(RolloutRow).where(RolloutRow.id.in_(newest)).order_by(RolloutRow.service))
        return [_rollout(row) for row in rows]

    def of_service(self, service: str) -> Rollout | None:
        """The service's newest rollout."""
        row = self._newest(service)
        return _rollout(row) if row else None

    def add(self, rollout: Rollout, now: datetime) -> Rollout:
        """Keep a new rollout; its id is given here."""
        row = RolloutRow(vault_id=self._vault_id, created_at=now)
        _fill(row, rollout)
        self._session.add(row)
        self._session.flush()
        row.salt = f"{rollout.service}-{row.id}-{rollout.salt}"
        self._session.flush()
        return _rollout(row)

    def save(self, rollout: Rollout) -> None:
        """Keep a rollout as it stands now."""
        row = self._session.get_one(RolloutRow, rollout.id)
        _fill(row, rollout)

    def record(self, before: Rollout | None, after: Rollout, *, action: str, who: str, why: str, now: datetime) -> None:
        """Write a change into the history."""
        self._session.add(
            HistoryRow(
                rollout_id=after.id,
                at=now,
                who=who,
                action=action,
                why=why,
                from_state=before.state if before else None,
                to_state=after.state,
                from_percent=before.percent if before else 0,
                to_percent=after.percent,
            )
        )

    def history(self, service: str, limit: int) -> list[Change]:
        """The newest changes of all rollouts of a service, oldest first."""
        rows = self._session.scalars(
            select(HistoryRow)
            .join(RolloutRow, RolloutRow.id == HistoryRow.rollout_id)
            .where(RolloutRow.vault_id == self._vault_id, RolloutRow.service == service)
            .order_by(HistoryRow.id.desc())
            .limit(limit)
        )
        return [
            Change(row.at, row.who, row.action, row.why, row.from_state, row.to_state, row.from_percent, row.to_percent)
            for row in reversed(rows.all())
        ]

    def seen(self, node: Node) -> None:
        """A gateway process tells that it lives, and what it serves."""
        row = self._session.get(NodeRow, (self._vault_id, node.node))
        if row is None:
            row = NodeRow(vault_id=self._vault_id, node=node.node)
            self._session.add(row)
        row.address, row.version, row.problem = node.address, node.version, node.problem
        row.demanded, row.seen_at = node.demanded, node.seen_at

    def forget_node(self, node: str) -> None:
        """A gateway process has ended."""
        self._session.execute(delete(NodeRow).where(NodeRow.vault_id == self._vault_id, NodeRow.node == node))

    def nodes(self, *, now: datetime, within: timedelta) -> list[Node]:
        """The gateway processes that told lately that they live."""
        rows = self._session.scalars(
            select(NodeRow).where(NodeRow.vault_id == self._vault_id, NodeRow.seen_at >= now - within)
        )
        return [Node(row.node, row.address, row.version, row.problem, row.seen_at, row.demanded) for row in rows]

    def keep_window(self, rollout_id: int, window: Window) -> None:
        """Keep what the guard saw."""
        row = self._session.get(WindowRow, rollout_id)
        if row is None:
            row = WindowRow(rollout_id=rollout_id)
            self._session.add(row)
        row.stepped_at, row.at = window.stepped_at, window.at
        row.verdict, row.reason, row.seen = window.verdict, window.reason, window.seen

    def window(self, rollout_id: int) -> Window | None:
        """What the guard saw last."""
        row = self._session.get(WindowRow, rollout_id)
        return Window(row.stepped_at, row.at, row.verdict, row.reason, row.seen) if row else None

    def count_comparisons(self, rollout_id: int, counts: Sequence[Comparison]) -> None:
        """Add to the counts of routes."""
        for each in counts:
            row = self._session.get(ComparisonRow, (rollout_id, each.route))
            if row is None:
                row = ComparisonRow(rollout_id=rollout_id, route=each.route, compared=0, mismatched=0, failed=0)
                self._session.add(row)
            row.compared += each.compared
            row.mismatched += each.mismatched
            row.failed += each.failed

    def comparisons(self, rollout_id: int) -> list[Comparison]:
        """The counts of all routes, those with mismatches first."""
        rows = self._session.scalars(
            select(ComparisonRow)
            .where(ComparisonRow.rollout_id == rollout_id)
            .order_by(ComparisonRow.mismatched.desc(), ComparisonRow.route)
        )
        return [Comparison(row.route, row.compared, row.mismatched, row.failed) for row in rows]

    def keep_mismatches(self, rollout_id: int, mismatches: Sequence[Mismatch]) -> None:
        """Keep these, and of the older ones only so many that there are not more than `KEPT_MISMATCHES`."""
        self._session.add_all(MismatchRow(rollout_id=rollout_id, **asdict(each)) for each in mismatches)
        self._session.flush()
        kept = (
            select(MismatchRow.id)
            .where(MismatchRow.rollout_id == rollout_id)
            .order_by(MismatchRow.id.desc())
            .limit(KEPT_MISMATCHES)
            .subquery()
        )
        oldest = self._session.scalar(select(func.min(kept.c.id)))
        if oldest is not None:
            self._session.execute(
                delete(MismatchRow).where(MismatchRow.rollout_id == rollout_id, MismatchRow.id < oldest)
            )

    def mismatches(self, rollout_id: int, limit: int) -> list[Mismatch]:
        """The newest mismatches."""
        rows = self._session.scalars(
            select(MismatchRow).where(MismatchRow.rollout_id == rollout_id).order_by(MismatchRow.id.desc()).limit(limit)
        )
        return [
            Mismatch(row.at, row.route, row.path, row.difference, row.stable, row.candidate, row.milliseconds)
            for row in rows
        ]

    def _newest(self, service: str) -> RolloutRow | None:
        return self._session.scalar(
            select(RolloutRow)
            .where(RolloutRow.vault_id == self._vault_id, RolloutRow.service == service)
            .order_by(RolloutRow.id.desc())
            .limit(1)
        )


def _fill(row: RolloutRow, rollout: Rollout) -> None:
    row.service = rollout.service
    row.active = None if rollout.ended else rollout.service
    row.stable, row.candidate, row.salt = rollout.stable, rollout.candidate, rollout.salt
    row.state, row.percent, row.shadow_percent = rollout.state.value, rollout.percent, rollout.shadow_percent
    row.automatic, row.reason, row.stepped_at = rollout.automatic, rollout.reason, rollout.stepped_at
    row.paused_from = rollout.paused_from.value if rollout.paused_from else None
    row.policy = asdict(rollout.policy)


def _rollout(row: RolloutRow) -> Rollout:
    policy = {**row.policy, "ignore": tuple(row.policy.get("ignore", ()))}
    return Rollout(
        id=row.id,
        service=row.service,
        stable=row.stable,
        candidate=row.candidate,
        salt=row.salt,
        state=State(row.state),
        percent=row.percent,
        shadow_percent=row.shadow_percent,
        automatic=row.automatic,
        paused_from=State(row.paused_from) if row.paused_from else None,
        reason=row.reason,
        stepped_at=row.stepped_at,
        policy=Policy(**policy),
    )
