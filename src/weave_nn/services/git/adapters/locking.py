"""One writer at a time, and the user's index changed as git itself would change it.

The writer's lock is held by the operating system (`flock`): it ends with its process, however that ends. git's own
`index.lock` does not: after a crash it stays and blocks everybody. Ours is therefore a second name of a file that we
keep beside it, so that whoever holds the writer's lock can prove that it is left over from a dead one of us. A lock
that is not provably ours is never removed.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from weave_nn.services.git.adapters.place import Repository
from weave_nn.shared.errors import Unavailable

LOCK = "weave-nn.lock"
DRAFT = "weave-nn.draft"
CHECKOUT = "weave-nn.checkout"
_OWN_INDEX_LOCK = "weave-nn.index"
_RECORD = "weave-nn.record"
_POLL_SECONDS = 0.02


class RepositoryBusy(Unavailable):
    """Another process is writing to the repository; nothing was changed."""

    code = "repository_busy"
    title = "Repository busy"


@contextmanager
def writing(repository: Repository, *, wait_seconds: float = 10.0) -> Iterator[None]:
    """Be the only one of our processes and threads that writes to this repository. Raises `RepositoryBusy`."""
    descriptor = os.open(repository.git_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _wait(lambda: _locked(descriptor), wait_seconds, "Another weave process is writing to the repository.")
        _mend(repository)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _wait(attempt: Callable[[], bool], wait_seconds: float, reason: str, hint: str = "Try again in a moment.") -> None:
    deadline = time.monotonic() + wait_seconds
    while not attempt():
        if time.monotonic() > deadline:
            raise RepositoryBusy(reason, hint=hint)
        time.sleep(_POLL_SECONDS)


@dataclass(slots=True)
class IndexLock:
    """git's own lock of the index, held by us: what is written to `file` becomes the index with `publish`."""

    file: Path
    index: Path
    held: bool = True

    def publish(self) -> None:
        """Make `file` the index, which ends the lock."""
        self.file.replace(self.index)
        self.held = False


@contextmanager
def index_lock(repository: Repository, *, wait_seconds: float = 5.0) -> Iterator[IndexLock]:
    """Hold git's own lock of the index, inside `writing` only. Raises `RepositoryBusy` when another git has it."""
    file, own = _index_lock_file(repository), repository.git_dir / _OWN_INDEX_LOCK
    own.unlink(missing_ok=True)
    own.touch(mode=0o644)
    if repository.index.exists():
        shutil.copymode(repository.index, own)
    try:
        _wait(lambda: _take(file, own), wait_seconds, *_held(file))
        lock = IndexLock(file, repository.index)
        try:
            yield lock
        finally:
            if lock.held:
                file.unlink(missing_ok=True)
    finally:
        own.unlink(missing_ok=True)


def _take(lock: Path, own: Path) -> bool:
    try:
        os.link(own, lock)
    except FileExistsError:
        return False
    except OSError:
        # A file system without links: the lock is as good, only that it can never be proved to be left over.
        with suppress(FileExistsError):
            os.close(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
            return True
        return False
    return True


def index_lock_age_seconds(repository: Repository) -> float | None:
    """How long somebody else has held the lock of the index; None when nobody has."""
    with suppress(OSError):
        return max(0.0, time.time() - _index_lock_file(repository).stat().st_mtime)
    return None


def copy_index(source: Path, target: Path) -> None:
    """Copy an index with its time: git trusts no entry that is as young as the index which it stands in."""
    status = source.stat()
    shutil.copyfile(source, target)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


@dataclass(frozen=True, slots=True)
class Step:
    """HEAD is about to go from one commit (None: from no commit at all) to another, and the index to follow."""

    before: str | None
    after: str


def record(repository: Repository, step: Step | None) -> None:
    """Write down what is about to happen, durably; None when it has happened."""
    file = repository.git_dir / _RECORD
    if step is None:
        file.unlink(missing_ok=True)
        return
    draft = file.with_suffix(".new")
    with draft.open("w", encoding="ascii") as stream:
        json.dump([step.before, step.after], stream)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)


def unfinished(repository: Repository) -> Step | None:
    """What a writer wrote down and did not finish."""
    try:
        before, after = json.loads((repository.git_dir / _RECORD).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return Step(before, after)


def _mend(repository: Repository) -> None:
    lock, own = _index_lock_file(repository), repository.git_dir / _OWN_INDEX_LOCK
    if _same(lock, own):
        # We hold the writer's lock, so whoever of us made this one is dead.
        lock.unlink()
    own.unlink(missing_ok=True)
    for leftover in (DRAFT, f"{DRAFT}.lock"):
        (repository.git_dir / leftover).unlink(missing_ok=True)
    shutil.rmtree(repository.git_dir / CHECKOUT, ignore_errors=True)


def _held(lock: Path) -> tuple[str, str]:
    return (
        f"Another git process is changing the index ({lock}).",
        "weave tries again by itself. If no git process runs, the lock is left over from a crash: delete that file.",
    )


def _index_lock_file(repository: Repository) -> Path:
    return repository.index.with_name(f"{repository.index.name}.lock")


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
