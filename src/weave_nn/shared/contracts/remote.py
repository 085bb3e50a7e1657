"""A contract whose service runs in another process: the same Protocol, over HTTP."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from weave_nn.shared.contracts import failures
from weave_nn.shared.contracts.client import Answer, Client, IncompatibleService
from weave_nn.shared.contracts.wire import CONTRACT_SEGMENT, Method, Unreadable, methods_of

_Contract = TypeVar("_Contract")


def path_of(prefix: str, method: str) -> str:
    """Where a method is called: below the service's own prefix, so that a gateway moves it with the other traffic."""
    return f"{prefix}{CONTRACT_SEGMENT}{method}"


def remote(contract: type[_Contract], client: Client, *, prefix: str) -> _Contract:
    """Implement `contract` by calls to the service that `client` reaches, whose routes are under `prefix` (`/tasks`).

    A call raises what it would raise in process; and `Unavailable`, `DeadlineExceeded` or `IncompatibleService` where
    the way there fails. Queries are repeated when no answer comes, commands never.
    """
    members: dict[str, Any] = {
        name: _calling(getattr(contract, name), method, contract, client, path_of(prefix, name))
        for name, method in methods_of(contract).items()
    }
    return cast("_Contract", type(f"Remote{contract.__name__}", (), members)())


def _calling(declared: Any, method: Method, contract: type, client: Client, path: str) -> Callable[..., Any]:
    @functools.wraps(declared)
    def call(_self: object, *args: Any, **kwargs: Any) -> Any:
        head, content = method.encode_arguments(args, kwargs)
        answer = client.call(path, head, content, repeat=method.kind == "query", stream=method.streams_out)
        return _outcome(answer, method, contract, client.target.name)

    return call


def _outcome(answer: Answer, method: Method, contract: type, service: str) -> Any:
    try:
        if answer.status == 200:
            return method.decode_result(answer.head, answer.content)
        error: Exception = failures.decode(answer.head, contract)
    except (Unreadable, ValueError) as reason:
        error = IncompatibleService(
            f"What the {service} service answered to {method.name} is not understood here: {reason}.",
            hint="The services are of different versions; upgrade the older one.",
            service=service,
        )
    raise error
