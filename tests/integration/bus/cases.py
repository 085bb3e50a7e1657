"""What every bus must do; a module for each implementation subclasses `BusCases` and provides the fixture `bus`."""

import errno
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from weave_nn.shared import context
from weave_nn.shared.bus import (
    Announcement,
    Bus,
    Delivery,
    Event,
    InvalidEvent,
    Message,
    Outbox,
    Relay,
    RetryPolicy,
    Subscription,
    Worker,
    backlog,
    inbox,
)
from weave_nn.shared.bus import worker as working
from weave_nn.shared.bus.rabbitmq import attempts
from weave_nn.shared.db import Database, UnitOfWork
from weave_nn.shared.errors import Unavailable

PATIENCE_SECONDS = 60.0
QUICK = RetryPolicy(delivery_limit=3, first_delay_seconds=0.01, longest_delay_seconds=0.05)


@dataclass(frozen=True, slots=True)
class Counted(Announcement):
    TYPE = "test.thing.counted"

    number: int


@dataclass(frozen=True, slots=True)
class Other(Announcement):
    TYPE = "test.other"

    number: int


@dataclass
class Recorder:
    """A handler that remembers what it was given, and fails as often as it is told to."""

    failures: dict[int, int] = field(default_factory=dict)
    seen: list[int] = field(default_factory=list)
    request_ids: list[str | None] = field(default_factory=list)

    def __call__(self, work: UnitOfWork, event: Event) -> None:
        del work
        number = event.data["number"]
        if self.failures.get(number, 0) > 0:
            self.failures[number] -= 1
            raise RuntimeError(f"no luck with {number}")
        self.seen.append(number)
        self.request_ids.append(context.request_id.get())


