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

EMBEDDED, SERVERS, STANDALONE = COMPOSITIONS = ("embedded", "servers", "standalone")
"""One process on SQLite alone; one on PostgreSQL, RabbitMQ and Redis; every service by itself on those three."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test embedded, and those that are marked so in every composition.

    `WEAVE_TEST_COMPOSITION` names the one to run all of them in.
    """
    if "composition" not in metafunc.fixturenames:
        return
    chosen = os.environ.get("WEAVE_TEST_COMPOSITION")
    if chosen is not None:
        values: tuple[str, ...] = (chosen,)
    elif metafunc.definition.get_closest_marker("every_composition"):
        values = COMPOSITIONS
    else:
        values = (EMBEDDED,)
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
def _making(
    folder: Path, composition: str, servers: Callable[[ExitStack], dict[str, str]]
) -> Iterator[Callable[..., Server]]:
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
    with _making(tmp_path, composition, servers) as make:
        yield make


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    return make_server().start()


@pytest.fixture(scope="module")
def shared_server(
    tmp_path_factory: pytest.TempPathFactory, composition: str, servers: Callable[[ExitStack], dict[str, str]]
) -> Iterator[Server]:
    """One server for all tests of a module that change nothing, or only files that no other test looks at."""
    with _making(tmp_path_factory.mktemp("shared"), composition, servers) as make:
        yield make().start()
