"""The exchanges and queues on the broker, declared the same by every process, and what is wrong when they differ.

| name | kind | for |
|---|---|---|
| `weave-nn.events` | topic exchange | every event, routed by its type |
| `weave-nn.queues` | direct exchange | one queue by its name: what comes back from its rest, what is replayed |
| `weave-nn.rest` | headers exchange | messages that failed, into the queue of how long they rest |
| `weave-nn.rest.2s` … | quorum queues | a message stays until its time to live ends, and goes back to its own queue |
| `weave-nn.dead` | fanout exchange | into `dlq` |
| `dlq` | quorum queue | dead letters |
| `weave-nn.vault` | exchange | a mark: to which vault this virtual host belongs |
| `mcp_sync` … | quorum queues | one of each subscription |

A message that rests leaves its queue at the head only, so those that rest briefly must not stand behind those that rest
long: each queue of rest takes a range of times, and no message waits longer than the range's end.

RabbitMQ lets everybody declare what exists with the same arguments, and refuses other ones with an error that names
the first difference. A virtual host is marked with its vault by the same means: an exchange whose alternate exchange
is named after the vault, and which does nothing else.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

import structlog
from pika import exceptions
from pika.adapters.blocking_connection import BlockingChannel

from weave_nn.shared.bus.rabbitmq.address import Address, channel
from weave_nn.shared.errors import Conflict

DELIVERY_LIMIT = 100
"""How often the broker itself gives a message out before it goes to the dead letters.

