"""The bus on a real RabbitMQ: the cases of every bus, and what only a broker can do to us."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pika
import pytest
import structlog
from pika.adapters.blocking_connection import BlockingChannel
from sqlalchemy import func, select

from integration.bus.cases import (
    QUICK,
    BusCases,
    Counted,
    Recorder,
    announce,
    eventually,
    ignore,
    messages,
    running,
    take,
    take_now,
)
from weave_nn.shared.bus import Bus, Delivery, Message, Subscription, open_bus
from weave_nn.shared.bus.models import attempt
from weave_nn.shared.bus.rabbitmq import RabbitBus, parse_address
from weave_nn.shared.bus.rabbitmq.topology import DELIVERY_LIMIT, ForeignVault, TopologyConflict
from weave_nn.shared.db import Database
from weave_nn.shared.errors import InvalidInput, Unavailable

MakeBus = Callable[[], RabbitBus]


@pytest.fixture
def bus(rabbitmq_url: str, database: Database) -> Iterator[Bus]:
    bus = open_bus(rabbitmq_url, database, vault_id="v")
    yield bus
    bus.close()


class TestRabbitBus(BusCases):
    """The cases that hold for every bus."""


@pytest.fixture
def process(rabbitmq_url: str, sqlite_database: Database) -> Iterator[MakeBus]:
    """Makes a bus as another process would have it, on the same database."""
    with ExitStack() as stack:

        def make() -> RabbitBus:
            bus = RabbitBus(parse_address(rabbitmq_url), sqlite_database, vault_id="v")
            stack.callback(bus.close)
            return bus

        yield make


@contextmanager
def raw(url: str) -> Iterator[tuple[BlockingChannel, str]]:
    """A channel of the library's own, and the prefix of the names."""
    address = parse_address(url)
    connection = pika.BlockingConnection(address.parameters[0])
    try:
        yield connection.channel(), address.prefix
    finally:
        if connection.is_open:
            connection.close()


def die(bus: RabbitBus) -> None:
    """Lose what is held, as a killed process does."""
    bus._consumer.close()
    bus._publisher.close()


def test_attempts_count_the_deaths_of_workers_and_only_what_was_in_their_hands(process: MakeBus) -> None:
    first = process()
    first.declare([Subscription("q", ["#"], ignore)])
    sent = messages(1, 2, 3)
    first.publish(sent)
    assert len(take(first, limit=1)) == 1
    for attempts in (2, 3, 4):
        die(first)
        first = process()
        # The others were fetched ahead by every one that died, and never begun.
        returned = take(first)
        assert [(each.message, each.attempt) for each in returned] == [(sent[0], attempts)]
    first.ack(returned)
    assert [(each.message, each.attempt) for each in take(first)] == [(sent[1], 2)]


def test_what_kills_its_worker_each_time_ends_as_a_dead_letter(process: MakeBus, sqlite_database: Database) -> None:
    recorder = Recorder()
    first = process()
    first.declare([Subscription("q", ["#"], recorder)])
    first.publish(messages(1))
    for _ in range(QUICK.delivery_limit):
        assert take(first)
        die(first)
        first = process()
    with running(sqlite_database, first, Subscription("q", ["#"], recorder, retry=QUICK)):
        eventually(lambda: first.dead_letter_count() == 1)
    assert recorder.seen == []
    with sqlite_database.read() as work:
        assert work.session.scalar(select(func.count()).select_from(attempt)) == 0


def test_who_leaves_a_queue_gives_back_what_was_fetched_ahead_as_if_it_had_not_been_taken(process: MakeBus) -> None:
    first, second = process(), process()
    first.declare([Subscription("q", ["#"], ignore)])
    sent = messages(*range(6))
    first.publish(sent)
    taken = take(first, limit=4)
    first.ack(taken[:1])
    first.release(taken[1:])
    first.leave("q")
    returned: list[Delivery] = []
    while len(returned) < 5:
        batch = take(second)
        second.ack(batch)
        returned += batch
    assert [(each.message, each.attempt) for each in returned] == [(each, 1) for each in sent[1:]]


def test_a_failed_message_rests_in_the_broker_and_any_process_may_try_it_next(process: MakeBus) -> None:
    first, second = process(), process()
    first.declare([Subscription("q", ["#"], ignore)])
    first.publish(messages(1))
    first.retry(take(first)[0], delay_seconds=0.05)
    # Between its rest and the next attempt it is counted twice.
    assert first.depths()["q"] in {1, 2}
    first.leave("q")
    (again,) = take(second)
    assert again.attempt == 2
    second.retry(again, delay_seconds=0.0)
    (again,) = take(second)
    assert again.attempt == 3
    second.ack([again])
    assert second.depths()["q"] == 0


