"""The index on PostgreSQL, where the other tests have SQLite's alone."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from integration.sync.conftest import Ask
from integration.sync.indexes import VAULT_ID, dump, open_index
from integration.sync.test_indexing import STEP, perform
from postgres import Dialect
from weave_nn.services.sync.service.indexing import Indexer
from weave_nn.shared.db import Database
from weave_nn.vault.store import Vault


@pytest.fixture
def database(postgres_url: str, tmp_path: Path) -> Iterator[Database]:
    (tmp_path / "vault").mkdir()
    database, _ = open_index(postgres_url, Vault(tmp_path / "vault"))
    yield database
    database.close()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(STEP, st.booleans()), max_size=10))
def test_after_any_changes_the_index_equals_a_fresh_one(
    steps: list[tuple[tuple[str, str, str, str], bool]],
    make_database_url: Callable[[Dialect], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    vault = Vault(tmp_path_factory.mktemp("vault"))
    database, indexer = open_index(make_database_url("postgresql"), vault)
    for step, by_event in steps:
        paths = perform(vault.root, step)
        if by_event and paths:
            with database.write() as work:
                indexer.look_at(work, paths)
    indexer.reconcile()
    fresh, anew = open_index(make_database_url("postgresql"), vault)
    anew.reconcile()
    assert dump(database) == dump(fresh)
    database.close()
    fresh.close()


def test_two_who_index_the_same_vault_at_once_agree(database: Database, tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / "vault" / f"{number}.md").write_text(f"# {number}\n[[{number + 1}]] word\n")
    indexers = [Indexer(database, Vault(tmp_path / "vault"), VAULT_ID) for _ in range(2)]
    threads = [threading.Thread(target=indexer.reconcile) for indexer in indexers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = dump(database)
    assert len(held["file"]) == len(held["terms"]) == 60
    assert all(row[3] is not None for row in held["file"])


def test_phrases_are_found_wherever_the_pieces_of_a_note_end(ask: Ask) -> None:
    numbers = [f"n{number}" for number in range(2000)]
    contract = ask({"long.md": " ".join(numbers) + " word" * 3000 + " after all", "other.md": "n1 n3 n2"})
    for start in range(205, 1990, 43):
        asked = " ".join(numbers[start : start + 5])
        assert [hit.path for hit in contract.search(f'"{asked}"').hits] == ["long.md"]
    assert contract.search(f'"{" ".join(numbers[200:300])}"').hits
    assert contract.search('"word after all" n0 n1999 -n2000').hits
    assert not contract.search('"n5 n7"').hits


def test_the_index_of_terms_goes_with_the_file(database: Database, tmp_path: Path) -> None:
    (tmp_path / "vault" / "a.md").write_text("word")
    indexer = Indexer(database, Vault(tmp_path / "vault"), VAULT_ID)
    indexer.reconcile()
    (tmp_path / "vault" / "a.md").unlink()
    indexer.reconcile()
    with database.read() as work:
        assert work.session.scalar(text("SELECT count(*) FROM note_search")) == 0
