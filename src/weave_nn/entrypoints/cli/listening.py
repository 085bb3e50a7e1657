"""The socket to serve on, opened before anything else is made, so that a taken port leaves no trace."""

import errno
import os
import socket

from weave_nn.shared.errors import InvalidInput, Unavailable

BACKLOG = 2048


class PortTaken(Unavailable):
    """Another program listens on the port."""

    code = "port_taken"
    title = "Port taken"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on `host` and `port` (0: any free one).

    Raises `PortTaken`, or `InvalidInput` when this machine or user cannot listen there.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host,
            port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise InvalidInput(
            f"The host {host!r} is not known.",
            hint="Use --host 127.0.0.1 (WEAVE_HOST) for this machine only.",
            field="host",
        ) from error
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            # Lets a restart have the port at once; on Windows the same option would share it with another program.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _explained(error, host, port) from error
    return listener


def address(listener: socket.socket) -> str:
    """The URL of a listening socket, as a client on this machine can use it."""
    host, port = listener.getsockname()[:2]
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - the name of the address, nothing is bound here
    host = everywhere.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _explained(error: OSError, host: str, port: int) -> PortTaken | InvalidInput:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"Port {port} on {host} is taken by another program.",
            hint="Stop that program, or choose another port with --port (WEAVE_PORT); 0 takes any free one.",
            field="port",
        )
    if error.errno == errno.EACCES:
        hint = "Choose a port above 1023 with --port (WEAVE_PORT)."
    else:
        hint = "Use an address of this machine, such as --host 127.0.0.1 (WEAVE_HOST)."
    return InvalidInput(f"Cannot listen on {host} port {port}: {error.strerror}.", hint=hint, field="host")