def eventually(condition: Callable[[], bool], *, patience_seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + patience_seconds
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        tick.wait(0.005)


def messages(*numbers: int) -> list[Message]:
    events = [Counted(number).to_event(source="test", vault_id="v", request_id=None) for number in numbers]
    return [Message(event.id, event.type, event.to_json()) for event in events]


def take(bus: Bus, queue: str = "q", *, limit: int = 100, lease_seconds: float = 30.0) -> Sequence[Delivery]:
    return bus.take(queue, limit=limit, lease_seconds=lease_seconds, wait_seconds=PATIENCE_SECONDS)


def take_now(bus: Bus, queue: str = "q") -> Sequence[Delivery]:
    return bus.take(queue, limit=100, lease_seconds=30.0, wait_seconds=0.0)


def ignore(work: UnitOfWork, event: Event) -> None:
    del work, event


def announce(database: Database, *announcements: Announcement) -> None:
    with database.write() as work:
        Outbox(work.session, "test", "v").announce(*announcements)


def failing_first(failures: list[Unavailable], then: Callable[..., Any], *arguments: Any) -> Any:
    if failures:
        raise failures.pop()
    return then(*arguments)


@contextmanager
def running(
    database: Database, bus: Bus, *subscriptions: Subscription, vault_id: str | None = None
) -> Iterator[Worker]:
    relay, worker = Relay(database, bus), Worker(database, bus, subscriptions, vault_id=vault_id)
    worker.start()
    relay.start()
    try:
        yield worker
    finally:
        assert relay.stop(PATIENCE_SECONDS)
        assert worker.stop(PATIENCE_SECONDS)


class BusCases:
    """The cases of the port, then those of the outbox and the workers on top of it."""

    def test_a_message_reaches_every_queue_whose_topics_match_and_each_once(self, bus: Bus) -> None:
        bus.declare(
            [
                Subscription("q", ["test.thing.*", "test.#"], ignore),
                Subscription("all", ["#"], ignore),
                Subscription("none", ["test.*"], ignore),
            ]
        )
        bus.publish(messages(1))
        assert {name: bus.depths()[name] for name in ("q", "all", "none")} == {"q": 1, "all": 1, "none": 0}

    def test_declaring_again_replaces_the_topics_and_keeps_what_waits(self, bus: Bus) -> None:
        bus.declare([Subscription("q", ["test.#"], ignore)])
        bus.publish(messages(1))
        bus.declare([Subscription("q", ["else.#"], ignore)])
        bus.publish(messages(2))
        assert bus.depths()["q"] == 1

    def test_messages_come_in_the_order_of_publishing(self, bus: Bus) -> None:
        bus.declare([Subscription("q", ["test.#"], ignore)])
        published = messages(*range(50))
        bus.publish(published[:20])
        bus.publish(published[20:])
        taken: list[Delivery] = []
        while len(taken) < 50:
            batch = take(bus, limit=7)
            bus.ack(batch)
            taken += batch
        assert [each.message for each in taken] == published
        assert {each.attempt for each in taken} == {1}

    def test_what_settles_publishing_is_written_with_it(self, database: Database, bus: Bus) -> None:
        with database.write() as work:
            work.session.execute(text("CREATE TABLE settled (number INTEGER)"))
        insert = text("INSERT INTO settled VALUES (1)")
        bus.publish(messages(1), settle=lambda session: session.execute(insert))
        with database.read() as work:
            assert work.session.scalars(text("SELECT number FROM settled")).all() == [1]
        assert len(bus.tail()) == 1

    def test_what_is_taken_is_not_taken_again_and_is_gone_when_acknowledged(self, bus: Bus) -> None:
        bus.declare([Subscription("q", ["test.#"], ignore)])
        bus.publish(messages(1))
        taken = take(bus)
        assert list(take_now(bus)) == []
        assert bus.depths()["q"] == 1
        bus.ack(taken)
        assert bus.depths()["q"] == 0

    def test_a_retried_message_rests_while_others_pass_it(self, bus: Bus) -> None:
        bus.declare([Subscription("q", ["test.#"], ignore)])
        first, second = messages(1, 2)
        bus.publish([first])
        bus.retry(take(bus)[0], delay_seconds=0.3)
        bus.publish([second])
        passing = take(bus)
        assert [each.message for each in passing] == [second]
        returned = take(bus)
        assert [(each.message, each.attempt) for each in returned] == [(first, 2)]

    def test_an_attempt_that_is_not_counted_leaves_no_trace(self, bus: Bus) -> None:
        bus.declare([Subscription("q", ["test.#"], ignore)])
        bus.publish(messages(1))
        for _ in range(2):
            bus.retry(take(bus)[0], delay_seconds=0.01, counted=False)
        bus.retry(take(bus)[0], delay_seconds=0.01)
        assert take(bus)[0].attempt == 2

    def test_a_released_message_comes_back_as_if_it_had_not_been_taken(self, bus: Bus) -> None:
        bus.declare([Subscription("q", ["test.#"], ignore)])
        bus.publish(messages(1, 2))
        bus.release(take(bus))
        assert sorted(each.attempt for each in take(bus)) == [1, 1]

    def test_waiting_ends_when_it_is_told_to(self, bus: Bus) -> None:
        bus.declare([Subscription("q", ["test.#"], ignore)])
        result: list[Sequence[Delivery]] = []
        waiting = threading.Thread(target=lambda: result.append(take(bus)))
        waiting.start()

        def woken() -> bool:
            bus.wake()
            return not waiting.is_alive()

        eventually(woken)
        assert [list(each) for each in result] == [[]]

    def test_a_dead_letter_is_kept_with_its_error_and_can_be_replayed(self, bus: Bus) -> None:
        bus.declare([Subscription("q", ["test.#"], ignore), Subscription("other", ["test.#"], ignore)])
        sent = messages(1, 2, 3)
        bus.publish(sent)
        bus.ack(take(bus, "other"))
        for each in take(bus):
            bus.dead_letter(each, f"broken {each.message.event_id}")
        assert bus.depths()["q"] == 0
        letters = {letter.message: letter for letter in bus.dead_letters(queue="q")}
        assert set(letters) == set(sent)
        assert bus.dead_letter_count() == 3
        assert all(letter.error == f"broken {message.event_id}" for message, letter in letters.items())
        assert all(letter.died_at <= datetime.now(UTC) for letter in letters.values())
        assert bus.discard([letters[sent[0]].id]) == 1
        assert bus.replay([letters[sent[1]].id]) == 1
        assert bus.replay() == 1
        assert bus.dead_letter_count() == 0
        assert [(each.message, each.attempt) for each in take(bus, limit=2)] == [(sent[1], 1), (sent[2], 1)]
        assert bus.depths()["other"] == 0

    def test_the_tail_shows_recent_messages_in_order(self, bus: Bus) -> None:
        sent = messages(*range(5))
        bus.publish(sent)
        shown = bus.tail(limit=3)
        assert [message for _, message in shown] == sent[2:]
        assert [message for _, message in bus.tail(after=shown[0][0])] == sent[3:]

    def test_a_forgotten_queue_gets_nothing_more(self, bus: Bus) -> None:
        bus.declare([Subscription("q", ["test.#"], ignore)])
        bus.publish(messages(1))
        bus.forget("q")
        bus.publish(messages(2))
        assert bus.depths().get("q", 0) == 0

    def test_what_is_announced_is_handled_once_and_in_order(self, database: Database, bus: Bus) -> None:
        first, second = Recorder(), Recorder()
        subscriptions = [Subscription("a", ["test.thing.*"], first), Subscription("b", ["#"], second)]
        with running(database, bus, *subscriptions):
            token = context.request_id.set("req-1")
            announce(database, *[Counted(number) for number in range(150)])
            context.request_id.reset(token)
            announce(database, Other(150))
            eventually(lambda: len(second.seen) == 151 and len(first.seen) == 150)
        assert first.seen == list(range(150))
        assert second.seen == list(range(151))
        assert set(first.request_ids) == {"req-1"}
        assert second.request_ids[-1] is None

    def test_a_rolled_back_change_announces_nothing(self, database: Database, bus: Bus) -> None:
        def change() -> None:
            with database.write() as work:
                Outbox(work.session, "test", "v").announce(Counted(1))
                raise KeyError

        with pytest.raises(KeyError):
            change()
        with database.read() as work:
            assert backlog(work.session).count == 0
        assert Relay(database, bus).drain() == 0

    def test_the_same_message_twice_has_one_effect(self, database: Database, bus: Bus) -> None:
        recorder = Recorder()
        twice, marker = messages(1, 2)
        with running(database, bus, Subscription("q", ["#"], recorder)):
            bus.publish([twice, twice])
            eventually(lambda: len(recorder.seen) > 0 and bus.depths()["q"] == 0)
            bus.publish([twice, marker])
            eventually(lambda: len(recorder.seen) > 1 and bus.depths()["q"] == 0)
        assert recorder.seen == [1, 2]

    def test_a_failing_message_is_retried_and_harms_no_other(self, database: Database, bus: Bus) -> None:
        recorder = Recorder(failures={3: 2})
        with running(database, bus, Subscription("q", ["#"], recorder, retry=QUICK)):
            bus.publish(messages(*range(10)))
            # What a broker is giving out at this moment it does not count.
            eventually(lambda: set(recorder.seen) == set(range(10)) and bus.depths()["q"] == 0)
        assert recorder.seen.count(3) == 1
        assert bus.dead_letter_count() == 0

    def test_what_keeps_failing_becomes_a_dead_letter_and_succeeds_when_replayed(
        self, database: Database, bus: Bus
    ) -> None:
        recorder = Recorder(failures={1: 3})
        with running(database, bus, Subscription("q", ["#"], recorder, retry=QUICK)):
            bus.publish(messages(1, 2))
            eventually(lambda: bus.dead_letter_count() == 1)
            (letter,) = bus.dead_letters()
            assert (letter.queue, letter.attempts) == ("q", 3)
            assert "RuntimeError: no luck with 1" in letter.error
            assert bus.replay([letter.id]) == 1
            eventually(lambda: 1 in recorder.seen)
        assert bus.dead_letter_count() == 0

    def test_what_fails_for_a_passing_reason_never_becomes_a_dead_letter(
        self, database: Database, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(working, "PASSING_SECONDS", 0.01)
        reasons = [Unavailable("away"), OSError(errno.ENOSPC, "full"), Unavailable("away"), Unavailable("still away")]
        seen: list[str] = []

        def handle(work: UnitOfWork, event: Event) -> None:
            del work
            if reasons:
                raise reasons.pop()
            seen.append(event.id)

        with running(database, bus, Subscription("q", ["#"], handle, retry=QUICK)):
            bus.publish(messages(1))
            eventually(lambda: len(seen) == 1)
        assert bus.dead_letter_count() == 0

    @pytest.mark.parametrize("tried", [False, True])
    def test_what_was_taken_while_the_database_was_away_is_handled_when_it_is_back(
        self, database: Database, bus: Bus, monkeypatch: pytest.MonkeyPatch, *, tried: bool
    ) -> None:
        bus.declare([Subscription("q", ["#"], ignore)])
        bus.publish(messages(*range(10)))
        if tried:
            for each in take(bus):
                bus.retry(each, delay_seconds=0.01)
        failures = [Unavailable("away")] * 3
        for place, name in ((inbox, "handled"), (attempts, "known")):
            monkeypatch.setattr(place, name, partial(failing_first, failures, getattr(place, name)))
        recorder = Recorder()
        with running(database, bus, Subscription("q", ["#"], recorder, batch_size=1)):
            eventually(lambda: set(recorder.seen) == set(range(10)))

    def test_poison_is_a_dead_letter_at_once(self, database: Database, bus: Bus) -> None:
        calls: list[int] = []

        def strict(work: UnitOfWork, event: Event) -> None:
            del work
            calls.append(Counted.from_event(event).number)

        misshapen = Event("id-1", "test.thing.counted", "test", datetime.now(UTC), "v", {"number": "one"})
        with running(database, bus, Subscription("q", ["#"], strict)):
            bus.publish([Message("id-0", "test.garbage", "{not json"), *messages(7)])
            bus.publish([Message(misshapen.id, misshapen.type, misshapen.to_json())])
            eventually(lambda: bus.dead_letter_count() == 2 and bus.depths()["q"] == 0)
        # A handler may be called again when another message fails in its transaction; only its effects happen once.
        assert set(calls) == {7}
        assert {letter.attempts for letter in bus.dead_letters()} == {1}
        assert all(letter.error.startswith(InvalidEvent.__name__) for letter in bus.dead_letters())
