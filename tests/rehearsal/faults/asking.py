"""One HTTP request of a client with its end, whatever it is; each on a connection of its own: replicas take turns."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

from rehearsal.faults.ledger import Outcome
from rehearsal.faults.system import KEY, System

TIMEOUT_SECONDS = 8.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` 0 is no answer: what was asked for may have been done."""

    status: int
    body: bytes = b""
    etag: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def outcome(self) -> Outcome:
        if 200 <= self.status < 300:
            return "acknowledged"
        return "refused" if 400 <= self.status < 500 else "unknown"


class Asker:
    """Asks the services, and counts how that ended, by phase of the rehearsal."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._lock = threading.Lock()
        self.phase = "calm"
        self.statuses: dict[str, Counter[str]] = {}
        self.odd: list[str] = []
        self.examples: dict[str, str] = {}

    def ask(
        self, service: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        phase = self.phase
        answer = self._ask(service, method, path, body, headers or {})
        with self._lock:
            self.statuses.setdefault(phase, Counter())[str(answer.status)] += 1
            if answer.status >= 500:
                said = answer.body.decode(errors="replace")
                self.examples.setdefault(f"{phase}, {answer.status}", f"{method} {path}: {said[:600]}")
            if answer.status == 500:
                self.odd.append(f"{phase}: {method} {path}: {answer.body.decode(errors='replace')[:300]}")
        return answer

    def _ask(self, service: str, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        kind = "application/json" if body is not None and body[:1] in (b"{", b"[") else "text/markdown"
        request = urllib.request.Request(
            self._system.address(service) + quote(path, safe="/?=&%."),
            data=body,
            method=method,
            headers={"Authorization": f"Bearer {KEY}", "Content-Type": kind, **headers},
        )
        try:
            with _DIRECT.open(request, timeout=TIMEOUT_SECONDS) as got:
                return Answer(got.status, got.read(), got.headers.get("ETag", ""))
        except urllib.error.HTTPError as error:
            with error:
                try:
                    return Answer(error.code, error.read())
                except (OSError, HTTPException):
                    return Answer(error.code)
        except (OSError, HTTPException):
            return Answer(0)

    def ask_until(self, seconds: float, *asked: Any) -> Answer:
        """Ask again until there is an answer that means something; the last one if there is none in time."""
        deadline = time.monotonic() + seconds
        pause = threading.Event()
        while (answer := self.ask(*asked)).outcome == "unknown" and time.monotonic() < deadline:
            pause.wait(0.3)
        return answer
