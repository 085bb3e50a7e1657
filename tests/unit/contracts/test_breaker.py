from weave_nn.shared.contracts.breaker import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, CircuitBreaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def opened() -> tuple[CircuitBreaker, Clock]:
    clock = Clock()
    breaker = CircuitBreaker(failures=3, clock=clock)
    for _ in range(3):
        assert breaker.wait_seconds() == 0
        breaker.failed()
    return breaker, clock


def test_it_opens_after_some_failures_in_a_row() -> None:
    breaker, _ = opened()
    assert breaker.wait_seconds() == FIRST_PAUSE_SECONDS


def test_a_success_in_between_begins_the_count_anew() -> None:
    breaker = CircuitBreaker(failures=2)
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()
    assert breaker.wait_seconds() == 0


def test_after_the_pause_one_call_decides_for_all() -> None:
    breaker, clock = opened()
    clock.now += FIRST_PAUSE_SECONDS
    assert breaker.wait_seconds() == 0
    assert breaker.wait_seconds() > 0
    breaker.succeeded()
    assert breaker.wait_seconds() == 0


def test_pauses_grow_up_to_a_limit() -> None:
    breaker, clock = opened()
    pauses = []
    for _ in range(8):
        clock.now += breaker.wait_seconds()
        assert breaker.wait_seconds() == 0
        breaker.failed()
        pauses.append(breaker.wait_seconds())
    assert pauses == sorted(pauses)
    assert pauses[0] == 2 * FIRST_PAUSE_SECONDS
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
