"""The bus on RabbitMQ, 3.10 or later, over AMQP 0-9-1; the extra `rabbitmq` brings the client library.

What goes fast (publishing with confirms, consuming) has two connections that stay, each with an event loop in a thread
of its own: a broker that blocks publishers must not keep consumers from acknowledging. What an operator or a start does
(declaring, looking at dead letters) opens a connection and closes it.
"""

import logging

from weave_nn.shared.bus.rabbitmq.address import Address, parse_address
from weave_nn.shared.bus.rabbitmq.bus import RabbitBus

__all__ = ["Address", "RabbitBus", "parse_address"]

# The library reports every failed attempt in many lines with tracebacks; what matters of it we say ourselves.
logging.getLogger("pika").setLevel(logging.CRITICAL)