def test_what_cannot_be_put_to_rest_is_still_ours(process: MakeBus, monkeypatch: pytest.MonkeyPatch) -> None:
    first = process()
    first.declare([Subscription("q", ["#"], ignore)])
    first.publish(messages(1))
    (taken,) = take(first)

    def away(_: object) -> None:
        raise Unavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(first._publisher, "publish", away)
        with pytest.raises(Unavailable):
            first.retry(taken, delay_seconds=0.01)
    assert first.depths()["q"] == 1
    first.release([taken])
    again = take(first)
    assert [(each.message, each.attempt) for each in again] == [(taken.message, 1)]
    first.ack(again)
    assert first.depths()["q"] == 0


def test_large_messages_among_small_ones_come_whole_and_in_order(process: MakeBus) -> None:
    first = process()
    first.declare([Subscription("q", ["#"], ignore)])
    sizes = [1 + 10 * each for each in range(300)] + [200_000, 1, 65_536, 131_072, 1, 1, 250_000]
    sent = [Message(f"id-{number}", "test.thing", "x" * size) for number, size in enumerate(sizes)]
    first.publish(sent)
    taken: list[Delivery] = []
    while len(taken) < len(sent):
        batch = take(first, limit=50)
        first.ack(batch)
        taken += batch
    assert [each.message for each in taken] == sent


def test_a_queue_with_other_arguments_is_explained(process: MakeBus, rabbitmq_url: str) -> None:
    with raw(rabbitmq_url) as (channel, prefix):
        channel.queue_declare(f"{prefix}q", durable=True)
    with pytest.raises(
        TopologyConflict, match=r"inequivalent arg .*current is none.*rabbitmqctl delete_queue"
    ) as refused:
        process().declare([Subscription("q", ["#"], ignore)])
    assert refused.value.fields["name"].endswith(".q")


