"""One process at a time works on a move: a lock on a file beside the SQLite file, which the system releases."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weave_nn.migration.errors import MoveBusy

_LOOK_SECONDS = 0.02


@contextmanager
def holding(sqlite_path: Path, *, wait_seconds: float) -> Iterator[None]:
    """Hold the move; raises `MoveBusy` when another process does not let go of it in time."""
    descriptor = os.open(
        sqlite_path.with_name(sqlite_path.name + ".move.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    raise MoveBusy(
                        "Another process works on the move of this database.", hint="Wait for it, or end it first."
                    ) from error
                time.sleep(_LOOK_SECONDS)
        yield
    finally:
        os.close(descriptor)
