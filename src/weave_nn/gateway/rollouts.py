"""Rollouts kept in the database: every change is one transaction with its line in the history and its event."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from weave_nn.gateway import rollout as steps
from weave_nn.gateway.buckets import bucket
from weave_nn.gateway.events import RolledBack, Stepped
from weave_nn.gateway.places import address, known_service
from weave_nn.gateway.repository import Change, Comparison, Mismatch, Node, RolloutRepository, Window
from weave_nn.gateway.rollout import Policy, Rollout, State, StepRefused, Verdict
from weave_nn.shared.bus import Announcement, Outbox
from weave_nn.shared.db import Database, UnitOfWork, lock, signal
from weave_nn.shared.errors import NotFound

CHANNEL = "gateway"
"""The signal that a rollout has changed."""

NODE_SECONDS = 10.0
"""A gateway process that has not told for so long that it lives is taken for gone."""

FRESH_SECONDS = 15.0
"""A verdict of the guard that is older says nothing any more."""

_LINES = 50


@dataclass(frozen=True, slots=True)
class Status:
    """All about one service's newest rollout."""

    rollout: Rollout
    window: Window | None
    comparisons: tuple[Comparison, ...]
    history: tuple[Change, ...]
    nodes: tuple[Node, ...]
    version: int
    demanded: int | None
    """The percentage that the environment of the gateways demands, whatever was commanded."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """On which side a user is, and why: the bucket, and how many of the buckets are the candidate's."""

    service: str
    user: str
    side: str
    address: str
    bucket: int
    share: int
    why: str


