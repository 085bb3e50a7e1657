"""Ports for servers that tests start, each of them given out once.

A server binds its port a while after it was chosen, gives it back when it is stopped for a moment, and tests of several
processes run at the same time. So ports lie below those that the system gives to outgoing connections, and one that was
given out is claimed: a datagram socket, whose ports are others than those of streams, holds its number until this
process ends. Whoever asks here, in whatever process, passes it over.
"""

import random
import socket
from collections import deque
from contextlib import suppress

_LOWEST, _BEYOND = 15_000, 32_000
_KEPT = 256
"""Claims of one process; a test that began this many ports ago has ended."""

_claims: deque[socket.socket] = deque()


def free_port() -> int:
    """A port of this machine that nobody listens on, and that nobody else is given."""
    return free_row(1)


def free_row(count: int) -> int:
    """The first of `count` such ports in a row."""
    while True:
        first = random.randrange(_LOWEST, _BEYOND - count)  # noqa: S311 - any will do
        if all(_claim(port) for port in range(first, first + count)):
            return first


def _claim(port: int) -> bool:
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    _claims.append(claim)
    while len(_claims) > _KEPT:
        _claims.popleft().close()
    with suppress(OSError):
        claim.bind(("127.0.0.1", port))
        with socket.create_server(("127.0.0.1", port)):
            return True
    return False
