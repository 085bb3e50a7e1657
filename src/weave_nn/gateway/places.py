"""Which paths of the front door belong to which service, and addresses of services."""

from urllib.parse import urlsplit

from weave_nn.shared.errors import InvalidInput, NotFound

PREFIXES: dict[str, tuple[str, ...]] = {
    "files": ("/files", "/vault", "/active", "/periodic", "/open", "/commands"),
    "sync": ("/search", "/graph", "/tags", "/mcp"),
    "tasks": ("/tasks",),
    "git": ("/git",),
    "agents": ("/agents",),
    "workflows": ("/workflows",),
}
"""A service's paths are those under its prefixes; what belongs to none goes to the monolith."""

PORTS: dict[str, int] = {"files": 8001, "git": 8002, "tasks": 8003, "sync": 8004, "agents": 8005, "workflows": 8006}
"""Where a service listens when nothing else is said."""

SESSIONS = ("/mcp",)
"""Paths whose sessions live in one process and stay on its side."""

CONTROL = "/gateway"
"""The front door's path to the control plane."""


def known_service(name: str) -> str:
    """`name`, if it is a service. Raises `NotFound`."""
    if name not in PREFIXES:
        raise NotFound(f"There is no service {name!r}.", hint=f"It is one of {', '.join(PREFIXES)}.", field="service")
    return name


def service_of(path: str) -> str | None:
    """The service that a path belongs to; None for what stays with the monolith."""
    for service, prefixes in PREFIXES.items():
        if any(path == prefix or path.startswith(prefix + "/") for prefix in prefixes):
            return service
    return None


def address(url: str) -> tuple[str, int]:
    """Host and port of `http://host:port`. Raises `InvalidInput` for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"{url!r} is not an address.", hint=_ADDRESS_HINT, field="address") from error
    if parts.scheme != "http" or not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.username:
        raise InvalidInput(f"{url!r} is not an address.", hint=_ADDRESS_HINT, field="address")
    return parts.hostname, port or 80


_ADDRESS_HINT = "Give it as http://host:port."
