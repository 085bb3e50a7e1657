from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.tasks.stand import TODAY, Stand, make_stand
from weave_nn.services.tasks.service import TaskRules


@pytest.fixture
def stand(tmp_path: Path, database_url: str) -> Iterator[Stand]:
    stand = make_stand(tmp_path, TaskRules(today=lambda: TODAY), database_url)
    stand.carry()
    stand.heard()
    yield stand
    stand.database.close()
