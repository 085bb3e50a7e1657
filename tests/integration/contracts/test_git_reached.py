"""The cases of the git service's history and of going back, over HTTP."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from integration.contracts.reached import over_http
from integration.git.conftest import bare_stand as here
from integration.git.conftest import environment, stand
from integration.git.stand import Stand
from integration.git.test_history import *  # noqa: F403 - the cases
from weave_nn.services.git.contract import GitContract, RestoreContract

__all__ = ["environment", "here", "stand"]


@pytest.fixture
def bare_stand(here: Stand) -> Iterator[Stand]:
    with over_http(GitContract, here.git) as git, over_http(RestoreContract, here.restore) as restore:
        yield replace(here, git=git, restore=restore)
