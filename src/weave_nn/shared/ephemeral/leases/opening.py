"""Which leases a process takes part in."""

from pathlib import Path

from weave_nn.shared.ephemeral.leases.files import FileLeases
from weave_nn.shared.ephemeral.leases.port import Leases


def open_leases(redis_url: str | None, folder: Path, *, vault_id: str) -> Leases:
    """Leases on Redis where one is named, apart for each vault; else locks on files in `folder`, for this host alone.

    Raises `InvalidInput` when the extra `redis` is missing or `redis_url` is no URL; nothing is opened yet.
    """
    if redis_url is None:
        return FileLeases(folder)
    from weave_nn.shared.ephemeral.leases.redis import RedisLeases  # noqa: PLC0415 - an optional library

    return RedisLeases(redis_url, prefix=f"weave:{vault_id}:")
