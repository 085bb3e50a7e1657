"""A process that holds a lease until it is killed, and says so."""

import threading
from multiprocessing.connection import Connection
from pathlib import Path

from weave_nn.shared.ephemeral.leases import FileLeases, Leases
from weave_nn.shared.ephemeral.leases.redis import RedisLeases


def open_leases(where: str, prefix: str, lease_seconds: float) -> Leases:
    """Leases in the folder or on the Redis `where`."""
    if where.startswith("redis:"):
        return RedisLeases(where, prefix=prefix, lease_seconds=lease_seconds)
    return FileLeases(Path(where))


def hold(where: str, prefix: str, lease_seconds: float, told: Connection) -> None:
    """Take the lease `watcher`, tell its token, and do nothing until the end."""
    lease = open_leases(where, prefix, lease_seconds).hold("watcher")
    told.send(None if lease is None else lease.token)
    threading.Event().wait()


def hold_and_answer(where: str, prefix: str, lease_seconds: float, asked: Connection) -> None:
    """Take the lease `watcher`, tell its token and whether it is held, and again whenever something is said."""
    lease = open_leases(where, prefix, lease_seconds).hold("watcher")
    while lease is not None:
        asked.send((lease.token, lease.held))
        asked.recv()
