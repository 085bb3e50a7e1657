"""Reading a vault: finding files whatever the Unicode form of their names on disk, and never outside of the root.

Links are resolved and must end inside the vault. The check and the use are two steps: somebody who may change folders
of the vault on this machine could swap a link between them, but who may do that can read the files anyway.
"""

import errno
import hashlib
import os
import stat
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from weave_nn.shared.errors import Forbidden, TooLarge, Unavailable
from weave_nn.vault.errors import NotAFile, NotAFolder, NoteNotFound, PathRefused, ScanFailed, VaultUnusable, printable
from weave_nn.vault.paths import join, normalize, normalize_folder
from weave_nn.vault.scan import FileStat, Skipped, Snapshot, file_stat, scan

__all__ = ["FileContent", "FileStat", "FolderListing", "OpenFile", "Place", "Skipped", "Snapshot", "Vault", "etag_of"]

_CHUNK_BYTES = 256 * 1024
_READ_ATTEMPTS = 5
_KNOWN_ETAGS = 1024
# A file may change twice within one tick of its clock; an ETag is remembered only for files older than this.
_SETTLED_NS = 2_000_000_000
# The ASCII characters that are the canonical form of another character: a name with them may have another spelling.
_SINGLETONS = frozenset("K;`")


@dataclass(frozen=True, slots=True)
class FileContent:
    """A whole file, its ETag (SHA-256 of the content, hex) and what the file system said of that version."""

    content: bytes
    etag: str
    stat: FileStat


