"""What tools and commands ask follows the traffic: of a service that is extracted they ask through the gateway.

A process that composes the service would answer itself, whichever side the gateway has the caller on. Whether a gateway
of this machine lives, and what was extracted, is in the database: it is looked at once a second, so that nobody has to
restart a monolith or the clients' `weave mcp`. `WEAVE_GATEWAY_URL` says it for good, and for other machines.
"""

import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar, cast
from urllib.parse import urlsplit

from weave_nn.entrypoints.composition import Asking, Runtime
from weave_nn.entrypoints.reaching import Contracts
from weave_nn.entrypoints.services import SERVICES
from weave_nn.gateway.rollouts import Rollouts
from weave_nn.shared.errors import Unavailable
from weave_nn.shared.http import Listener
from weave_nn.shared.identity import current_identity

LOOK_SECONDS = 1.0
CONNECT_SECONDS = 0.5

_Contract = TypeVar("_Contract")


def front_door(host: str, port: int) -> str:
    """Where what listens at `host`, which may be all addresses, is reached from this machine."""
    return Listener(host, port, ()).url


class Following:
    """The contracts of `here`, each call of which goes through the gateway while its service is extracted.

    On behalf of others than the owner that needs the service key: the gateway would take the call for the owner's.
    """

    def __init__(self, runtime: Runtime, here: Asking) -> None:
        self._runtime = runtime
        self._here = here
        self._services = {contract: service.name for service in SERVICES for contract in service.contracts}
        self._rollouts = Rollouts(runtime.database, runtime.vault_id)
        self._through: dict[str, Contracts] = {}
        self._extracted: Mapping[str, str] = {}
        self._look_due = 0.0
        self._guard = threading.Lock()

    def get(self, contract: type[_Contract]) -> _Contract:
        """An implementation of `contract` that decides with each call where it goes."""
        local = self._here.get(contract)
        return cast("_Contract", _Followed(lambda: self._elsewhere(contract) or local))

    def close(self) -> None:
        """Close the connections to the gateway."""
        for each in self._through.values():
            each.close()

    def _elsewhere(self, contract: type) -> object | None:
        url = self._gateway(self._services[contract])
        if url is None or not self._may_pass_on():
            return None
        with self._guard:
            if url not in self._through:
                self._through[url] = Contracts(self._runtime, SERVICES, frozenset(), gateway_url=url)
            return cast("object", self._through[url].get(contract))

    def _may_pass_on(self) -> bool:
        identity = current_identity()
        return self._runtime.settings.service_key is not None or identity is None or identity.kind == "owner"

    def _gateway(self, service: str) -> str | None:
        if self._runtime.settings.gateway_url is not None:
            return self._runtime.settings.gateway_url
        with self._guard:
            if time.monotonic() >= self._look_due:
                self._extracted = self._look()
                self._look_due = time.monotonic() + LOOK_SECONDS
            return self._extracted.get(service)

    def _look(self) -> Mapping[str, str]:
        """The address of the gateway by the services that were extracted; over TLS only WEAVE_GATEWAY_URL says it."""
        if self._runtime.settings.tls_certificate is not None:
            return {}
        try:
            named = [each.node.rpartition(":") for each in self._rollouts.nodes()]
            ports = [int(port) for host, _, port in named if host == socket.gethostname()]
            if not ports or not self._listens(ports[0]):
                return {}
            extracted = self._rollouts.routed()[1]
        except Unavailable:
            # What is asked will say so itself.
            return self._extracted
        url = front_door(self._runtime.settings.host, ports[0])
        return {each.service: url for each in extracted}

    def _listens(self, port: int) -> bool:
        """Whether the gateway is reached where this process looks for it; it may listen at an address of its own."""
        place = urlsplit(front_door(self._runtime.settings.host, port))
        try:
            socket.create_connection((place.hostname, port), CONNECT_SECONDS).close()
        except OSError:
            return False
        return True


class _Followed:
    """A contract whose implementation is chosen anew for each call."""

    def __init__(self, chosen: Callable[[], object]) -> None:
        self._chosen = chosen

    def __getattr__(self, method: str) -> object:
        return cast("object", getattr(self._chosen(), method))
