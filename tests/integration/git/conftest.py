from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.git.stand import Stand, make_stand, user_environment


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return user_environment(tmp_path / "home")


@pytest.fixture
def bare_stand(tmp_path: Path, environment: dict[str, str]) -> Iterator[Stand]:
    """A vault in no repository."""
    stand = make_stand(tmp_path, tmp_path / "vault", environment)
    yield stand
    stand.database.close()


@pytest.fixture
def stand(bare_stand: Stand) -> Stand:
    """A vault in a repository with one commit."""
    bare_stand.sh("init", "-q")
    bare_stand.write("Home.md", "# Home\n")
    bare_stand.sh("add", ".")
    bare_stand.sh("commit", "-qm", "first")
    bare_stand.carry()
    assert bare_stand.commit() is None
    return bare_stand
