"""Moving what waits from one bus to the other, so that a change of `RABBITMQ_URL` loses nothing.

Each message is put there before it is removed here: one that is moved twice has one effect, by the inbox.
"""

from collections.abc import Callable, Sequence

from weave_nn.shared.bus.embedded import EmbeddedBus
from weave_nn.shared.bus.port import DeadLetter, Delivery, Message
from weave_nn.shared.bus.rabbitmq.address import Address, channel
from weave_nn.shared.bus.rabbitmq.envelope import message_of
from weave_nn.shared.bus.rabbitmq.topology import REST_SECONDS, Names

BATCH = 200
SILENCE_SECONDS = 1.0
_LEASE_SECONDS = 60.0


def to_broker(
    embedded: EmbeddedBus,
    put: Callable[[str, Sequence[Delivery]], None],
    put_dead: Callable[[Sequence[DeadLetter]], None],
) -> int:
    """Move what waits and what is dead in the embedded bus; returns how many messages that were.

    What an embedded worker holds at this moment stays, until it has handled it or its lease has ended.
    """
    moved = 0
    if embedded.end_rests():
        for queue in embedded.depths():
            while taken := embedded.take(queue, limit=BATCH, lease_seconds=_LEASE_SECONDS, wait_seconds=0.0):
                put(queue, taken)
                embedded.ack(taken)
                moved += len(taken)
    while letters := embedded.dead_letters(limit=BATCH):
        put_dead(letters)
        moved += embedded.discard([each.id for each in letters])
    return moved


def from_rest(address: Address, names: Names, put: Callable[[str, Message], None]) -> int:
    """Move what rests in the broker until its next attempt; returns how many messages that were."""
    moved = 0
    with channel(address) as opened:
        for level in REST_SECONDS:
            while True:
                method, properties, body = opened.basic_get(names.rest_queue(level))
                if method is None or properties is None or body is None:
                    break
                queue = (method.routing_key or "").removeprefix(names.prefix)
                put(queue, message_of(properties, queue, body))
                opened.basic_ack(method.delivery_tag)
                moved += 1
    return moved
