"""The port: taking a lease, and knowing whether one still has it.

No lease over a network can promise that two processes never believe at the same moment that they hold it: a process
may be stopped between its look at `held` and what it does next. What writes to a place that can compare numbers hands
the lease's `token` along, and the place refuses a lower one than it has seen.
"""

from collections.abc import Callable
from typing import Protocol


class Lease(Protocol):
    """A lease that was taken. It renews itself until it is released or lost."""

    @property
    def name(self) -> str:
        """What it is for."""

    @property
    def token(self) -> int:
        """The fencing token: higher than that of everybody who held this lease before."""

    @property
    def held(self) -> bool:
        """Whether it is surely ours still; costs no question to anybody. Once false, it stays so."""

    def release(self) -> None:
        """Give it to whoever comes next; calls no `on_lost`. May be called again, and after it was lost."""


class Leases(Protocol):
    """Where leases are taken."""

    def hold(self, name: str, *, on_lost: Callable[[], None] | None = None) -> Lease | None:
        """Take the lease `name` if nobody has it; `None` when somebody does, or when nobody can tell.

        Returns at once; whoever waits for a lease asks again, every half second or so. `on_lost` is called once, in
        a thread of the lease, when it cannot be held any longer, while the others still respect it: stop what it is
        for within a second or two, then ask for it again.
        """

    def close(self) -> None:
        """Release all that are held."""
