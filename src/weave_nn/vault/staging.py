"""New content on its way into the vault: temporary files beside their target, whole and synced before they count.

The name of a temporary file tells a later start what it is: while it is being filled it holds nothing that anybody
could miss; once whole it carries the beginning of its own hash. A file whose content does not match the hash in its
name was swapped out of the vault by a process that then died, and may be the only copy of a version.
"""

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from weave_nn.shared.errors import TooLarge
from weave_nn.vault.atomic import etag_at
from weave_nn.vault.errors import NotAFolder, from_os_error, printable
from weave_nn.vault.paths import TEMPORARY_PREFIX, TEMPORARY_SUFFIX
from weave_nn.vault.store import Place, Vault

_HASH_LENGTH = 16
_FILLING = "filling"
_REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Staged:
    """Whole, synced content in a temporary file of the vault. `apply` uses it up, whether it succeeds or not."""

    path: str
    file: Path
    etag: str
    size: int

    def discard(self) -> None:
        """Remove the temporary file; for a caller that will not apply it."""
        self.file.unlink(missing_ok=True)


def stage(
    vault: Vault, path: str, chunks: Iterable[bytes], *, limit_bytes: int | None = None, hidden: bool = False
) -> Staged:
    """Write content for `path` beside it, hashing on the way. Nothing remains when it fails.

    Raises `TooLarge` beyond `limit_bytes`, `StorageFull`, `PathRefused`, `NoteNotFound` (a link out of the vault), and
    `Forbidden` where the vault is read-only.
    """
    vault.check_writable()
    place = vault.place(path, hidden=hidden)
    folder = nearest_folder(place.real)
    filling = temporary(folder, _FILLING)
    try:
        etag, size = _fill(filling, place, _limited(chunks, limit_bytes, place.path))
        whole = temporary(folder, etag[:_HASH_LENGTH])
        with _typed(place.path):
            filling.rename(whole)
    except BaseException:
        with contextlib.suppress(OSError):  # The first failure is the one to tell; `sweep` removes what stays.
            filling.unlink()
        raise
    return Staged(place.path, whole, etag, size)


def temporary(folder: Path, label: str = _REMOVED) -> Path:
    """A fresh name for a temporary file in `folder`."""
    return folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}-{label}{TEMPORARY_SUFFIX}"


def is_disposable(file: Path) -> bool:
    """Whether an abandoned temporary file holds nothing that was ever a file of the vault."""
    label = file.name.removesuffix(TEMPORARY_SUFFIX).rpartition("-")[2]
    if label == _FILLING:
        return True
    etag = etag_at(file)
    return etag is None or (len(label) == _HASH_LENGTH and etag.startswith(label))


def nearest_folder(target: Path) -> Path:
    """The closest folder above `target` that exists; staging makes no folders, so that giving up leaves none."""
    for folder in target.parents:
        if folder.is_dir():
            return folder
        if os.path.lexists(folder):
            break
    raise NotAFolder(target.name)


def _limited(chunks: Iterable[bytes], limit_bytes: int | None, path: str) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if limit_bytes is not None and size > limit_bytes:
            raise TooLarge(f"The content for {printable(path)} is larger than {limit_bytes} bytes.")
        yield chunk


def _fill(filling: Path, place: Place, chunks: Iterable[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with _typed(place.path):
        descriptor = _create(filling, place)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        for chunk in chunks:
            size += len(chunk)
            digest.update(chunk)
            left = memoryview(chunk)
            with _typed(place.path):
                while left:
                    left = left[file.write(left) :]
        with _typed(place.path):
            os.fsync(descriptor)
    return digest.hexdigest(), size


@contextlib.contextmanager
def _typed(path: str) -> Iterator[None]:
    # Only the disk's own failures: one of the source of the chunks (a client that hung up) is its reader's to name.
    try:
        yield
    except OSError as error:
        raise from_os_error(error, path) from error


def _create(file: Path, place: Place) -> int:
    # Bits that the file to be replaced does not grant are never granted to its successor, not even while it is filled.
    mode = 0o666
    if place.exists:
        mode = stat.S_IMODE(place.real.stat().st_mode) & 0o666
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
