"""Leases: what must be single (the watcher, the writer of git, a keeper) is done by the process that holds its lease.

`FileLeases` is for the processes of one host, `RedisLeases` for those of several; `open_leases` takes the one that the
settings ask for.
"""

from weave_nn.shared.ephemeral.leases.files import FileLeases
from weave_nn.shared.ephemeral.leases.opening import open_leases
from weave_nn.shared.ephemeral.leases.port import Lease, Leases

__all__ = ["FileLeases", "Lease", "Leases", "open_leases"]
