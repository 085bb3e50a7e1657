"""The bus on a real RabbitMQ."""

from collections.abc import Iterator

import pytest

from integration.bus.cases import BusCases
from weave_nn.shared.bus import Bus, open_bus
from weave_nn.shared.db import Database


@pytest.fixture
def bus(rabbitmq_url: str, database: Database) -> Iterator[Bus]:
    bus = open_bus(rabbitmq_url, database, vault_id="v")
    yield bus
    bus.close()


class TestRabbitBus(BusCases):
    """The cases that hold for every bus."""
