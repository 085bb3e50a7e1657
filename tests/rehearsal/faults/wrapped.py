"""`weave` with handlers of events that can be made to fail: `python -m rehearsal.faults.wrapped serve tasks ...`.

While the file that REHEARSAL_FAILING names exists, one call of a handler in ten raises, half of them after all that the
handler did.
"""

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from weave_nn.entrypoints.cli import main
from weave_nn.shared.bus import Event, Subscription, Worker
from weave_nn.shared.db import UnitOfWork

ONE_OF = 10

Handler = Callable[[UnitOfWork, Event], None]


class RehearsedError(Exception):
    """What a handler fails with."""


def failing(handle: Handler, file: Path) -> Handler:
    def handled(work: UnitOfWork, event: Event) -> None:
        fails = random.randrange(ONE_OF) == 0 and file.exists()  # noqa: S311 - no secret
        after = random.random() < 0.5  # noqa: S311 - no secret
        if fails and not after:
            raise RehearsedError("before")
        handle(work, event)
        if fails:
            raise RehearsedError("after")

    return handled


def install(file: Path) -> None:
    """Have every worker of this process get handlers that can be made to fail."""
    make = Worker.__init__

    def made(self: Worker, database: Any, bus: Any, subscriptions: Sequence[Subscription], **options: Any) -> None:
        make(
            self, database, bus, [replace(each, handle=failing(each.handle, file)) for each in subscriptions], **options
        )

    Worker.__init__ = made  # type: ignore[method-assign]  # this process is there to be broken


if __name__ == "__main__":
    install(Path(os.environ["REHEARSAL_FAILING"]))
    main()
