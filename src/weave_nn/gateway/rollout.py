"""A rollout: the move of one service's traffic from the stable to the candidate side, as values and pure steps.

Every step is a function from a rollout to the next one, or a refusal that says what to do instead. Nothing here knows
the database, Envoy or the clock.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal

from weave_nn.shared.errors import Conflict, InvalidInput

BUCKETS = 10_000
"""The users are spread over so many buckets; a side's share is counted in them."""

STEPS = (10, 25, 50, 100)
"""The percentages of the way up."""

_SOAKING_SHARE = BUCKETS - 1
"""At 100 % one bucket stays on the stable side: without a share, Envoy could not retry there."""


class State(StrEnum):
    """Where a rollout stands. `completed` and `rolled_back` are ends; a new rollout may then be planned."""

    PLANNED = "planned"
    SHADOWING = "shadowing"
    ROLLING = "rolling"
    SOAKING = "soaking"
    PAUSED = "paused"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"


ENDED = frozenset({State.COMPLETED, State.ROLLED_BACK})


class StepRefused(Conflict):
    """What was asked for does not follow from where the rollout stands."""

    code = "rollout_step_refused"
    title = "Step refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a rollout asks of its candidate; kept with it.

    `soak_seconds` is how long a step lasts at least, and `minimum_samples` how many requests (for the first step:
    comparisons) must have been seen in it before the next one. `ignore` are paths in JSON answers that may differ,
    such as `$.items[*].updated_at`.
    """

    soak_seconds: float = 300.0
    minimum_samples: int = 20
    tolerated_errors: float = 0.01
    tolerated_mismatches: float = 0.001
    slower_factor: float = 3.0
    slower_milliseconds: float = 100.0
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.soak_seconds >= 0 and self.minimum_samples >= 1 and self.slower_factor >= 1):
            raise InvalidInput("A rollout soaks for 0 seconds or more and asks for at least one sample.", field="soak")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guard thinks of the present step; without data it is `hold`, never `passed`."""

    kind: Literal["hold", "passed", "breached"]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One rollout as it stands. `percent` is the candidate's share of users, `shadow_percent` that of mirrored GETs."""

    id: int
    service: str
    stable: str
    candidate: str
    salt: str
    state: State = State.PLANNED
    percent: int = 0
    shadow_percent: int = 0
    automatic: bool = False
    paused_from: State | None = None
    reason: str = ""
    stepped_at: datetime
    policy: Policy = field(default_factory=Policy)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED


