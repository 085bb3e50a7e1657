"""The bus: how services tell each other what happened.

A service announces through `Outbox`, inside the transaction of the change itself. A `Relay` moves the outbox to the
`Bus` after the commit, the bus puts each event into every queue whose topics match, and a `Worker` hands it to the
`Subscription`'s handler, in a transaction that also records it in the inbox: delivered at least once, with effects
that happen exactly once. What keeps failing becomes a dead letter, which an operator can look at and replay.
"""

from weave_nn.shared.bus.embedded import EmbeddedBus
from weave_nn.shared.bus.event import MAX_EVENT_BYTES, Announcement, Event, EventTooLarge, InvalidEvent
from weave_nn.shared.bus.metrics import BusCollector
from weave_nn.shared.bus.models import SCHEMA
from weave_nn.shared.bus.opening import move_back, open_bus
from weave_nn.shared.bus.outbox import Backlog, Outbox, backlog
from weave_nn.shared.bus.port import Bus, DeadLetter, Delivery, Message, RetryPolicy, Subscription
from weave_nn.shared.bus.relay import Relay
from weave_nn.shared.bus.worker import Worker

__all__ = [
    "MAX_EVENT_BYTES",
    "SCHEMA",
    "Announcement",
    "Backlog",
    "Bus",
    "BusCollector",
    "DeadLetter",
    "Delivery",
    "EmbeddedBus",
    "Event",
    "EventTooLarge",
    "InvalidEvent",
    "Message",
    "Outbox",
    "Relay",
    "RetryPolicy",
    "Subscription",
    "Worker",
    "backlog",
    "move_back",
    "open_bus",
]
