import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integration.sync.indexes import VAULT_ID, open_index
from postgres import DIALECTS, Dialect
from weave_nn.services.sync.contract import SyncContract
from weave_nn.services.sync.service.sync import SyncService
from weave_nn.shared.contracts import local
from weave_nn.vault.store import Vault

EXAMPLES = Path("examples/vault")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

Ask = Callable[[dict[str, str]], SyncContract]


@pytest.fixture(scope="session", params=DIALECTS)
def examples(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    make_database_url: Callable[[Dialect], str],
) -> Iterator[SyncContract]:
    """The contract over the example vault, on each kind of database."""
    root = tmp_path_factory.mktemp("examples") / "vault"
    shutil.copytree(EXAMPLES, root)
    with opened_contract(make_database_url(request.param), root) as contract:
        yield contract


@pytest.fixture
def ask(tmp_path: Path, database_url: str) -> Iterator[Ask]:
    """The contract over a vault of these notes, on each kind of database."""

    def make(notes: dict[str, str]) -> SyncContract:
        for path, content in notes.items():
            (tmp_path / "vault" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "vault" / path).write_text(content)
        return opened.enter_context(opened_contract(database_url, tmp_path / "vault"))

    with ExitStack() as opened:
        yield make


@contextmanager
def opened_contract(database_url: str, root: Path) -> Iterator[SyncContract]:
    database, indexer = open_index(database_url, Vault(root))
    indexer.reconcile()
    yield local(SyncContract, lambda work: SyncService(work, VAULT_ID, lambda: NOW), database)
    database.close()
