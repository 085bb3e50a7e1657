import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.server import EXAMPLE, Server


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def make(vault: Path | None = None, **environment: str) -> Server:
        if vault is None:
            vault = tmp_path / "vault"
            if not vault.exists():
                shutil.copytree(EXAMPLE, vault)
        server = Server(vault, tmp_path / "state", environment)
        servers.append(server)
        return server

    yield make
    for server in servers:
        if server.process is not None and server.process.poll() is None:
            server.kill()


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    return make_server().start()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a module that change nothing, or only files that no other test looks at."""
    folder = tmp_path_factory.mktemp("shared")
    shutil.copytree(EXAMPLE, folder / "vault")
    server = Server(folder / "vault", folder / "state")
    try:
        yield server.start()
    finally:
        server.kill()