Attempts are counted by ourselves, and end much earlier. This ends what never gets that far, and is not less because
every lost connection counts for everything that was fetched ahead.
"""

_NOT_FOUND = 404
# Looking at dead letters takes them and puts them back, which may be done as often as anyone likes.
_DEAD_LETTER_DELIVERY_LIMIT = 2_000_000_000

REST_SECONDS = {"2s": 2.0, "15s": 15.0, "2m": 120.0, "long": float("inf")}
REST_HEADER = "weave-rest"

_QUORUM = {"x-queue-type": "quorum"}
# With another value of these a queue still does its work.
_HARMLESS = {
    "x-delivery-limit",
    "x-dead-letter-strategy",
    "x-overflow",
    "x-quorum-initial-group-size",
    "x-queue-leader-locator",
}

_log = structlog.get_logger(__name__)


class TopologyConflict(Conflict):
    """A queue or an exchange of our name exists and is not what we need; the detail says in what it differs."""

    code = "topology_conflict"
    title = "A queue or exchange is not as expected"


class ForeignVault(Conflict):
    """The virtual host belongs to another vault, whose events must not mix with ours."""

    code = "foreign_vault"
    title = "The broker serves another vault"


@dataclass(frozen=True, slots=True)
class Names:
    """The names on the broker, each after the prefix."""

    prefix: str = ""

    @property
    def events(self) -> str:
        """The exchange of all events."""
        return f"{self.prefix}weave-nn.events"

    @property
    def queues(self) -> str:
        """The exchange that reaches one queue by its name."""
        return f"{self.prefix}weave-nn.queues"

    @property
    def rest(self) -> str:
        """The exchange of messages that rest."""
        return f"{self.prefix}weave-nn.rest"

    @property
    def dead(self) -> str:
        """The exchange of dead letters."""
        return f"{self.prefix}weave-nn.dead"

    @property
    def vault(self) -> str:
        """The exchange that marks the vault."""
        return f"{self.prefix}weave-nn.vault"

    @property
    def dead_letters(self) -> str:
        """The queue of dead letters."""
        return f"{self.prefix}dlq"

    def queue(self, name: str) -> str:
        """The queue of a subscription."""
        return f"{self.prefix}{name}"

    def rest_queue(self, level: str) -> str:
        """The queue of one range of rests."""
        return f"{self.rest}.{level}"


def rest_level(seconds: float) -> str:
    """The range that a rest falls into."""
    return next(level for level, longest in REST_SECONDS.items() if seconds <= longest)


class Declaration:
    """Declares on one connection; a refusal closes the channel, so every step has one of its own if needed."""

    def __init__(self, channel: BlockingChannel, names: Names) -> None:
        self._channel = channel
        self._names = names

    def base(self, vault_id: str) -> None:
        """What there is once, whatever the subscriptions."""
        names = self._names
        self._mark(vault_id)
        self._exchange(names.dead, "fanout", {})
        self._exchange(names.events, "topic", {})
        self._exchange(names.queues, "direct", {"alternate-exchange": names.dead})
        self._exchange(names.rest, "headers", {})
        self._queue(names.dead_letters, {**_QUORUM, "x-delivery-limit": _DEAD_LETTER_DELIVERY_LIMIT})
        self._bind(names.dead_letters, names.dead, "")
        for level in REST_SECONDS:
            # At least once, and so no overflow that drops: a message that rests exists nowhere else.
            back = {"x-dead-letter-exchange": names.queues, "x-dead-letter-strategy": "at-least-once"}
            self._queue(names.rest_queue(level), {**_QUORUM, **back, "x-overflow": "reject-publish"})
            self._bind(names.rest_queue(level), names.rest, "", {"x-match": "all", REST_HEADER: level})

    def queue(self, queue: str, topics: Collection[str], stale: Collection[str]) -> None:
        """The queue of a subscription, with these topics and without the stale ones."""
        names, name = self._names, self._names.queue(queue)
        dead = {"x-dead-letter-exchange": names.dead, "x-dead-letter-strategy": "at-least-once"}
        limits: dict[str, str | int] = {"x-delivery-limit": DELIVERY_LIMIT, "x-overflow": "reject-publish"}
        self._queue(name, {**_QUORUM, **dead, **limits})
        self._bind(name, names.queues, name)
        for topic in topics:
            self._bind(name, names.events, topic)
        for topic in stale:
            self._step(partial(self._unbind, name, topic))

    def _mark(self, vault_id: str) -> None:
        mark = f"vault {vault_id}"
        try:
            self._exchange(self._names.vault, "fanout", {"alternate-exchange": mark})
        except TopologyConflict as error:
            other = re.search(r"current is .*?'vault ([^']*)'", error.detail)
            if other is None:
                raise
            raise ForeignVault(
                f"This virtual host of RabbitMQ belongs to the vault {other[1]!r}, not to {vault_id!r}.",
                hint="Give every vault a virtual host of its own and name it in RABBITMQ_URL. If the other vault is "
                f"gone for good, delete the exchange {self._names.vault}.",
            ) from error

    def _exchange(self, name: str, kind: str, arguments: Mapping[str, str]) -> None:
        self._step(
            lambda: self._channel.exchange_declare(
                name, exchange_type=kind, durable=True, arguments=dict(arguments) or None
            )
        )

    def _queue(self, name: str, arguments: Mapping[str, str | int]) -> None:
        try:
            self._step(lambda: self._channel.queue_declare(name, durable=True, arguments=dict(arguments)))
        except TopologyConflict as error:
            if error.fields.get("argument") not in _HARMLESS:
                raise
            _log.warning("rabbitmq.queue_differs", queue=name, difference=error.detail, reason="it is used as it is")

    def _bind(self, queue: str, exchange: str, routing_key: str, arguments: Mapping[str, str] | None = None) -> None:
        given = dict(arguments) if arguments else None
        self._step(lambda: self._channel.queue_bind(queue, exchange, routing_key, arguments=given))

    def _unbind(self, queue: str, topic: str) -> None:
        self._channel.queue_unbind(queue, self._names.events, topic)

    def _step(self, step: Callable[[], object]) -> None:
        try:
            step()
        except exceptions.ChannelClosedByBroker as error:
            # The channel is gone, the connection is not.
            self._channel = self._channel.connection.channel()
            if error.reply_code == _PRECONDITION_FAILED:
                raise _conflict(error.reply_text) from error
            raise


_PRECONDITION_FAILED = 406


def _conflict(reply: str) -> TopologyConflict:
    found = re.search(r"inequivalent arg '([^']+)' for (queue|exchange) '([^']+)'", reply)
    argument, kind, name = found.groups() if found else (None, "queue", None)
    remedy = f"rabbitmqctl delete_queue '{name}'" if kind == "queue" else f"delete the exchange '{name}'"
    return TopologyConflict(
        f"RabbitMQ has a {kind} of our name that is not ours: {reply.removeprefix('PRECONDITION_FAILED - ')}.",
        hint=f"Stop every weave process, look at what waits in it, then {remedy}; the next start makes it anew. "
        "docs/runbooks/bus.md says how to keep what waits.",
        argument=argument,
        name=name,
    )


def ready_counts(address: Address, queues: Collection[str]) -> dict[str, int]:
    """How many messages wait in each of these queues that exists, without those that consumers hold."""
    counts: dict[str, int] = {}
    with channel(address) as opened:
        asked = opened
        for queue in queues:
            try:
                counts[queue] = asked.queue_declare(queue, passive=True).method.message_count
            except exceptions.ChannelClosedByBroker as error:
                if error.reply_code != _NOT_FOUND:
                    raise
                # There is no such queue yet, and the channel is gone.
                asked = asked.connection.channel()
    return counts
