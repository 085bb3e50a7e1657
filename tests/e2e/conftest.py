import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from e2e.server import EXAMPLE, Server, Services
from postgres import Dialect
from rabbitmq import remove

EMBEDDED, STANDALONE = "embedded", "standalone"
"""One process on SQLite alone; every service by itself on PostgreSQL, RabbitMQ and Redis. Between the two,
`servers` is one process on those three."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test embedded, or in the compositions that it is marked with.

    `WEAVE_TEST_COMPOSITION` names the one to run all of them in that are for it.
    """
    if "composition" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("compositions")
    chosen = os.environ.get("WEAVE_TEST_COMPOSITION")
    if chosen is not None:
        values: tuple[str, ...] = (chosen,) if mark is None or chosen in mark.args else ()
    else:
        values = (EMBEDDED,) if mark is None else mark.args
    metafunc.parametrize("composition", values, scope="module")


@pytest.fixture(scope="module")
def composition(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def servers(
    request: pytest.FixtureRequest, make_database_url: Callable[[Dialect], str]
) -> Callable[[ExitStack], dict[str, str]]:
    """The settings of another empty database and bus each time; what is in them goes with the stack."""

    def make(stack: ExitStack) -> dict[str, str]:
        broker: str = request.getfixturevalue("rabbitmq_server")
        prefix = f"test-{uuid.uuid4().hex[:12]}."
        stack.callback(remove, broker, prefix)
        return {
            "DATABASE_URL": make_database_url("postgresql").replace("+psycopg", ""),
            "RABBITMQ_URL": f"{broker}{'&' if '?' in broker else '?'}prefix={prefix}",
            "REDIS_URL": request.getfixturevalue("redis_url"),
        }

    return make


@contextmanager
def making(
    folder: Path, composition: str, servers: Callable[[ExitStack], dict[str, str]]
) -> Iterator[Callable[..., Server]]:
    """Makes servers of a composition on one state, and kills them at the end."""
    with ExitStack() as stack:
        settings = {} if composition == EMBEDDED else servers(stack)

        def make(vault: Path | None = None, **environment: str) -> Server:
            if vault is None:
                vault = folder / "vault"
                if not vault.exists():
                    shutil.copytree(EXAMPLE, vault)
            kind = Services if composition == STANDALONE else Server
            server = kind(vault, folder / "state", {**settings, **environment})
            stack.callback(server.kill)
            return server

        yield make


@pytest.fixture
def make_server(
    tmp_path: Path, composition: str, servers: Callable[[ExitStack], dict[str, str]]
) -> Iterator[Callable[..., Server]]:
    with making(tmp_path, composition, servers) as make:
        yield make


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    return make_server().start()


@pytest.fixture(scope="module")
def shared_server(
    tmp_path_factory: pytest.TempPathFactory, composition: str, servers: Callable[[ExitStack], dict[str, str]]
) -> Iterator[Server]:
    """One server for all tests of a module that change nothing, or only files that no other test looks at."""
    with making(tmp_path_factory.mktemp("shared"), composition, servers) as make:
        yield make().start()
