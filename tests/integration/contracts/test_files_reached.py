"""The cases of the file service, over HTTP."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from integration.contracts.reached import over_http
from integration.files.conftest import Stand
from integration.files.conftest import stand as here
from integration.files.test_service import *  # noqa: F403 - the cases
from weave_nn.services.files.contract import FilesContract

__all__ = ["here"]


@pytest.fixture(name="stand")
def reached(here: Stand) -> Iterator[Stand]:
    with over_http(FilesContract, here.files) as files:
        yield replace(here, files=files)
