"""What runs the cases of the services once more, with their contracts reached over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from served import served
from weave_nn.shared.contracts.client import Client, Target
from weave_nn.shared.contracts.remote import remote
from weave_nn.shared.contracts.serving import contract_router

_Contract = TypeVar("_Contract")


@contextmanager
def over_http(contract: type[_Contract], implementation: _Contract) -> Iterator[_Contract]:
    """The same contract, with a server and a connection in between."""
    with served(contract_router(contract, implementation, prefix="/service")) as url:
        client = Client(
            Target("tested", url, "WEAVE_TESTED_URL"),
            headers=lambda: {"Authorization": "Bearer secret"},
            timeout_seconds=60,
        )
        yield remote(contract, client, prefix="/service")
        client.close()
