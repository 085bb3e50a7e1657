"""Whether this process can serve: `/health` says that it lives, `/ready` that it can do its work now."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
import structlog

from weave_nn.shared.errors import Unavailable, WeaveError

logger = structlog.get_logger()

_FRESH_SECONDS = 0.5
# Who waits for a start asks again and again, and half a second is a quarter of a start.
_FAILED_FRESH_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class ReadinessCheck:
    """One condition of serving: `check` returns if it holds and raises if not; it runs in a thread, with a limit."""

    name: str
    check: Callable[[], None]
    timeout_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found; `detail` is for operators (the log, callers with a key), not for everybody."""

    name: str
    detail: str | None
    duration_ms: float

    @property
    def ok(self) -> bool:
        """Whether the condition holds."""
        return self.detail is None


class Readiness:
    """Runs the checks, one round at a time however many ask: `/ready` is public, and must not be a lever."""

    def __init__(self, checks: Sequence[ReadinessCheck]) -> None:
        self._checks = checks
        self._round = asyncio.Lock()
        self._results: list[CheckResult] = []
        self._known_until = 0.0
        self._told: dict[str, str | None] = {}
        self._hanging: set[str] = set()
        self._hanging_guard = threading.Lock()
        self.draining = False

    async def results(self) -> list[CheckResult]:
        """The outcome of every check, at most half a second old, and a tenth where one has failed."""
        async with self._round:
            if time.monotonic() >= self._known_until:
                self._results = list(await asyncio.gather(*map(self._run, self._checks)))
                fresh_seconds = _FRESH_SECONDS if all(each.ok for each in self._results) else _FAILED_FRESH_SECONDS
                self._known_until = time.monotonic() + fresh_seconds
            return self._results

    async def _run(self, check: ReadinessCheck) -> CheckResult:
        begun = time.monotonic()
        try:
            with anyio.fail_after(check.timeout_seconds):
                await anyio.to_thread.run_sync(self._once, check, abandon_on_cancel=True)
            detail = None
        except TimeoutError:
            detail = f"It did not answer within {check.timeout_seconds:g} seconds."
        except WeaveError as error:
            detail = str(error)
        # A check is foreign code that may fail in any way; each way means the same, and the log has all of it.
        except Exception as error:
            logger.exception("readiness_check_failed", check=check.name)
            detail = f"{type(error).__name__}: {error}"
        if detail is not None and detail != self._told.get(check.name):
            logger.warning("not_ready", check=check.name, detail=detail)
        self._told[check.name] = detail
        return CheckResult(check.name, detail, round((time.monotonic() - begun) * 1000, 1))

    def _once(self, check: ReadinessCheck) -> None:
        """Run a check unless its last run still hangs: each further one would only cost another thread."""
        with self._hanging_guard:
            if check.name in self._hanging:
                raise Unavailable("Its last run has not come back yet.")
            self._hanging.add(check.name)
        try:
            check.check()
        finally:
            with self._hanging_guard:
                self._hanging.discard(check.name)


def report(results: Sequence[CheckResult], *, draining: bool, detailed: bool) -> tuple[int, dict[str, Any]]:
    """The status and body of `/ready`; details only for callers who may know them."""
    status = "draining" if draining else "ready" if all(result.ok for result in results) else "not_ready"
    checks = []
    for result in results:
        entry: dict[str, Any] = {"name": result.name, "status": "ok" if result.ok else "failed"}
        if detailed:
            entry |= {"duration_ms": result.duration_ms}
            if result.detail is not None:
                entry |= {"detail": result.detail}
        checks.append(entry)
    return (200 if status == "ready" else 503), {"status": status, "checks": checks}
