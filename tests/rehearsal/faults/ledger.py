"""The ledger: what clients were told, in a file outside of what is tested; a line is on the disk before it counts."""

import json
import os
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Outcome = Literal["acknowledged", "unknown", "refused"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One write: by whom, of what (a path or a task), which `mark` it leaves there, and how it ended.

    A mark is text that nothing else leaves anywhere, so that it can be counted. `kind` says what was done.
    """

    who: str
    kind: str
    what: str
    mark: str
    outcome: Outcome
    at: float = 0.0


class Ledger:
    """Appends entries from any thread."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._open = file.open("a", encoding="utf-8")

    def note(self, who: str, kind: str, what: str, mark: str, outcome: Outcome) -> None:
        line = json.dumps(asdict(Entry(who, kind, what, mark, outcome, round(time.time(), 3))))
        with self._lock:
            self._open.write(line + "\n")
            self._open.flush()
            os.fdatasync(self._open.fileno())

    def close(self) -> None:
        self._open.close()


def entries(file: Path) -> list[Entry]:
    """All that was noted, in order."""
    return [Entry(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def outcomes(noted: list[Entry]) -> Counter[str]:
    return Counter(each.outcome for each in noted)
