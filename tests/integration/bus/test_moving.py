"""From the embedded bus to RabbitMQ and back: nothing that waits is lost."""

from collections.abc import Iterator

import pytest

from integration.bus.cases import Recorder, eventually, ignore, messages, running, take
from weave_nn.shared.bus import Delivery, EmbeddedBus, Message, Subscription
from weave_nn.shared.bus.rabbitmq import RabbitBus, parse_address
from weave_nn.shared.db import Database


@pytest.fixture
def broker(rabbitmq_url: str, sqlite_database: Database) -> Iterator[RabbitBus]:
    bus = RabbitBus(parse_address(rabbitmq_url), sqlite_database, vault_id="v")
    yield bus
    bus.close()


def test_what_waits_rests_or_is_dead_goes_along_to_the_broker(sqlite_database: Database, broker: RabbitBus) -> None:
    embedded = EmbeddedBus(sqlite_database, poll_seconds=0.02)
    subscriptions = [Subscription("q", ["#"], ignore), Subscription("other", ["test.other"], ignore)]
    embedded.declare(subscriptions)
    sent = messages(*range(5))
    embedded.publish(sent)
    dead, resting, held = take(embedded, limit=3)
    embedded.dead_letter(dead, "broken")
    embedded.retry(resting, delay_seconds=3600)
    broker.declare(subscriptions)
    assert broker.depths() == {"q": 3, "other": 0}
    letter, expected = broker.dead_letters()[0], (dead.message, "broken", 1, "q")
    assert (letter.message, letter.error, letter.attempts, letter.queue) == expected
    arrived: dict[Message, int] = {}
    while len(arrived) < 3:
        for each in take(broker):
            arrived[each.message] = each.attempt
            broker.ack([each])
    assert arrived == {resting.message: 2, sent[3]: 1, sent[4]: 1}
    # What a worker of the embedded bus held when it died comes along as soon as its lease has ended.
    embedded.release([held])
    broker.declare(subscriptions)
    assert [(each.message, each.attempt) for each in take(broker)] == [(held.message, 1)]
    assert not any(embedded.depths().values())
    assert embedded.dead_letter_count() == 0


def test_what_waits_rests_or_is_dead_comes_back_from_the_broker(sqlite_database: Database, broker: RabbitBus) -> None:
    recorder = Recorder()
    broker.declare([Subscription("q", ["#"], ignore), Subscription("other", ["test.other"], ignore)])
    sent = messages(*range(8))
    broker.publish(sent)
    taken: list[Delivery] = []
    while len(taken) < 3:
        taken += take(broker, limit=3 - len(taken))
    broker.dead_letter(taken[0], "broken")
    broker.retry(taken[1], delay_seconds=400)
    broker.retry(taken[2], delay_seconds=0.01)
    broker.leave("q")
    embedded = EmbeddedBus(sqlite_database, poll_seconds=0.02)
    assert broker.move_to(embedded) == 8
    assert broker.depths() == {"q": 0, "other": 0}
    assert [(each.message, each.error) for each in embedded.dead_letters()] == [(taken[0].message, "broken")]
    with running(sqlite_database, embedded, Subscription("q", ["#"], recorder)):
        eventually(lambda: len(recorder.seen) == 7)
        embedded.replay()
        eventually(lambda: sorted(recorder.seen) == list(range(8)))
    assert broker.move_to(embedded) == 0
