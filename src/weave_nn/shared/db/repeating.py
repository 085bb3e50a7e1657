"""Repeating a transaction that the database ended in favour of another one (a deadlock, a serialisation failure).

Such a transaction left nothing behind in the database and will most likely succeed when it is run again. Only the edge
that opened it can do that, and only when nothing but the database was changed: files and other programs do not roll
back, and a stream that was read is empty.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from prometheus_client import Counter

from weave_nn.shared.db.errors import DatabaseConflict

ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.02

REPEATED = Counter("weave_database_repeated", "Transactions that were run again after the database ended them.")

_Result = TypeVar("_Result")


def repeated(transaction: Callable[[], _Result], *, attempts: int = ATTEMPTS) -> _Result:
    """Run `transaction`, which must open and close one itself, until it is not ended in favour of another one.

    After `attempts` the last `DatabaseConflict` is raised. Any other error is raised at once: of a connection that
    broke while committing nobody knows whether the commit happened.
    """
    for attempt in range(1, attempts):
        try:
            return transaction()
        except DatabaseConflict:
            REPEATED.inc()
            # Up to twice as long each time, and by chance, or the two that met would meet again.
            time.sleep(random.uniform(0, FIRST_PAUSE_SECONDS * 2**attempt))  # noqa: S311 - jitter, not a secret
    return transaction()
