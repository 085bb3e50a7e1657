"""Taking turns at what several processes would do alike: the second one finds it done, and little left to do."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from weave_nn.shared.ephemeral.leases import Leases

RETRY_SECONDS = 0.5

Turn = Callable[[Callable[[], bool]], AbstractContextManager[bool]]
"""`with turn(stop) as mine` waits until it is this process's turn; `mine` is false if `stop()` became true before."""


def at_once(_stop: Callable[[], bool]) -> AbstractContextManager[bool]:
    """The turn of whoever is alone."""
    return nullcontext(enter_result=True)


def turn(leases: Leases, name: str) -> Turn:
    """Turns by the lease `name`, which is held only while something is done."""

    @contextmanager
    def wait(stop: Callable[[], bool]) -> Iterator[bool]:
        pause = threading.Event()
        while (lease := leases.hold(name)) is None:
            if stop():
                yield False
                return
            pause.wait(RETRY_SECONDS)
        try:
            yield True
        finally:
            lease.release()

    return wait
