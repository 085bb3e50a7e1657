"""Leases of the processes of one host: a lock on a file for each, which the system releases however its holder ends."""

import fcntl
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from weave_nn.shared.ephemeral.leases.port import Lease

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


class FileLeases:
    """Locks in `folder`, which is made if need be; it must lie on a local disk, for network drives lock badly."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: list[_FileLease] = []

    def hold(self, name: str, *, on_lost: Callable[[], None] | None = None) -> Lease | None:
        """Take the lease; see `Leases.hold`. It is never lost, for the lock lasts as long as the process."""
        del on_lost
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a lease")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = _locked(self._folder / f"{name}.lock")
        if descriptor is None:
            return None
        lease = _FileLease(name, descriptor, _next_token(descriptor))
        self._held.append(lease)
        return lease

    def close(self) -> None:
        """Release all that are held."""
        while self._held:
            self._held.pop().release()


class _FileLease:
    def __init__(self, name: str, descriptor: int, token: int) -> None:
        self._name = name
        self._token = token
        self._descriptor: int | None = descriptor

    @property
    def name(self) -> str:
        return self._name

    @property
    def token(self) -> int:
        return self._token

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _locked(file: Path) -> int | None:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Somebody may have removed the file after we opened it; a lock on what has no name keeps nobody out.
        if os.path.samestat(os.fstat(descriptor), file.stat()):
            return descriptor
    os.close(descriptor)
    return None


def _next_token(descriptor: int) -> int:
    """Count up the number in the locked file, which only its holder writes."""
    kept = os.pread(descriptor, 32, 0).strip()
    token = int(kept) + 1 if kept.isdigit() else 1
    os.pwrite(descriptor, b"%020d\n" % token, 0)
    return token
