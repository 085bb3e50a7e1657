import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.gateway.envoy.admin import Histogram, SideCounts
from weave_nn.gateway.guard import WINDOW_SECONDS, WINDOWS, Seen, Watch, breach, judge, unlikely
from weave_nn.gateway.rollout import Policy, Verdict

POLICY = Policy(soak_seconds=10, minimum_samples=20)
BOUNDS = (1.0, 10.0, 100.0, 1000.0, 10_000.0)


def times(*counts: int) -> Histogram:
    """How many took up to each of `BOUNDS`."""
    below = [sum(counts[: index + 1]) for index in range(len(counts))]
    return Histogram(tuple(zip(BOUNDS, below, strict=False)))


def side(requests: int, errors: int = 0, *, healthy: bool = True, took: Histogram | None = None) -> SideCounts:
    return SideCounts(requests=requests, errors=errors, healthy=healthy, times=took or Histogram())


@pytest.mark.parametrize(
    ("errors", "of", "told"),
    [(0, 1000, False), (1, 1, False), (2, 2, False), (3, 3, True), (3, 10, False), (1, 100, False), (20, 1000, False),
     (35, 1000, True), (1000, 1000, True), (0, 0, False)],
)  # fmt: skip
def test_a_few_errors_may_be_chance_and_many_are_not(errors: int, of: int, *, told: bool) -> None:
    assert unlikely(errors, of, 0.01) is told


@given(st.integers(1, 400), st.integers(0, 400), st.floats(0.001, 0.5))
def test_the_chance_is_that_of_the_binomial_distribution(of: int, events: int, tolerated: float) -> None:
    events = min(events, of)
    exact = sum(
        math.comb(of, count) * tolerated**count * (1 - tolerated) ** (of - count) for count in range(events, of + 1)
    )
    if not 0.9e-5 < exact < 1.1e-5:
        assert unlikely(events, of, tolerated) is (exact < 1e-5 and events / of > tolerated)


def test_errors_that_both_sides_make_are_no_breach() -> None:
    assert breach(Seen(side(100, 30), side(100, 30)), POLICY) is None
    reason = breach(Seen(side(100, 60), side(100, 10)), POLICY)
    assert reason is not None
    assert "60 of 100 requests failed on the candidate (60.0 %), against 10.0 %" in reason


def test_a_candidate_that_is_slower_than_stable_is_told_with_both_figures() -> None:
    stable = side(200, took=times(100, 100))
    assert breach(Seen(side(100, took=times(50, 50)), stable), POLICY) is None
    reason = breach(Seen(side(100, took=times(50, 20, 0, 0, 30)), stable), POLICY)
    assert reason is not None
    assert "30 of 100 requests took longer than 110 ms" in reason
    both = side(200, took=times(0, 0, 0, 0, 200))
    assert breach(Seen(side(100, took=times(0, 0, 0, 0, 100)), both), POLICY) is None


def test_without_stable_traffic_an_earlier_figure_is_compared_with_more_tolerance() -> None:
    slow = side(100, took=times(0, 0, 0, 0, 100))
    assert breach(Seen(slow, side(0)), POLICY) is None
    assert breach(Seen(slow, side(0), usual_milliseconds=10.0), POLICY) is not None
    assert breach(Seen(side(100, took=times(0, 0, 100)), side(0), usual_milliseconds=10.0), POLICY) is None


def test_mismatches_are_a_breach_when_they_are_more_than_tolerated() -> None:
    assert breach(Seen(compared=1000, mismatched=1), POLICY) is None
    assert "9 of 30 compared answers differ" in (breach(Seen(compared=30, mismatched=9), POLICY) or "")


def test_no_data_is_hold_and_never_passed() -> None:
    assert judge(Seen(), POLICY, seconds=1000, rolling=True).kind == "hold"
    assert judge(Seen(), POLICY, seconds=1000, rolling=False).kind == "hold"
    assert judge(Seen(side(1000)), POLICY, seconds=9, rolling=True).kind == "hold"
    assert judge(Seen(side(20)), POLICY, seconds=10, rolling=True).kind == "passed"
    assert judge(Seen(side(1000), compared=19), POLICY, seconds=100, rolling=False).kind == "hold"
    assert judge(Seen(compared=20), POLICY, seconds=100, rolling=False).kind == "passed"