class Rollouts:
    """The rollouts of one vault. `overrides` are the percentages that this process's environment demands."""

    def __init__(self, database: Database, vault_id: str, overrides: dict[str, int] | None = None) -> None:
        self._database = database
        self._vault_id = vault_id
        self._overrides = overrides or {}

    def plan(
        self,
        service: str,
        *,
        candidate: str,
        monolith: str,
        stable: str | None = None,
        policy: Policy,
        who: str,
        why: str,
    ) -> Rollout:
        """Begin a rollout; nobody is moved yet.

        The stable side is where the service lives now: with the monolith, or where its last rollout left it. Raises
        `StepRefused` while another rollout of the service is under way.
        """
        known_service(service)
        for each in (monolith if stable is None else stable, candidate):
            address(each)
        now = _now()
        with self._database.write() as work:
            rollouts = self._locked(work)
            before = rollouts.of_service(service)
            _refuse_under_way(before)
            home = stable or _home(before, monolith)
            if home.rstrip("/") == candidate.rstrip("/"):
                raise StepRefused(f"{service} lives at {candidate} already.", hint="Name another candidate.")
            planned = Rollout(
                id=0,
                service=service,
                stable=home.rstrip("/"),
                candidate=candidate.rstrip("/"),
                salt=secrets.token_hex(4),
                stepped_at=now,
                policy=policy,
            )
            added = rollouts.add(planned, now)
            self._written(work, rollouts, None, added, action="plan", who=who, why=why, now=now)
        return added

    def shadow(self, service: str, percent: int, *, who: str, why: str = "") -> Rollout:
        """Mirror `percent` of the service's GETs to the comparer."""
        return self._change(
            service, "shadow", lambda each, _, now: steps.shadow(each, percent, now=now), who=who, why=why
        )

    def step(
        self,
        service: str,
        percent: int,
        *,
        who: str,
        why: str = "",
        force: bool = False,
        still: Callable[[Rollout], bool] | None = None,
    ) -> Rollout:
        """Give the candidate `percent` of the users; see `rollout.step` for what is refused.

        Here and below, nothing is done if the rollout is not `still` what was judged: somebody was faster.
        """
        return self._change(
            service,
            "step (forced)" if force else "step",
            lambda each, verdict, now: steps.step(each, percent, verdict, now=now, force=force),
            who=who,
            why=why,
            still=still,
        )

    def automate(self, service: str, *, automatic: bool, soak_seconds: float | None = None, who: str) -> Rollout:
        """Have the rollout go up by itself, step by step after each soak, or stop that."""

        def changed(each: Rollout, _verdict: Verdict, now: datetime) -> Rollout:
            if each.ended:
                return steps.shadow(each, each.shadow_percent, now=now)
            policy = each.policy if soak_seconds is None else replace(each.policy, soak_seconds=soak_seconds)
            return replace(each, automatic=automatic, policy=policy)

        return self._change(service, "automatic" if automatic else "by hand", changed, who=who, why="")

    def soak(self, service: str, *, who: str, why: str, still: Callable[[Rollout], bool] | None = None) -> Rollout:
        """All users were seen to be well on the candidate: the soak begins."""
        return self._change(
            service, "soak", lambda each, _, now: steps.soak(each, now=now), who=who, why=why, still=still
        )

    def pause(self, service: str, *, who: str, why: str = "") -> Rollout:
        """Keep the split as it is."""
        return self._change(service, "pause", lambda each, _verdict, _now: steps.pause(each, why), who=who, why=why)

    def resume(self, service: str, *, who: str, why: str = "") -> Rollout:
        """Go on after a pause."""
        return self._change(service, "resume", lambda each, _, now: steps.resume(each, now=now), who=who, why=why)

    def complete(self, service: str, *, who: str, why: str = "", force: bool = False) -> Rollout:
        """The candidate is the service's home from now on."""
        return self._change(
            service,
            "complete (forced)" if force else "complete",
            lambda each, verdict, now: steps.complete(each, verdict, now=now, force=force),
            who=who,
            why=why,
        )

    def roll_back(self, service: str, *, who: str, why: str, still: Callable[[Rollout], bool] | None = None) -> Rollout:
        """Send everybody home; latched. Announces `gateway.rollback`. Rolling back twice is once."""
        return self._change(
            service,
            "roll back",
            lambda each, _, now: steps.roll_back(each, why, now=now),
            who=who,
            why=why,
            still=still,
        )

    def version(self) -> int:
        """How many changes there have been: a cheap look."""
        with self._database.read() as work:
            return RolloutRepository(work.session, self._vault_id).version()

    def routed(self) -> tuple[int, tuple[Rollout, ...]]:
        """The version, and what decides on the routes in it."""
        with self._database.read() as work:
            rollouts = RolloutRepository(work.session, self._vault_id)
            return rollouts.version(), tuple(rollouts.latest())

    def find(self, service: str) -> Rollout:
        """The service's newest rollout. Raises `NotFound`."""
        known_service(service)
        with self._database.read() as work:
            return _found(RolloutRepository(work.session, self._vault_id), service)

    def status(self, service: str) -> Status:
        """All about the service's newest rollout. Raises `NotFound`."""
        known_service(service)
        now = _now()
        with self._database.read() as work:
            rollouts = RolloutRepository(work.session, self._vault_id)
            found = _found(rollouts, service)
            nodes = rollouts.nodes(now=now, within=timedelta(seconds=NODE_SECONDS))
            return Status(
                rollout=found,
                window=rollouts.window(found.id),
                comparisons=tuple(rollouts.comparisons(found.id)),
                history=tuple(rollouts.history(service, _LINES)),
                nodes=tuple(nodes),
                version=rollouts.version(),
                demanded=self._demanded(service, nodes),
            )

    def require_none_under_way(self, service: str) -> None:
        """Raise `StepRefused` while a rollout of the service is under way; `plan` asks again."""
        known_service(service)
        with self._database.read() as work:
            _refuse_under_way(RolloutRepository(work.session, self._vault_id).of_service(service))

    def home(self, service: str, monolith: str) -> str:
        """Where the service lives now."""
        known_service(service)
        with self._database.read() as work:
            return _home(RolloutRepository(work.session, self._vault_id).of_service(service), monolith)

    def mismatches(self, service: str, limit: int) -> list[Mismatch]:
        """The newest mismatches of the service's newest rollout."""
        known_service(service)
        with self._database.read() as work:
            rollouts = RolloutRepository(work.session, self._vault_id)
            return rollouts.mismatches(_found(rollouts, service).id, limit)

    def nodes(self) -> list[Node]:
        """The gateway processes that live."""
        with self._database.read() as work:
            return RolloutRepository(work.session, self._vault_id).nodes(
                now=_now(), within=timedelta(seconds=NODE_SECONDS)
            )

    def where(self, user: str) -> list[Whereabouts]:
        """For each service that was ever extracted, the side that `user` (a name, without prefix) is on."""
        nodes, (_, rollouts) = self.nodes(), self.routed()
        return [whereabouts(each, user, self._demanded(each.service, nodes)) for each in rollouts]

    def _demanded(self, service: str, nodes: list[Node]) -> int | None:
        """What the gateways' environment demands; where none runs, what ours would if it were one."""
        if not nodes:
            return self._overrides.get(service)
        return min((node.demanded[service] for node in nodes if service in node.demanded), default=None)

    def _change(
        self,
        service: str,
        action: str,
        change: Callable[[Rollout, Verdict, datetime], Rollout],
        *,
        who: str,
        why: str,
        still: Callable[[Rollout], bool] | None = None,
    ) -> Rollout:
        known_service(service)
        now = _now()
        with self._database.write() as work:
            rollouts = self._locked(work)
            before = _found(rollouts, service)
            if still is not None and not still(before):
                return before
            after = change(before, verdict_of(before, rollouts.window(before.id), now), now)
            if after != before:
                rollouts.save(after)
                self._written(work, rollouts, before, after, action=action, who=who, why=why, now=now)
        return after

    def _locked(self, work: UnitOfWork) -> RolloutRepository:
        lock(work.session, "gateway")
        return RolloutRepository(work.session, self._vault_id)

    def _written(
        self,
        work: UnitOfWork,
        rollouts: RolloutRepository,
        before: Rollout | None,
        after: Rollout,
        *,
        action: str,
        who: str,
        why: str,
        now: datetime,
    ) -> None:
        rollouts.record(before, after, action=action, who=who, why=why, now=now)
        rollouts.count_change()
        announcement: Announcement
        if after.state is State.ROLLED_BACK and before is not None:
            announcement = RolledBack(after.service, after.id, before.percent, who, why)
        else:
            announcement = Stepped(after.service, after.id, action, after.state, after.percent, who)
        Outbox(work.session, "gateway", self._vault_id).announce(announcement)
        signal(work.session, CHANNEL)