def share(rollout: Rollout, override: int | None = None) -> int:
    """How many of the buckets are the candidate's; `override` is the percentage that the environment demands.

    0 in the environment takes everybody home, whatever the state; otherwise what was rolled back stays so.
    """
    if override == 0 or rollout.state is State.ROLLED_BACK:
        return 0
    if rollout.state is State.COMPLETED:
        return BUCKETS
    percent = rollout.percent if override is None else override
    return min(percent * BUCKETS // 100, _SOAKING_SHARE)


def shadow(rollout: Rollout, percent: int, *, now: datetime) -> Rollout:
    """Mirror `percent` of the GETs to the comparer; from `planned` on."""
    _check_percentage(percent, "shadow")
    _refuse_ended(rollout)
    if rollout.state in {State.PLANNED, State.SHADOWING}:
        state = State.SHADOWING if percent else State.PLANNED
        return replace(rollout, state=state, shadow_percent=percent, stepped_at=now)
    return replace(rollout, shadow_percent=percent)


def step(rollout: Rollout, percent: int, verdict: Verdict, *, now: datetime, force: bool = False) -> Rollout:
    """Give the candidate `percent` of the users.

    Going down is always allowed. Going up takes one step at a time, after the guard has passed the present one;
    `force` skips both, for those who know better.
    """
    _check_percentage(percent, "to")
    _refuse_ended(rollout)
    if rollout.state is State.PAUSED and percent > rollout.percent:
        raise StepRefused(
            f"The rollout of {rollout.service} is paused at {rollout.percent} %.",
            hint=f"Go on with `weave rollout {rollout.service} --resume`.",
        )
    if percent > rollout.percent and not force:
        _check_step_up(rollout, percent, verdict)
    if rollout.state is State.PAUSED:
        return replace(rollout, percent=percent, stepped_at=now)
    state = State.ROLLING if percent else State.SHADOWING if rollout.shadow_percent else State.PLANNED
    return replace(rollout, state=state, percent=percent, stepped_at=now)


def next_step(rollout: Rollout) -> int | None:
    """The percentage that comes after the present one; None at the top or when nothing more comes."""
    if rollout.ended:
        return None
    return next((each for each in STEPS if each > rollout.percent), None)


def soak(rollout: Rollout, *, now: datetime) -> Rollout:
    """All users are on the candidate, and the guard has passed that: the soak begins."""
    if rollout.state is not State.ROLLING or rollout.percent != 100:
        raise StepRefused(f"The rollout of {rollout.service} is not at 100 %.")
    return replace(rollout, state=State.SOAKING, stepped_at=now)


def pause(rollout: Rollout, reason: str) -> Rollout:
    """Keep the split as it is; nothing goes up by itself, and the guard goes on watching."""
    _refuse_ended(rollout)
    if rollout.state is State.PAUSED:
        return rollout
    return replace(rollout, state=State.PAUSED, paused_from=rollout.state, reason=reason)


def resume(rollout: Rollout, *, now: datetime) -> Rollout:
    """Go on after a pause; the step's time begins anew."""
    if rollout.state is not State.PAUSED:
        raise StepRefused(f"The rollout of {rollout.service} is not paused; it is {rollout.state}.")
    paused_from = rollout.paused_from or State.PLANNED
    if paused_from is State.SOAKING and rollout.percent != 100:
        paused_from = State.ROLLING
    if rollout.percent == 0:
        paused_from = State.SHADOWING if rollout.shadow_percent else State.PLANNED
    return replace(rollout, state=paused_from, paused_from=None, reason="", stepped_at=now)


def complete(rollout: Rollout, verdict: Verdict, *, now: datetime, force: bool = False) -> Rollout:
    """The candidate is the service's home from now on: nothing is kept on the stable side."""
    _refuse_ended(rollout)
    if rollout.state is not State.SOAKING and not (force and rollout.percent == 100):
        raise StepRefused(
            f"The rollout of {rollout.service} is {rollout.state} at {rollout.percent} %; it completes after soaking.",
            hint="Bring it to 100 % and let it soak there.",
        )
    if verdict.kind != "passed" and not force:
        raise StepRefused(
            f"The guard has not passed the soak of {rollout.service}: {verdict.reason}.",
            hint="Wait for it, or add --force.",
        )
    return replace(rollout, state=State.COMPLETED, percent=100, shadow_percent=0, automatic=False, stepped_at=now)


def roll_back(rollout: Rollout, reason: str, *, now: datetime) -> Rollout:
    """Everybody goes home to the stable side, and nothing goes up again until somebody plans a new rollout."""
    if rollout.state is State.ROLLED_BACK:
        return rollout
    return replace(
        rollout,
        state=State.ROLLED_BACK,
        percent=0,
        shadow_percent=0,
        automatic=False,
        paused_from=None,
        reason=reason,
        stepped_at=now,
    )


def _check_step_up(rollout: Rollout, percent: int, verdict: Verdict) -> None:
    following = next_step(rollout)
    if following is not None and percent > following:
        raise StepRefused(
            f"From {rollout.percent} % the next step of {rollout.service} is {following} %, not {percent} %.",
            hint=f"Take it with `weave rollout {rollout.service} --to {following}`, or add --force.",
        )
    if verdict.kind != "passed":
        raise StepRefused(
            f"The guard has not passed {rollout.service} at {rollout.percent} %: {verdict.reason}.",
            hint="Wait for it, or add --force.",
        )


def _check_percentage(percent: int, name: str) -> None:
    if not 0 <= percent <= 100:
        raise InvalidInput(f"{percent} is no percentage.", hint="Give a whole number from 0 to 100.", field=name)


def _refuse_ended(rollout: Rollout) -> None:
    if rollout.ended:
        why = f": {rollout.reason}" if rollout.reason else ""
        raise StepRefused(
            f"The rollout of {rollout.service} is {rollout.state}{why}.",
            hint=f"Plan a new one with `weave extract {rollout.service}`.",
        )
