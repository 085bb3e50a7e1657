from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.migration.stand import Stand


@pytest.fixture
def stand(tmp_path: Path, postgres_url: str) -> Iterator[Stand]:
    made = Stand(tmp_path / "weave.db", postgres_url)
    yield made
    made.close()
