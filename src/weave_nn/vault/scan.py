"""Listing every file of a vault, completely or not at all."""

import errno
import os
import stat
import time
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from weave_nn.vault.errors import ScanFailed, printable
from weave_nn.vault.paths import PATH_LIMIT_BYTES, segment_fault

# A file may change twice within one tick of its clock; marks are trusted only when they are older than this.
_SETTLED_NS = 2_000_000_000
_CREATED = "st_birthtime" if hasattr(os.stat_result, "st_birthtime") else None


class FileStat(NamedTuple):
    """What the file system knows about a file. Times are nanoseconds since 1970.

    `created_ns` is the birth time where the platform has one, else that of the last change of the inode
    (`changed_ns`, which no program can set back). `device` and `inode` survive a rename.
    """

    path: str
    size: int
    mtime_ns: int
    created_ns: int
    changed_ns: int
    device: int
    inode: int

    def settled(self) -> "FileStat":
        """The marks to remember: none that a later change could leave as they are."""
        return self if time.time_ns() - self.changed_ns > _SETTLED_NS else self._replace(changed_ns=0)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that has no place in the vault: where (printable, not a vault path) and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All visible files by their vault path, and what was left out although it is not hidden."""

    files: dict[str, FileStat]
    skipped: tuple[Skipped, ...]


def file_stat(path: str, status: os.stat_result) -> FileStat:
    """A `FileStat` from what `os.stat` said."""
    born = int(getattr(status, _CREATED) * 1_000_000_000) if _CREATED else status.st_ctime_ns
    return FileStat(path, status.st_size, status.st_mtime_ns, born, status.st_ctime_ns, status.st_dev, status.st_ino)


def scan(root: Path, start: str = "") -> Snapshot:
    """List the files below `start` (a folder's vault path), leaving out hidden names, and links that leave the vault.

    A link to a folder is not descended: inside the vault its files are listed where they really are, so that a loop is
    impossible. A folder that vanishes meanwhile counts as deleted; any other failure raises `ScanFailed`.
    """
    found = _Scan(root)
    pending = [(str(root / start), f"{start}/" if start else "")]
    while pending:
        folder, prefix = pending.pop()
        pending += found.folder(folder, prefix)
    return Snapshot(found.files, tuple(found.skipped))


class _Scan:
    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.files: dict[str, FileStat] = {}
        self.skipped: list[Skipped] = []

    def folder(self, folder: str, prefix: str) -> list[tuple[str, str]]:
        """List one folder; gives its subfolders with the prefixes of their vault paths."""
        try:
            with os.scandir(folder) as listing:
                entries = [entry for entry in listing if entry.name[0] != "."]
        except (FileNotFoundError, NotADirectoryError) as error:
            if not prefix:
                raise _failed(folder, error) from error
            return []
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                self.skipped.append(Skipped(printable(prefix), "its path is longer than this system allows"))
                return []
            raise _failed(folder, error) from error
        subfolders: list[tuple[str, str]] = []
        respelled: list[os.DirEntry[str]] = []
        for entry in entries:
            if entry.name.isascii() or unicodedata.is_normalized("NFC", entry.name):
                subfolders += self._entry(entry, prefix, entry.name)
            else:
                respelled.append(entry)
        taken = {entry.name for entry in entries}
        for entry in respelled:
            name = unicodedata.normalize("NFC", entry.name)
            if name in taken:
                self._skip(entry, "another file has the same name in another Unicode form")
            else:
                taken.add(name)
                subfolders += self._entry(entry, prefix, name)
        return subfolders

    def _entry(  # noqa: PLR0911 - one return for each kind of entry
        self, entry: os.DirEntry[str], prefix: str, name: str
    ) -> list[tuple[str, str]]:
        if fault := _name_fault(name, prefix):
            return self._skip(entry, fault)
        path = prefix + name
        try:
            if entry.is_symlink():
                return self._link(entry, path)
            if entry.is_dir(follow_symlinks=False):
                return [(entry.path, path + "/")]
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return []
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return self._skip(entry, "its path is longer than this system allows")
            raise _failed(entry.path, error) from error
        if not stat.S_ISREG(status.st_mode):
            return self._skip(entry, "it is a device, a pipe or a socket")
        self.files[path] = file_stat(path, status)
        return []

    def _link(self, entry: os.DirEntry[str], path: str) -> list[tuple[str, str]]:
        try:
            real = os.path.realpath(entry.path, strict=True)
            status = Path(real).stat()
        except OSError:
            return self._skip(entry, "it is a link that leads nowhere")
        if not stays_visible(self.root, real):
            return self._skip(entry, "it is a link out of the vault or into a hidden folder")
        if stat.S_ISREG(status.st_mode):
            self.files[path] = file_stat(path, status)
        return []

    def _skip(self, entry: os.DirEntry[str], reason: str) -> list[tuple[str, str]]:
        name = os.path.relpath(entry.path, self.root)
        self.skipped.append(Skipped(printable(name), reason))
        return []


def stays_visible(root: str, real: str) -> bool:
    """Whether a resolved path lies in the vault and in none of its hidden folders."""
    if real == root:
        return True
    inside = real.startswith(root.rstrip("/") + "/")
    return inside and not any(segment.startswith(".") for segment in real[len(root) :].split("/"))


def _name_fault(name: str, prefix: str) -> str | None:
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            return "its name is not valid UTF-8"
    if fault := segment_fault(name):
        return f"its path {fault}"
    if (len(prefix) + len(name)) * 4 > PATH_LIMIT_BYTES and len((prefix + name).encode()) > PATH_LIMIT_BYTES:
        return f"its path is longer than {PATH_LIMIT_BYTES} bytes"
    return None


def _failed(folder: str, error: OSError) -> ScanFailed:
    return ScanFailed(
        f"{printable(folder)} cannot be listed ({error.strerror}).",
        hint="Make it readable, or rename it with a leading dot so that it is left out; nothing was taken for deleted.",
    )
