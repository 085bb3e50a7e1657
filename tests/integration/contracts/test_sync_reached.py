"""The cases of the sync service's links and graph, over HTTP."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from integration.contracts.reached import over_http
from integration.sync.conftest import EXAMPLES, Ask, opened_contract
from integration.sync.conftest import ask as here
from integration.sync.test_graph import *  # noqa: F403 - the cases
from postgres import Dialect
from weave_nn.services.sync.contract import SyncContract

__all__ = ["here"]


@pytest.fixture(scope="module")
def examples(
    tmp_path_factory: pytest.TempPathFactory, make_database_url: Callable[[Dialect], str]
) -> Iterator[SyncContract]:
    root = tmp_path_factory.mktemp("examples") / "vault"
    shutil.copytree(EXAMPLES, root)
    with (
        opened_contract(make_database_url("sqlite"), root) as contract,
        over_http(SyncContract, contract) as reached,
    ):
        yield reached


@pytest.fixture
def ask(here: Ask) -> Iterator[Ask]:
    with ExitStack() as stack:
        yield lambda notes: stack.enter_context(over_http(SyncContract, here(notes)))