@dataclass(frozen=True, slots=True)
class FolderListing:
    """What lies directly in a folder: the vault paths of its visible subfolders, and its visible files, both sorted."""

    path: str
    folders: tuple[str, ...]
    files: tuple[FileStat, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a vault path is on this disk, or would be: existing folders in their own spelling and free of links.

    `named` is the entry itself, `real` what it leads to (the same unless it is a link). Both are made-up names
    where `exists` is false.
    """

    path: str
    named: Path
    real: Path
    exists: bool


@dataclass(frozen=True, slots=True)
class OpenFile:
    """One version of a file, open for reading, with its ETag."""

    file: BinaryIO
    etag: str
    stat: FileStat

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to `stop` (the end). Raises `Unavailable` if the file is changed underneath."""
        self.file.seek(start)
        left = (self.stat.size if stop is None else min(stop, self.stat.size)) - start
        while left > 0:
            chunk = self.file.read(min(left, _CHUNK_BYTES))
            if not chunk or not _unchanged(self.stat, os.fstat(self.file.fileno())):
                raise Unavailable(f"{printable(self.stat.path)} was changed while it was read.", hint="Read it again.")
            left -= len(chunk)
            yield chunk


class Vault:
    """An open vault. Safe to use from several threads; changes go through `weave_nn.vault.changes`.

    Raises `VaultUnusable` when the folder is missing, not a folder, unreadable, or (unless `read_only`) unwritable.
    """

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        self.root = _usable(root, read_only=read_only)
        # Paths are put together as text where every note is looked at: `Path` objects cost several times as much.
        self._root = str(self.root)
        self.read_only = read_only
        self.writing = threading.RLock()
        status = self.root.stat()
        self._identity = (status.st_dev, status.st_ino)
        self._etags: OrderedDict[FileStat, str] = OrderedDict()
        self._etags_lock = threading.Lock()

    def check_writable(self) -> None:
        """Raise `Forbidden` if the vault was opened read-only."""
        if self.read_only:
            raise Forbidden("The vault is served read-only.", hint="Start without WEAVE_READ_ONLY to change notes.")

    def check_present(self) -> None:
        """Raise `VaultUnusable` unless the root is still the folder that was opened, not an unmounted mount point."""
        try:
            status = self.root.stat()
        except OSError as error:
            raise VaultUnusable(
                f"The vault {printable(str(self.root))} has gone ({error.strerror}).",
                hint="Bring the folder back, or mount it again.",
            ) from error
        if (status.st_dev, status.st_ino) != self._identity:
            raise VaultUnusable(
                f"Another folder has taken the place of the vault {printable(str(self.root))}.",
                hint="If a disk was unmounted, mount it again; if the new folder is the vault, start again.",
            )

    def locate(self, path: str, *, hidden: bool = False) -> Path:
        """Where an existing file or folder is on the disk, links resolved; else `NoteNotFound` or `PathRefused`."""
        place = self.place(path, hidden=hidden)
        if not place.exists:
            raise NoteNotFound(place.path)
        return place.real

    def place(self, path: str, *, hidden: bool = False) -> Place:
        """Where `path` is, or where it would be made. Raises `NoteNotFound` where a link leads out of the vault."""
        path = normalize(path, hidden=hidden)
        named, real, missing = self._find(path, hidden=hidden)
        if missing:
            made_up = Path(real, *missing)
            return Place(path, made_up, made_up, exists=False)
        return Place(path, Path(named), Path(real), exists=True)

    def stat(self, path: str, *, hidden: bool = False) -> FileStat:
        """What the file system knows about a file."""
        path = normalize(path, hidden=hidden)
        return _regular(path, os.stat(self._existing(path, hidden=hidden)))  # noqa: PTH116 - see `_root`

    def read(self, path: str, *, hidden: bool = False, limit_bytes: int | None = None) -> FileContent:
        """Read a whole file; `TooLarge` beyond `limit_bytes`. The content is one version, never halves of two."""
        path = normalize(path, hidden=hidden)
        for _ in range(_READ_ATTEMPTS):
            with self._descriptor(path, hidden=hidden) as (file, before):
                if limit_bytes is not None and before.size > limit_bytes:
                    raise TooLarge(f"{printable(path)} has {before.size} bytes, more than {limit_bytes}.")
                content = file.read()
                if len(content) == before.size and _unchanged(before, os.fstat(file.fileno())):
                    return FileContent(content, etag_of(content), before)
        raise _busy(path)

    @contextmanager
    def open(self, path: str, *, hidden: bool = False) -> Iterator[OpenFile]:
        """Open a file of any size: its ETag first, then its bytes, without ever holding it in memory."""
        path = normalize(path, hidden=hidden)
        for _ in range(_READ_ATTEMPTS):
            with self._descriptor(path, hidden=hidden) as (file, before):
                etag = self._etag(file, before)
                if _unchanged(before, os.fstat(file.fileno())):
                    yield OpenFile(file, etag, before)
                    return
        raise _busy(path)

    def folder(self, path: str = "", *, hidden: bool = False) -> FolderListing:
        """List one folder (the empty string is the root). Hidden names are left out unless `hidden`."""
        path = normalize_folder(path, hidden=hidden)
        real = self.locate(path, hidden=hidden) if path else self.root
        folders: dict[str, None] = {}
        files: dict[str, FileStat] = {}
        try:
            # In sorted order the spelling in normal form comes before the others, and is the one that is served.
            names = sorted(
                (entry.name for entry in real.iterdir()),
                key=lambda name: (unicodedata.normalize("NFC", name) != name, name),
            )
        except NotADirectoryError as error:
            raise NotAFolder(path) from error
        except OSError as error:
            raise ScanFailed(f"The folder {printable(path)} cannot be listed ({error.strerror}).") from error
        for name in names:
            try:
                place = self.place(join(path, name), hidden=hidden)
                status = place.real.stat()
            except (PathRefused, NoteNotFound, FileNotFoundError):
                continue  # A name that is not served, or a file that has just gone.
            if stat.S_ISDIR(status.st_mode):
                folders[place.path] = None
            elif stat.S_ISREG(status.st_mode):
                files[place.path] = file_stat(place.path, status)
        return FolderListing(path, tuple(sorted(folders)), tuple(files[name] for name in sorted(files)))

    def scan(self) -> Snapshot:
        """List all visible files. Raises `ScanFailed` rather than give an incomplete list."""
        snapshot = scan(self.root)
        try:
            self.check_present()
        except VaultUnusable as error:
            raise ScanFailed(error.detail, hint=error.hint) from error
        return snapshot

    def _existing(self, path: str, *, hidden: bool) -> str:
        """As `locate`, for a path in canonical form."""
        _, real, missing = self._find(path, hidden=hidden)
        if missing:
            raise NoteNotFound(path)
        return real

    def _find(self, path: str, *, hidden: bool) -> tuple[str, str, Sequence[str]]:
        """The last entry of a canonical path that exists, what it leads to, and the segments behind it."""
        here = named = self._root
        segments = path.split("/")
        for index, segment in enumerate(segments):
            entry = _entry(here, segment)
            if entry is None:
                return named, here, segments[index:]
            named, is_link = entry
            here = self._follow(named, path, hidden=hidden) if is_link else named
        return named, here, ()

    def _follow(self, named: str, path: str, *, hidden: bool) -> str:
        try:
            real = os.path.realpath(named, strict=True)
            inside = Path(real).relative_to(self.root)
            if inside.parts:
                normalize(inside.as_posix(), hidden=hidden)
        except (OSError, ValueError, PathRefused) as error:
            raise NoteNotFound(path) from error
        return real

    @contextmanager
    def _descriptor(self, path: str, *, hidden: bool) -> Iterator[tuple[BinaryIO, FileStat]]:
        try:
            # Without O_NONBLOCK a named pipe would hold the thread for ever.
            descriptor = os.open(
                self._existing(path, hidden=hidden), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            )
        except FileNotFoundError as error:
            raise NoteNotFound(path) from error
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENXIO}:
                raise NotAFile(path, "a special file") from error
            raise Unavailable(
                f"{printable(path)} cannot be read ({error.strerror}).", hint="Check the permissions of the file."
            ) from error
        try:
            status = _regular(path, os.fstat(descriptor))
        except NotAFile:
            os.close(descriptor)
            raise
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            yield file, status

    def _etag(self, file: BinaryIO, known: FileStat) -> str:
        key = known._replace(path="")
        with self._etags_lock:
            if key in self._etags:
                self._etags.move_to_end(key)
                return self._etags[key]
        etag = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type] # BinaryIO lacks the protocol
        if time.time_ns() - known.changed_ns > _SETTLED_NS and _unchanged(known, os.fstat(file.fileno())):
            with self._etags_lock:
                self._etags[key] = etag
                while len(self._etags) > _KNOWN_ETAGS:
                    self._etags.popitem(last=False)
        return etag


