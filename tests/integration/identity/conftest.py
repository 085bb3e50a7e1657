from collections.abc import Iterator

import pytest

from weave_nn.shared.db import Database, upgrade
from weave_nn.shared.identity.models import SCHEMA


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    upgrade(database, [SCHEMA])
    yield database
    database.close()