def verdict_of(rollout: Rollout, window: Window | None, now: datetime) -> Verdict:
    """What the guard thinks of the present step: what it said of an earlier one, or long ago, does not count.

    A gateway that has not heard of the step yet still judges the one before, and may say so after the step began.
    """
    if window is None or window.stepped_at != rollout.stepped_at:
        return Verdict("hold", "the guard has not looked at this step yet; is `weave gateway` running")
    if (now - window.at).total_seconds() > FRESH_SECONDS:
        return Verdict("hold", f"the guard looked last at {window.at:%F %T} UTC; is `weave gateway` running")
    match window.verdict:
        case "passed":
            return Verdict("passed", window.reason)
        case "breached":
            return Verdict("breached", window.reason)
        case _:
            return Verdict("hold", window.reason)


def label(user: str) -> str:
    """How a user's name stands in what is hashed, and in the header between Envoy's filters."""
    from urllib.parse import quote  # noqa: PLC0415 - one small use

    return f"user:{quote(user, safe='@._-')}"


def whereabouts(rollout: Rollout, user: str, override: int | None = None) -> Whereabouts:
    """On which side of `rollout` a user is."""
    place = bucket(rollout.salt, label(user))
    share = steps.share(rollout, override)
    candidate = place < share
    because = f"bucket {place} of {steps.BUCKETS:,} is {'below' if candidate else 'not below'} {share:,}"
    if override is not None:
        because += f" (the environment demands {override} %)"
    return Whereabouts(
        service=rollout.service,
        user=user,
        side="candidate" if candidate else "stable",
        address=rollout.candidate if candidate else rollout.stable,
        bucket=place,
        share=share,
        why=f"{rollout.state}: {because}",
    )


def _refuse_under_way(last: Rollout | None) -> None:
    if last is not None and not last.ended:
        raise StepRefused(
            f"A rollout of {last.service} is under way: it is {last.state} at {last.percent} %.",
            hint=f"End it first with `weave rollback {last.service}` or `weave complete {last.service}`.",
        )


def _home(last: Rollout | None, monolith: str) -> str:
    if last is None:
        return monolith
    return last.candidate if last.state is State.COMPLETED else last.stable


def _found(rollouts: RolloutRepository, service: str) -> Rollout:
    found = rollouts.of_service(service)
    if found is None:
        raise NotFound(
            f"{service} has never been extracted.", hint=f"Plan it with `weave extract {service}`.", field="service"
        )
    return found


def _now() -> datetime:
    return datetime.now(UTC)
