from collections.abc import Iterator
from pathlib import Path

import pytest

from weave_nn.shared.bus import SCHEMA
from weave_nn.shared.db import Database, upgrade


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/weave.db")
    upgrade(database, [SCHEMA])
    yield database
    database.close()
