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