def etag_of(content: bytes) -> str:
    """The ETag of a file with this content, unquoted: SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _usable(root: Path, *, read_only: bool) -> Path:
    shown = printable(str(root))
    try:
        real = root.expanduser().resolve(strict=True)
        if not real.is_dir():
            raise VaultUnusable(f"The vault {shown} is not a folder.", hint="Give the folder that holds the notes.")
        next(real.iterdir(), None)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise VaultUnusable(
            f"The vault {shown} does not exist.", hint="Give the folder that holds the notes."
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise VaultUnusable(f"The vault {shown} cannot be read ({error}).", hint="Check its permissions.") from error
    if not read_only and not os.access(real, os.W_OK | os.X_OK):
        raise VaultUnusable(f"The vault {shown} is not writable.", hint="Check its permissions, or serve it read-only.")
    return real


def _entry(folder: str, segment: str) -> tuple[str, bool] | None:
    """The entry of a folder with this name in any Unicode form, and whether it is a link."""
    exact = f"{folder}/{segment}" if folder != "/" else f"/{segment}"
    try:
        return exact, stat.S_ISLNK(os.lstat(exact).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        if segment.isascii() and _SINGLETONS.isdisjoint(segment):
            return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise Unavailable(f"{printable(segment)} cannot be reached ({error.strerror}).") from error
    try:
        names = os.listdir(folder)  # noqa: PTH208 - see `Vault._root`
    except (FileNotFoundError, NotADirectoryError):
        return None
    for name in sorted(names):
        if unicodedata.normalize("NFC", name) == segment:
            return _entry(folder, name) if name != segment else None
    return None


def _regular(path: str, status: os.stat_result) -> FileStat:
    if stat.S_ISDIR(status.st_mode):
        raise NotAFile(path)
    if not stat.S_ISREG(status.st_mode):
        raise NotAFile(path, "a special file")
    return file_stat(path, status)


def _unchanged(before: FileStat, status: os.stat_result) -> bool:
    # ctime is left out: a rename or a new link moves it, and changes no byte.
    return (before.size, before.mtime_ns) == (status.st_size, status.st_mtime_ns)


def _busy(path: str) -> Unavailable:
    return Unavailable(f"{printable(path)} is being written by another program.", hint="Read it again in a moment.")
