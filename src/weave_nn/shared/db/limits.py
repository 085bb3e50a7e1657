"""What one process may ask of a database server."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """The bounds of one process's connections to a database server; a database in a file has none of them.

    Of each kind at most so many connections are open, and they are opened when they are needed. `name` is shown in the
    server's list of connections. The defaults let seven processes share a server that takes a hundred connections.
    """

    writer_connections: int = 4
    reader_connections: int = 8
    connect_timeout_seconds: int = 5
    statement_timeout_seconds: int = 60
    lock_timeout_seconds: int = 15
    idle_transaction_timeout_seconds: int = 300
    """Long enough for the largest file to be written between two statements."""

    name: str = "weave-nn"


DEFAULT_LIMITS = ServerLimits()
