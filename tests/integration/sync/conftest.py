import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integration.sync.indexes import VAULT_ID, open_index
from weave_nn.services.sync.contract import SyncContract
from weave_nn.services.sync.service.sync import SyncService
from weave_nn.shared.contracts import local
from weave_nn.vault.store import Vault

EXAMPLES = Path("examples/vault")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

Ask = Callable[[dict[str, str]], SyncContract]


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> SyncContract:
    """The contract over the example vault."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(EXAMPLES, folder / "vault")
    return _contract(folder)


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """The contract over a vault of these notes."""

    def make(notes: dict[str, str]) -> SyncContract:
        for path, content in notes.items():
            (tmp_path / "vault" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "vault" / path).write_text(content)
        return _contract(tmp_path)

    return make


def _contract(folder: Path) -> SyncContract:
    database, indexer = open_index(folder / "index.db", Vault(folder / "vault"))
    indexer.reconcile()
    return local(SyncContract, lambda work: SyncService(work, VAULT_ID, lambda: NOW), database)
