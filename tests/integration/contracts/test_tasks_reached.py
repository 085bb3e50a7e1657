"""The cases of the task service, over HTTP."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from integration.contracts.reached import over_http
from integration.tasks.conftest import stand as here
from integration.tasks.stand import Stand
from integration.tasks.test_tasks_to_notes import *  # noqa: F403 - the cases
from weave_nn.services.tasks.contract import TasksContract

__all__ = ["here"]


@pytest.fixture(name="stand")
def reached(here: Stand) -> Iterator[Stand]:
    with over_http(TasksContract, here.tasks) as tasks:
        yield replace(here, tasks=tasks)
