"""Where one service reaches another: a method call if both are in this process, else HTTP.

Services that run elsewhere are called with the service key. Without one it is the instance's own key, which every
process on the same state folder knows; then the other side takes each call for the owner's.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, cast

from weave_nn.entrypoints.composition import Component, Runtime, Service
from weave_nn.shared.identity import current_identity, passing

_Contract = TypeVar("_Contract")


class Contracts:
    """The contracts of all `services`, for a process that composes those named `here`.

    A component is composed when it is first asked for, so that the order of services does not matter. `gateway_url`
    is where all others are reached, if the settings do not say it.
    """

    def __init__(
        self, runtime: Runtime, services: Sequence[Service], here: frozenset[str], *, gateway_url: str | None = None
    ) -> None:
        self._runtime = runtime
        self._gateway_url = gateway_url or runtime.settings.gateway_url
        self._providers = {contract: service for service in services for contract in service.contracts}
        self._here = here
        self._components: dict[str, Component] = {}
        self._remote: dict[type, object] = {}
        self._closing: list[Callable[[], None]] = []
        self._guard = threading.RLock()

    def get(self, contract: type[_Contract]) -> _Contract:
        """The implementation of `contract`; asking for one that runs elsewhere does not reach there yet."""
        service = self._providers[contract]
        if service.name in self._here:
            return cast("_Contract", self.component(service).contracts[contract])
        with self._guard:
            if contract not in self._remote:
                self._remote[contract] = self._reach(contract, service)
            return cast("_Contract", self._remote[contract])

    def component(self, service: Service) -> Component:
        """The service composed in this process, once."""
        with self._guard:
            if service.name not in self._components:
                self._components[service.name] = service.compose(self._runtime, self)
            return self._components[service.name]

    def close(self) -> None:
        """Close the connections to other services."""
        while self._closing:
            self._closing.pop()()

    def _reach(self, contract: type, service: Service) -> object:
        # A process that reaches nobody, such as the monolith, needs no HTTP client.
        from weave_nn.shared.config import variable  # noqa: PLC0415 - see above
        from weave_nn.shared.contracts.client import Client, Target  # noqa: PLC0415 - see above
        from weave_nn.shared.contracts.remote import remote  # noqa: PLC0415 - see above

        settings = self._runtime.settings
        setting = "gateway_url" if self._gateway_url else service.url_setting
        address = self._gateway_url or getattr(settings, setting)
        client = Client(Target(service.name, address, variable(setting)), headers=self._headers())
        self._closing.append(client.close)
        return remote(contract, client, prefix=service.prefix)

    def _headers(self) -> Callable[[], Mapping[str, str]]:
        service_key = self._runtime.settings.service_key
        credential = {"Authorization": f"Bearer {(service_key or self._runtime.instance.api_key).get_secret_value()}"}
        if service_key is None:
            return lambda: credential

        def headers() -> Mapping[str, str]:
            identity = current_identity()
            return credential if identity is None else {**credential, passing.HEADER: passing.encode(identity)}

        return headers
