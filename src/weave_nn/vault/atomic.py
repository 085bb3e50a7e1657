"""Renames that never destroy what they did not expect, and the syncing that makes them last.

Linux has both in one system call, `renameat2`. Where it is missing (other platforms, some network file systems) a
hard link or a check before a rename takes its place. The window that remains there: what a foreign program saves
between the check and the rename (microseconds) is replaced unseen.
"""

import contextlib
import ctypes
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

_AT_FDCWD = -100
_NOREPLACE = 1
_EXCHANGE = 2
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM}
_CHUNK_BYTES = 1024 * 1024


def _load_renameat2() -> Callable[[bytes, bytes, int], int]:
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None
    if function is None:
        return lambda _source, _target, _flags: errno.ENOSYS
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]

    def call(source: bytes, target: bytes, flags: int) -> int:
        return ctypes.get_errno() if function(_AT_FDCWD, source, _AT_FDCWD, target, flags) else 0

    return call


_renameat2 = _load_renameat2()


def exchange(spare: Path, target: Path) -> None:
    """Swap two existing files, so that `spare` holds what `target` held, whatever that was by then."""
    code = _renameat2(os.fsencode(spare), os.fsencode(target), _EXCHANGE)
    if code in _UNSUPPORTED:
        _exchange_in_steps(spare, target)
    elif code:
        raise OSError(code, os.strerror(code), str(target))


def rename_new(source: Path, target: Path) -> None:
    """Rename, unless something stands at `target`: then `FileExistsError`, and nothing happened."""
    code = _renameat2(os.fsencode(source), os.fsencode(target), _NOREPLACE)
    if code == errno.EEXIST and _same_entry(source, target):
        source.rename(target)
    elif code in _UNSUPPORTED:
        _rename_new_in_steps(source, target)
    elif code:
        raise OSError(code, os.strerror(code), str(target))


def mend_exchange(spare: Path) -> None:
    """Finish the swap of `exchange` where the portable way was interrupted in its middle."""
    kept = _kept_beside(spare)
    if kept.exists():
        if spare.exists():
            kept.unlink()
        else:
            kept.rename(spare)


def etag_at(path: Path) -> str | None:
    """SHA-256 (hex) of the file's content; None where nothing is, the empty string where something else than a file is.

    Links are not followed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            return ""
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return ""
    with os.fdopen(descriptor, "rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def same_file(one: Path, other: Path) -> bool:
    """Whether both exist and are one file, under two names or two spellings of one."""
    try:
        return one.samefile(other)
    except FileNotFoundError:
        return False


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last through a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def carry_metadata(source: Path, target: Path) -> None:
    """Give `target` the permission bits of `source`, and its owner and extended attributes where that is allowed."""
    status = source.stat(follow_symlinks=False)
    with contextlib.suppress(OSError):  # Another owner's file, or one on FAT: the content matters more than the owner.
        if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(target, status.st_uid, status.st_gid)
    with contextlib.suppress(OSError):  # Extended attributes are a best effort: many file systems have none.
        for name in os.listxattr(source) if hasattr(os, "listxattr") else ():
            os.setxattr(target, name, os.getxattr(source, name))
    target.chmod(stat.S_IMODE(status.st_mode))


def _exchange_in_steps(spare: Path, target: Path) -> None:
    kept = _kept_beside(spare)
    try:
        os.link(target, kept)
    except OSError:  # A file system without hard links (exFAT, some network mounts).
        shutil.copy2(target, kept)
        with kept.open("rb") as file:
            os.fsync(file.fileno())
    spare.replace(target)
    kept.rename(spare)


def _rename_new_in_steps(source: Path, target: Path) -> None:
    if _same_entry(source, target):
        source.rename(target)
        return
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in {*_UNSUPPORTED, errno.EMLINK, errno.EXDEV}:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        source.rename(target)
    else:
        source.unlink()


def _same_entry(source: Path, target: Path) -> bool:
    # Only on file systems that ignore case or normalisation; two hard links to one file are two names, which
    # a rename would leave alone.
    if source.name.casefold() != target.name.casefold() or source.parent != target.parent:
        return False
    return same_file(source, target) and target not in target.parent.iterdir()


def _kept_beside(spare: Path) -> Path:
    return spare.with_name(spare.name.removesuffix(".tmp") + "-kept.tmp")
