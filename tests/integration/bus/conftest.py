from collections.abc import Iterator
from pathlib import Path

import pytest

from weave_nn.shared.bus import SCHEMA
from weave_nn.shared.db import Database, upgrade


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    upgrade(database, [SCHEMA])
    yield database
    database.close()


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[Database]:
    """For what does not depend on the database."""
    database = Database(f"sqlite:///{tmp_path}/weave.db")
    upgrade(database, [SCHEMA])
    yield database
    database.close()
