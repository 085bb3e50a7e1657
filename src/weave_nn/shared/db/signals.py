"""Signals: "there is work in the tables", to whoever waits for it, in this process and in the others on the database.

    signal(session, "outbox")                      # in the transaction that makes the work
    database.signals.listen("outbox", wake_up)     # whoever does it; keeps looking from time to time all the same

A signal is given after the commit and never without one. This process hears it at once; others within a few
milliseconds where the database can tell them (see `notify`), else when they next look.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Collection
from typing import Protocol

from sqlalchemy.orm import Session

Heard = Callable[[str | None], None]
"""What is told a channel, or None when any signal may have been missed."""

_SIGNALLED = "weave_signals"


class Telling(Protocol):
    """What tells the other processes; see `weave_nn.shared.db.notify.Notifier`."""

    def send(self, channels: Collection[str]) -> None: ...  # noqa: D102 - said there
    def close(self) -> None: ...  # noqa: D102 - said there


def signal(session: Session, channel: str) -> None:
    """Tell those who listen to `channel` when, and only if, this transaction is committed."""
    session.info.setdefault(_SIGNALLED, set()).add(channel)


def signalled(session: Session) -> Collection[str]:
    """The channels that this session's transaction signals."""
    found: Collection[str] = session.info.get(_SIGNALLED, ())
    return found


class Signals:
    """The listeners of one process, and its way to the other processes on the database that is at `where()` now."""

    def __init__(self, where: Callable[[], object], telling: Callable[[Heard], Telling | None]) -> None:
        self._where = where
        self._telling = telling
        self._told: Telling | None = None
        self._told_at: object = None
        self._guard = threading.Lock()
        self._listeners: dict[str, list[Callable[[], None]]] = defaultdict(list)

    def listen(self, channel: str, listener: Callable[[], None]) -> None:
        """Call `listener` at each signal, also at some that say nothing new; it must return at once and never fail."""
        self._listeners[channel].append(listener)

    def begin(self) -> None:
        """Begin to hear other processes, unless nobody listens here; costs nothing when that has begun."""
        if self._listeners and self._where() is not self._told_at:
            self._open()

    def give(self, channels: Collection[str]) -> None:
        """Tell this process's listeners now and the other processes soon; never fails."""
        if not channels:
            return
        for channel in channels:
            self._heard(channel)
        if self._where() is not self._told_at:
            self._open()
        if (told := self._told) is not None:
            told.send(channels)

    def close(self) -> None:
        """Hear nothing any more; `begin` and `give` start anew."""
        with self._guard:
            told, self._told, self._told_at = self._told, None, None
        if told is not None:
            told.close()

    def _open(self) -> None:
        with self._guard:
            where = self._where()
            if where is self._told_at:
                return
            left, self._told = self._told, self._telling(self._heard)
            self._told_at = where
        if left is not None:
            left.close()

    def _heard(self, channel: str | None) -> None:
        for each in list(self._listeners) if channel is None else [channel]:
            for listener in self._listeners.get(each, ()):
                listener()