def test_a_queue_that_differs_in_its_limits_is_used_and_spoken_of(process: MakeBus, rabbitmq_url: str) -> None:
    with raw(rabbitmq_url) as (channel, prefix):
        arguments = {
            "x-queue-type": "quorum",
            "x-delivery-limit": 7,
            "x-dead-letter-exchange": f"{prefix}weave-nn.dead",
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
        channel.queue_declare(f"{prefix}q", durable=True, arguments=arguments)
    with structlog.testing.capture_logs() as logs:
        first = process()
        first.declare([Subscription("q", ["#"], ignore)])
    assert any("x-delivery-limit" in entry.get("difference", "") for entry in logs)
    first.publish(messages(1))
    assert len(take(first)) == 1


def test_a_virtual_host_belongs_to_one_vault(rabbitmq_url: str, process: MakeBus, sqlite_database: Database) -> None:
    process().declare([Subscription("q", ["#"], ignore)])
    other = RabbitBus(parse_address(rabbitmq_url), sqlite_database, vault_id="w")
    with pytest.raises(ForeignVault, match=r"belongs to the vault 'v', not to 'w'.*virtual host of its own"):
        other.declare([Subscription("q", ["#"], ignore)])
    with pytest.raises(ForeignVault):
        other.publish(messages(1))
    other.close()


def test_a_broker_that_refuses_us_is_explained(rabbitmq_url: str, sqlite_database: Database) -> None:
    scheme, _, rest = rabbitmq_url.partition("://")
    place = rest.partition("@")[2].partition("/")[0]
    for url, reason in (
        (f"{scheme}://nobody:wrong@{place}/", "does not accept the user 'nobody'"),
        (f"{scheme}://guest:guest@{place}/no-such-place", "rabbitmqctl add_vhost 'no-such-place'"),
        ("amqp://127.0.0.1:1/", "does not answer"),
    ):
        bus = RabbitBus(parse_address(url), sqlite_database, vault_id="v")
        with pytest.raises(Unavailable, match=reason):
            bus.declare([Subscription("q", ["#"], ignore)])
        bus.close()


def test_what_the_broker_itself_gives_up_is_kept_for_the_operator(process: MakeBus, rabbitmq_url: str) -> None:
    first = process()
    first.declare([Subscription("q", ["#"], ignore)])
    (sent,) = messages(1)
    first.publish([sent])
    with raw(rabbitmq_url) as (channel, prefix):
        for _ in range(DELIVERY_LIMIT + 1):
            method, _properties, _body = channel.basic_get(f"{prefix}q")
            while method is None:
                method, _properties, _body = channel.basic_get(f"{prefix}q")
            channel.basic_reject(method.delivery_tag, requeue=True)
    eventually(lambda: first.dead_letter_count() == 1)
    (letter,) = first.dead_letters()
    assert (letter.queue, letter.message) == ("q", sent)
    assert "given out too often" in letter.error
    assert first.replay([letter.id]) == 1
    assert [(each.message, each.attempt) for each in take(first)] == [(sent, 1)]


def test_what_other_programs_publish_is_handled_or_kept(
    process: MakeBus, sqlite_database: Database, rabbitmq_url: str
) -> None:
    recorder, first = Recorder(), process()
    (proper,) = messages(7)
    with running(sqlite_database, first, Subscription("q", ["#"], recorder)):
        with raw(rabbitmq_url) as (channel, prefix):
            for body in (proper.body.encode(), b"\xff\xfe"):
                channel.basic_publish(f"{prefix}weave-nn.events", proper.type, body)
        eventually(lambda: recorder.seen == [7] and first.dead_letter_count() == 1)
    (letter,) = first.dead_letters()
    assert letter.message.type == "test.thing.counted"
    assert letter.message.event_id.startswith("sha256-")


def test_an_event_of_another_vault_is_kept_and_not_handled(process: MakeBus, sqlite_database: Database) -> None:
    recorder, first = Recorder(), process()
    stranger = Counted(1).to_event(source="test", vault_id="w", request_id=None)
    with running(sqlite_database, first, Subscription("q", ["#"], recorder), vault_id="v"):
        first.publish([Message(stranger.id, stranger.type, stranger.to_json()), *messages(2)])
        eventually(lambda: recorder.seen == [2] and first.dead_letter_count() == 1)
    assert "belongs to the vault 'w'" in first.dead_letters()[0].error


def test_topology_that_someone_deleted_is_made_anew(
    process: MakeBus, sqlite_database: Database, rabbitmq_url: str
) -> None:
    recorder, first = Recorder(), process()
    with running(sqlite_database, first, Subscription("q", ["#"], recorder)):
        announce(sqlite_database, Counted(1))
        eventually(lambda: recorder.seen == [1])
        with raw(rabbitmq_url) as (channel, prefix):
            channel.queue_delete(f"{prefix}q")
            channel.exchange_delete(f"{prefix}weave-nn.events")
        announce(sqlite_database, Counted(2))
        eventually(lambda: recorder.seen == [1, 2])


def test_a_relay_fills_the_queues_of_others_on_a_broker_that_knows_none(rabbitmq_url: str, process: MakeBus) -> None:
    process().declare([Subscription("q", ["test.#"], ignore)])
    with raw(rabbitmq_url) as (channel, prefix):
        channel.queue_delete(f"{prefix}q")
    process().publish(messages(1))
    assert len(take(process())) == 1


def test_many_dead_letters_stay_in_order_however_often_they_are_looked_at(process: MakeBus) -> None:
    first = process()
    first.declare([Subscription("q", ["#"], ignore)])
    sent = messages(*range(250))
    first.publish(sent)
    while first.depths()["q"]:
        for each in take(first):
            first.dead_letter(each, "broken")
    for _ in range(3):
        assert [letter.message for letter in first.dead_letters(limit=20)] == sent[:-21:-1]
    assert first.dead_letters(queue="elsewhere") == []
    assert first.replay() == 250
    assert first.dead_letter_count() == 0
    assert [each.message for each in take(first, limit=10)] == sent[:10]


@pytest.mark.parametrize("bad", ["17", "x", "@q", "a@", ""])
def test_an_id_that_is_none_is_refused(process: MakeBus, bad: str) -> None:
    first = process()
    first.declare([Subscription("q", ["#"], ignore)])
    first.publish(messages(1))
    first.dead_letter(take(first)[0], "broken")
    with pytest.raises(InvalidInput, match="not the id of a dead letter"):
        first.replay([bad])


def test_a_closed_bus_says_so_and_holds_nothing_back(process: MakeBus) -> None:
    first, second = process(), process()
    first.declare([Subscription("q", ["#"], ignore)])
    first.publish(messages(1))
    assert len(take(first)) == 1
    first.close()
    with pytest.raises(Unavailable):
        first.publish(messages(2))
    assert [each.attempt for each in take(second)] == [2]
    assert list(take_now(second)) == []