def look(watch: Watch, at: float, counters: Seen) -> Verdict:
    return watch.look(at, counters, POLICY, rolling=True)


def test_at_few_requests_a_broken_candidate_is_found_within_two_windows() -> None:
    # 20 requests a second on both sides, a tenth of them on the candidate, which begins to fail at second 100.
    watch = Watch(0.0, Seen())
    requests = errors = 0
    for second in range(1, 121):
        requests += 2
        errors += 2 if second > 100 else 0
        seen = Seen(side(requests, errors), side(18 * second))
        if look(watch, float(second), seen).kind == "breached":
            break
    assert 100 < second <= 100 + 2 * WINDOW_SECONDS


def test_a_candidate_that_fails_now_and_then_never_passes_however_little_comes_in() -> None:
    # One request each 20 s, all of which fail: no window ever sees enough of them.
    watch = Watch(0.0, Seen(side(0), side(0)))
    told = []
    for second in range(1, 601):
        failed = second // 20
        told.append(look(watch, float(second), Seen(side(failed, failed), side(second))).kind)
    assert "passed" not in told
    assert told.index("breached") < 100
    watch = Watch(0.0, Seen())
    different = [
        watch.look(float(second), different_at(second // 20), POLICY, rolling=False).kind for second in range(1, 601)
    ]
    assert "passed" not in different
    # And what was bad does not pass because it stopped: the step has to begin anew.
    assert watch.look(700.0, different_at(30), POLICY, rolling=False).kind == "breached"


def different_at(count: int) -> Seen:
    return Seen(side(0), side(0), compared=count, mismatched=count)


def test_a_candidate_that_is_not_ready_does_not_pass_before_anybody_is_on_it() -> None:
    for healthy, wanted in ((True, "passed"), (False, "hold")):
        watch = Watch(0.0, Seen(side(0), side(0)))
        seen = Seen(side(0, healthy=healthy), side(100), compared=30)
        assert watch.look(20.0, seen, POLICY, rolling=False).kind == wanted


def test_what_was_long_ago_or_before_the_step_does_not_count() -> None:
    watch = Watch(0.0, Seen(side(1000, 900), side(1000)))
    assert look(watch, 1.0, Seen(side(1010, 900), side(1010))).kind == "hold"
    long = max(WINDOWS) * WINDOW_SECONDS
    assert look(watch, 2.0, Seen(side(1020, 902), side(1020))).kind == "hold"
    for second in range(3, int(long) + 10):
        verdict = look(watch, float(second), Seen(side(1020 + 10 * second, 902), side(1020 + 10 * second)))
    assert verdict.kind == "passed"
    assert watch.seen(long + 9, WINDOW_SECONDS, Seen(side(1430, 902), side(1430))).candidate.errors == 0


def test_a_candidate_that_is_gone_is_a_breach_and_one_that_restarts_is_not() -> None:
    watch = Watch(0.0, Seen(side(0), side(0)))
    for moment, healthy in ((1.0, False), (3.0, False), (4.0, True), (5.0, False), (8.0, False)):
        assert look(watch, moment, Seen(side(100, healthy=healthy), side(100))).kind != "breached"
    gone = look(watch, 9.5, Seen(side(100, healthy=False), side(100)))
    assert gone.kind == "breached"
    assert "not been fit to serve" in gone.reason


def test_counters_that_begin_anew_are_counted_from_zero() -> None:
    assert side(5, 1).since(side(100, 50)) == side(5, 1)


@given(st.lists(st.integers(0, 50), min_size=5, max_size=5))
def test_quantiles_lie_on_a_bound_and_grow(counts: list[int]) -> None:
    histogram = times(*counts)
    found = [histogram.quantile(share) for share in (0.1, 0.5, 0.9, 0.99, 1.0)]
    if not sum(counts):
        assert found == [None] * 5
        return
    known = [each for each in found if each is not None]
    assert known == sorted(known)
    assert set(known) <= set(BOUNDS)
    assert histogram.slower_than(BOUNDS[-1]) == 0
    assert histogram.slower_than(1.0) == sum(counts[1:])
