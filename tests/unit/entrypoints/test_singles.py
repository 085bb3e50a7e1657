from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event

import pytest

from weave_nn.entrypoints.composition import Background
from weave_nn.entrypoints.singles import Single
from weave_nn.shared.ephemeral.leases import FileLeases, Lease
from weave_nn.shared.ephemeral.turns import turn
from weave_nn.shared.errors import Unavailable

LONG = 60


class Work:
    """Background work that can be watched."""

    def __init__(self) -> None:
        self.begun, self.ended = Event(), Event()

    def start(self) -> None:
        self.begun.set()

    def stop(self) -> None:
        self.ended.set()


class Losable:
    """Leases of which the one that was given last can be lost, as over a network."""

    def __init__(self, folder: Path) -> None:
        self._leases = FileLeases(folder)
        self.last: Lease | None = None

    def hold(self, name: str, *, on_lost: Callable[[], None] | None = None) -> Lease | None:
        self.last = self._leases.hold(name, on_lost=on_lost)
        return self.last

    def close(self) -> None:
        self._leases.close()


@pytest.fixture
def singles(tmp_path: Path) -> Iterator[Callable[[Callable[[], Sequence[Background]]], Single]]:
    made: list[Single] = []

    def make(work: Callable[[], Sequence[Background]]) -> Single:
        made.append(Single(FileLeases(tmp_path), "watcher", work))
        return made[-1]

    yield make
    for each in made:
        each.stop()


Make = Callable[[Callable[[], Sequence[Background]]], Single]


def test_one_works_and_the_other_takes_over_when_it_ends(singles: Make) -> None:
    works = [Work(), Work()]
    first, second = singles(lambda: works[:1]), singles(lambda: works[1:])
    first.start()
    second.start()
    assert works[0].begun.is_set()
    assert (first.works, second.works) == (True, False)
    assert not works[1].begun.is_set()
    first.stop()
    assert works[0].ended.is_set()
    assert works[1].begun.wait(LONG)
    assert second.works


def test_a_start_that_fails_is_told_and_leaves_the_work_to_others(singles: Make) -> None:
    class Failing(Work):
        def start(self) -> None:
            raise Unavailable("it cannot begin")

    before = Work()
    failing = singles(lambda: [before, Failing()])
    with pytest.raises(Unavailable):
        failing.start()
    assert before.ended.is_set()
    work = Work()
    singles(lambda: [work]).start()
    assert work.begun.is_set()


def test_what_is_lost_is_stopped_and_begun_anew(tmp_path: Path) -> None:
    leases = Losable(tmp_path)
    works: list[Work] = []

    def make() -> list[Work]:
        works.append(Work())
        return [works[-1]]

    single = Single(leases, "watcher", make)
    single.start()
    assert leases.last is not None
    leases.last.release()
    assert works[0].ended.wait(LONG)
    try:
        while len(works) < 2:
            assert not Event().wait(0.01)
        assert works[1].begun.wait(LONG)
    finally:
        single.stop()
    assert works[1].ended.is_set()


def test_a_check_holds_where_somebody_else_works(singles: Make) -> None:
    def failing() -> None:
        raise Unavailable("it does not work")

    first, second = singles(lambda: [Work()]), singles(lambda: [Work()])
    first.start()
    second.start()
    second.only_when_working(failing)()
    with pytest.raises(Unavailable):
        first.only_when_working(failing)()


def test_turns_are_taken_one_after_the_other(tmp_path: Path) -> None:
    one, other = (turn(FileLeases(tmp_path), "keeper") for _ in range(2))
    with one(lambda: False) as mine:
        assert mine
        with other(lambda: True) as theirs:
            assert not theirs
    with other(lambda: True) as theirs:
        assert theirs
