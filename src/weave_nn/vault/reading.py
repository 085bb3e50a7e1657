"""Reading very many notes at once, in a process beside this one.

Reading and parsing a vault for the first time is processor time, and threads of one Python process share one processor.
`read_many` therefore hands the paths to a process of its own, which ends with the last of them; what comes back is what
a function made of each note there. A pipe is all that is between the two: it bounds how far the reader is ahead, and
whichever of the two dies, the other one notices at its next byte. Few notes are read here, where nothing must be
started; and so are all those that the other process did not bring back, for whatever reason.
"""

import contextlib
import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

from weave_nn.shared.errors import WeaveError
from weave_nn.vault.store import Vault

MANY = 1000
"""From this many notes on, a process of its own is worth its start."""

_BATCH = 16
_MODULE = "weave_nn.vault.reading"
_Made = TypeVar("_Made")


def read_many(vault: Vault, paths: Sequence[str], make: Callable[[Vault, str], _Made]) -> Generator[_Made]:
    """What `make` makes of each path, in order; what it raises is raised where its path is due.

    `make` must be a function of a module, or a `functools.partial` of one, and like what it makes be fit for pickling.
    Close the iterator to stop early.
    """
    done = 0
    if len(paths) >= MANY:
        with contextlib.closing(_elsewhere(vault, paths, make)) as brought:
            for made in brought:
                yield made[0] if made else make(vault, paths[done])
                done += 1
    for path in paths[done:]:
        yield make(vault, path)


def _elsewhere(vault: Vault, paths: Sequence[str], make: Callable[[Vault, str], _Made]) -> Generator[tuple[_Made, ...]]:
    """As much as the other process brings back; an empty tuple stands for a path at which something was raised."""
    try:
        # Nothing is imported from the folder that we happen to be in, and Ctrl-C is for us alone.
        command = [sys.executable, "-P", "-m", _MODULE]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)  # noqa: S603 - our own module
    except OSError:
        return
    with process, contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):
        if process.stdin is None or process.stdout is None:
            raise AssertionError("both pipes were asked for")
        try:
            with process.stdin as asked:
                pickle.dump((vault.root, vault.read_only, make, list(paths)), asked)
            while True:
                yield from pickle.load(process.stdout)  # noqa: S301 - from our own process
        finally:
            process.kill()


def _main(asked: BinaryIO, answers: BinaryIO) -> None:
    root, read_only, make, paths = pickle.load(asked)  # noqa: S301 - from the process that started this one
    vault = Vault(Path(root), read_only=read_only)
    # Hardly anything that is made here has cycles, and all of it ends with this process.
    gc.disable()
    for start in range(0, len(paths), _BATCH):
        pickle.dump([_made(vault, path, make) for path in paths[start : start + _BATCH]], answers, protocol=5)
        answers.flush()


def _made(vault: Vault, path: str, make: Callable[[Vault, str], _Made]) -> tuple[_Made, ...]:
    try:
        return (make(vault, path),)
    except WeaveError:
        # It is tried again by who asked, who sees the error as it is then.
        return ()


if __name__ == "__main__":
    with open(os.dup(1), "wb") as _answers:  # noqa: PTH123 - a descriptor has no path
        # What a library may print must not come between the answers.
        os.dup2(2, 1)
        with contextlib.suppress(BrokenPipeError):
            _main(sys.stdin.buffer, _answers)
