"""Which bus a process uses."""

import importlib
from typing import TYPE_CHECKING

from weave_nn.shared.bus.embedded import EmbeddedBus
from weave_nn.shared.bus.port import Bus
from weave_nn.shared.db import Database
from weave_nn.shared.errors import InvalidInput

if TYPE_CHECKING:
    from weave_nn.shared.bus.rabbitmq import RabbitBus


def open_bus(rabbitmq_url: str | None, database: Database, *, vault_id: str) -> Bus:
    """The bus on the broker that `rabbitmq_url` names, or without one that in `database`; close it when done.

    Nothing is connected yet. Raises `InvalidInput` for a URL that is none, and when the client library is missing.
    """
    if rabbitmq_url is None:
        return EmbeddedBus(database)
    return _broker(rabbitmq_url, database, vault_id)


def move_back(rabbitmq_url: str, database: Database, embedded: EmbeddedBus, *, vault_id: str) -> int:
    """Move everything that waits, rests or is dead from a broker into `embedded`; returns how many messages.

    Nothing else may use the broker meanwhile. Raises what `open_bus` raises, and `Unavailable`.
    """
    broker = _broker(rabbitmq_url, database, vault_id)
    try:
        return broker.move_to(embedded)
    finally:
        broker.close()


def _broker(rabbitmq_url: str, database: Database, vault_id: str) -> "RabbitBus":
    try:
        importlib.import_module("pika")
    except ImportError as error:
        raise InvalidInput(
            "RABBITMQ_URL is set, and the client library for RabbitMQ is not installed.",
            hint="Install it with: pip install 'weave-nn[rabbitmq]', or leave RABBITMQ_URL unset.",
            field="RABBITMQ_URL",
        ) from error
    from weave_nn.shared.bus.rabbitmq import RabbitBus, parse_address  # noqa: PLC0415 - the library is an extra

    return RabbitBus(parse_address(rabbitmq_url), database, vault_id=vault_id)
