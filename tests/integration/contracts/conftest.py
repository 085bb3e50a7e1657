from collections.abc import Callable

import pytest

from postgres import Dialect


@pytest.fixture
def database_url(make_database_url: Callable[[Dialect], str]) -> str:
    """One kind of database is enough: the cases themselves run on both."""
    return make_database_url("sqlite")
