import pytest
from hypothesis import given
from hypothesis import strategies as st

from unit.gateway.edges import NOW, rollout
from weave_nn.gateway.rollout import (
    BUCKETS,
    STEPS,
    Policy,
    Rollout,
    State,
    StepRefused,
    Verdict,
    complete,
    next_step,
    pause,
    resume,
    roll_back,
    shadow,
    share,
    soak,
    step,
)
from weave_nn.shared.errors import InvalidInput, WeaveError

HOLD = Verdict("hold", "there is no data yet")
PASSED = Verdict("passed", "enough was seen")
BREACHED = Verdict("breached", "errors")


def test_the_way_up_from_the_plan_to_the_end() -> None:
    moving = shadow(rollout(), 5, now=NOW)
    assert moving.state is State.SHADOWING
    for percent in STEPS:
        assert next_step(moving) == percent
        moving = step(moving, percent, PASSED, now=NOW)
        assert (moving.state, moving.percent) == (State.ROLLING, percent)
    moving = soak(moving, now=NOW)
    assert moving.state is State.SOAKING
    assert next_step(moving) is None
    done = complete(moving, PASSED, now=NOW)
    assert done.state is State.COMPLETED
    assert share(done) == BUCKETS


@pytest.mark.parametrize("verdict", [HOLD, BREACHED])
def test_a_step_up_waits_for_the_guard(verdict: Verdict) -> None:
    moving = rollout(state=State.ROLLING, percent=10)
    with pytest.raises(StepRefused, match=verdict.reason):
        step(moving, 25, verdict, now=NOW)
    assert step(moving, 25, verdict, now=NOW, force=True).percent == 25
    with pytest.raises(StepRefused):
        complete(rollout(state=State.SOAKING, percent=100), verdict, now=NOW)


def test_a_step_is_not_skipped() -> None:
    moving = rollout(state=State.ROLLING, percent=10)
    with pytest.raises(StepRefused, match="next step of tasks is 25 %, not 50 %"):
        step(moving, 50, PASSED, now=NOW)
    assert step(moving, 50, HOLD, now=NOW, force=True).percent == 50
    assert step(moving, 17, PASSED, now=NOW).percent == 17


def test_going_down_is_always_allowed() -> None:
    moving = rollout(state=State.ROLLING, percent=50, shadow_percent=5)
    assert step(moving, 10, BREACHED, now=NOW).percent == 10
    assert step(moving, 0, HOLD, now=NOW).state is State.SHADOWING
    assert step(pause(moving, ""), 10, HOLD, now=NOW).state is State.PAUSED


@pytest.mark.parametrize("percent", [-1, 101, 1000])
def test_what_is_no_percentage_is_refused(percent: int) -> None:
    with pytest.raises(InvalidInput, match="no percentage"):
        step(rollout(), percent, PASSED, now=NOW, force=True)
    with pytest.raises(InvalidInput, match="no percentage"):
        shadow(rollout(), percent, now=NOW)


@pytest.mark.parametrize("state", [State.PLANNED, State.SHADOWING, State.ROLLING, State.SOAKING])
def test_a_pause_from_anywhere_keeps_the_split_and_ends_where_it_began(state: State) -> None:
    percent = {State.ROLLING: 25, State.SOAKING: 100}.get(state, 0)
    before = rollout(state=state, percent=percent, shadow_percent=5 if state is State.SHADOWING else 0)
    paused = pause(before, "lunch")
    assert share(paused) == share(before)
    with pytest.raises(StepRefused, match="paused"):
        step(paused, 100, PASSED, now=NOW, force=percent == 100) if percent < 100 else complete(paused, PASSED, now=NOW)
    assert resume(paused, now=NOW) == before
    with pytest.raises(StepRefused, match="not paused"):
        resume(before, now=NOW)


@pytest.mark.parametrize("end", [State.COMPLETED, State.ROLLED_BACK])
def test_what_has_ended_stays_so(end: State) -> None:
    over = rollout(state=end, percent=100 if end is State.COMPLETED else 0, reason="because")
    with pytest.raises(StepRefused, match="weave extract tasks"):
        shadow(over, 5, now=NOW)
    with pytest.raises(StepRefused, match="weave extract tasks"):
        step(over, 10, PASSED, now=NOW, force=True)
    with pytest.raises(StepRefused, match="weave extract tasks"):
        pause(over, "")
    with pytest.raises(StepRefused, match="weave extract tasks"):
        complete(over, PASSED, now=NOW, force=True)


def test_a_rollback_takes_everybody_home_from_everywhere_and_is_latched() -> None:
    for state in State:
        automatic = state is not State.ROLLED_BACK
        back = roll_back(rollout(state=state, percent=50, shadow_percent=5, automatic=automatic), "slow", now=NOW)
        assert back.state is State.ROLLED_BACK
        assert not back.automatic
        assert [share(back, override) for override in (None, 0, 50, 100)] == [0, 0, 0, 0]
        assert roll_back(back, "again", now=NOW) == back


def test_the_environment_decides_on_the_share_and_zero_is_always_the_way_home() -> None:
    rolling = rollout(state=State.ROLLING, percent=25)
    assert [share(rolling, override) for override in (None, 0, 10, 100)] == [2500, 0, 1000, 9999]
    completed = rollout(state=State.COMPLETED, percent=100)
    assert [share(completed, override) for override in (None, 0, 10)] == [BUCKETS, 0, BUCKETS]


def test_a_policy_that_asks_for_nothing_is_refused() -> None:
    for changes in ({"soak_seconds": -1}, {"minimum_samples": 0}):
        with pytest.raises(InvalidInput):
            Policy(**changes)  # type: ignore[arg-type]  # one of the two, by name


_moves = st.lists(
    st.one_of(
        st.tuples(st.just("step"), st.integers(-5, 105), st.booleans()),
        st.tuples(st.just("shadow"), st.integers(-5, 105)),
        st.sampled_from([("pause",), ("resume",), ("soak",), ("complete",), ("back",)]),
    ),
    max_size=30,
)


@given(_moves, st.sampled_from([HOLD, PASSED, BREACHED]))
def test_whatever_is_asked_for_the_split_fits_the_state(moves: list[tuple[object, ...]], verdict: Verdict) -> None:
    moving = rollout()
    for move in moves:
        before = moving
        try:
            moving = _moved(moving, move, verdict)
        except WeaveError:
            assert moving == before
        assert 0 <= share(moving) <= BUCKETS
        assert (moving.percent == 0) or moving.state in {
            State.ROLLING, State.SOAKING, State.PAUSED, State.COMPLETED,
        }  # fmt: skip
        if before.ended and move[0] != "back":
            assert moving == before
        if verdict.kind != "passed" and not (move[0] == "step" and move[2]):
            assert share(moving) <= share(before)


def _moved(moving: Rollout, move: tuple[object, ...], verdict: Verdict) -> Rollout:  # noqa: PLR0911 - one per move
    match move:
        case ("step", int(percent), bool(force)):
            return step(moving, percent, verdict, now=NOW, force=force)
        case ("shadow", int(percent)):
            return shadow(moving, percent, now=NOW)
        case ("pause",):
            return pause(moving, "")
        case ("resume",):
            return resume(moving, now=NOW)
        case ("soak",):
            return soak(moving, now=NOW)
        case ("complete",):
            return complete(moving, verdict, now=NOW)
        case _:
            return roll_back(moving, "because", now=NOW)
