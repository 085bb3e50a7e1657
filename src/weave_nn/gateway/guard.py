"""The guard: compares the candidate with the stable side, and says whether the step passes, holds or is broken.

Rates of few requests say little, so that no fixed threshold fits both 10 and 10,000 requests. What is asked instead:
if the candidate were as good as is tolerated, how likely would it be to do so badly by chance? A breach is what happens
less than once in `_CHANCE`. So three errors in three requests are enough, and one in a hundred is not.
"""

import math
from dataclasses import dataclass, field

from weave_nn.gateway.envoy.admin import SideCounts
from weave_nn.gateway.rollout import Policy, Verdict

_CHANCE = 1e-5
_OUT_SECONDS = 4.0
"""A candidate that has been out for so long is not restarting: it is gone."""

_ENOUGH_TIMES = 50

_TOLERANCE_OF_MEMORY = 3
"""What the stable side took earlier was in other circumstances; compared with that, so many times more is tolerated."""

WINDOW_SECONDS = 5.0
"""The guard decides on windows of this length; on the last few together where little comes in."""

WINDOWS = (1, 2, 6)
"""How many windows are looked at together."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen in one stretch of time."""

    candidate: SideCounts = field(default_factory=SideCounts)
    stable: SideCounts = field(default_factory=SideCounts)
    compared: int = 0
    mismatched: int = 0
    usual_milliseconds: float | None = None
    """The stable side's p99 as it was seen earlier, for when too little goes there now."""


def unlikely(events: int, of: int, tolerated: float) -> bool:
    """Whether so many `events` in `of` trials are no chance if each has the probability `tolerated`."""
    if events <= 0 or of <= 0 or events / of <= tolerated:
        return False
    if tolerated <= 0:
        return True
    # The chance of `events` or more, summed from its largest term on, in logarithms so that nothing underflows.
    log_term = (
        math.lgamma(of + 1)
        - math.lgamma(events + 1)
        - math.lgamma(of - events + 1)
        + events * math.log(tolerated)
        + (of - events) * math.log1p(-tolerated)
    )
    term = total = math.exp(log_term)
    for count in range(events + 1, of + 1):
        term *= (of - count + 1) / count * tolerated / (1 - tolerated)
        total += term
        if term < total * 1e-9:
            break
    return total < _CHANCE


def breach(seen: Seen, policy: Policy) -> str | None:
    """What is wrong with the candidate in this stretch; None if nothing is, or if too little was seen to tell."""
    return (
        _errors(seen.candidate, seen.stable, policy)
        or _slow(seen, policy)
        or _different(seen.compared, seen.mismatched, policy)
    )


def judge(step: Seen, policy: Policy, *, seconds: float, rolling: bool) -> Verdict:
    """The verdict on a step that has lasted for `seconds`: `passed` only with enough seen in it, else `hold`."""
    counted = step.candidate.requests if rolling else step.compared
    what = "requests" if rolling else "comparisons"
    if counted < policy.minimum_samples:
        return Verdict("hold", f"{counted} of {policy.minimum_samples} {what} have been seen")
    if seconds < policy.soak_seconds:
        return Verdict("hold", f"it soaks for {policy.soak_seconds - seconds:.0f} s more")
    return Verdict("passed", f"{counted} {what} in {seconds:.0f} s, nothing unusual")


def _errors(candidate: SideCounts, stable: SideCounts, policy: Policy) -> str | None:
    usual = max(policy.tolerated_errors, _rate(stable.errors, stable.requests))
    if not unlikely(candidate.errors, max(candidate.requests, candidate.errors), usual):
        return None
    return (
        f"{candidate.errors} of {candidate.requests} requests failed on the candidate "
        f"({_percent(candidate.errors, candidate.requests)}), against {_percent(stable.errors, stable.requests)} "
        f"on the stable side"
    )


def usual_milliseconds(stable: SideCounts) -> float | None:
    """The stable side's p99, if enough was seen to know it."""
    return stable.times.quantile(0.99) if stable.times.total >= _ENOUGH_TIMES else None


def _slow(seen: Seen, policy: Policy) -> str | None:
    candidate = seen.candidate
    usual, tolerance = usual_milliseconds(seen.stable), 1
    if usual is None:
        usual, tolerance = seen.usual_milliseconds, _TOLERANCE_OF_MEMORY
    if usual is None:
        return None
    bound = max(tolerance * policy.slower_factor * usual, usual + tolerance * policy.slower_milliseconds)
    slow, total = candidate.times.slower_than(bound), candidate.times.total
    # One in a hundred is beyond the 99th percentile by its very meaning; five times as many are not.
    if not unlikely(slow, total, 0.05):
        return None
    worst = candidate.times.quantile(0.99)
    return (
        f"{slow} of {total} requests took longer than {bound:g} ms on the candidate (p99 {worst:g} ms), "
        f"against a p99 of {usual:g} ms on the stable side"
    )


def _different(compared: int, mismatched: int, policy: Policy) -> str | None:
    if not unlikely(mismatched, compared, policy.tolerated_mismatches):
        return None
    return f"{mismatched} of {compared} compared answers differ ({_percent(mismatched, compared)})"


def _rate(events: int, of: int) -> float:
    return min(0.9, events / of) if of > 0 else 0.0


def _percent(events: int, of: int) -> str:
    return f"{100 * events / of:.1f} %" if of > 0 else "no requests"


class Watch:
    """The guard's memory of one step of one rollout: what has been counted, second by second.

    `look` is given the counters as they stand, and remembers them; the differences are what was seen.
    """

    def __init__(self, now: float, counters: Seen) -> None:
        self._begun = now
        self._looks: list[tuple[float, Seen]] = [(now, counters)]
        self._first = counters
        self._out_since: float | None = None

    @property
    def first(self) -> Seen:
        """The counters at the step's beginning."""
        return self._first

    def look(self, now: float, counters: Seen, policy: Policy, *, rolling: bool) -> Verdict:
        """The verdict now. While nobody is on the candidate (`rolling` is false) only comparisons count."""
        self._looks.append((now, counters))
        longest = max(WINDOWS) * WINDOW_SECONDS
        while len(self._looks) > 2 and self._looks[1][0] <= now - longest:
            del self._looks[0]
        self._out_since = None if counters.candidate.healthy else self._out_since or now
        if rolling and self._out_since is not None and now - self._out_since >= _OUT_SECONDS:
            return Verdict("breached", f"the candidate has not been fit to serve for {now - self._out_since:.0f} s")
        step = since(counters, self._first)
        # Where little comes in, no window ever sees enough to tell; the whole step does.
        for stretch in (*(self.seen(now, count * WINDOW_SECONDS, counters) for count in WINDOWS), step):
            found = breach(stretch, policy)
            if found is not None:
                return Verdict("breached", found)
        if self._out_since is not None:
            return Verdict("hold", "the candidate is not ready")
        return judge(step, policy, seconds=now - self._begun, rolling=rolling)

    def seen(self, now: float, seconds: float, counters: Seen) -> Seen:
        """What was seen in the last `seconds`, or since the step began if that is later."""
        earlier = [each for at, each in self._looks if at <= now - seconds]
        return since(counters, earlier[-1] if earlier else self._looks[0][1])


def since(counters: Seen, earlier: Seen) -> Seen:
    """What was added between two looks."""
    return Seen(
        candidate=counters.candidate.since(earlier.candidate),
        stable=counters.stable.since(earlier.stable),
        compared=counters.compared - earlier.compared,
        mismatched=counters.mismatched - earlier.mismatched,
        usual_milliseconds=counters.usual_milliseconds,
    )
