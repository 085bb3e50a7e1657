"""Putting right what killed processes left in the vault: at start, and from then on while others work.

A process that is killed may never start again where several replicas serve, and its half-made change must not wait for
that. Changes that live processes are making are locked and left alone, and so are young temporary files.
"""

import threading
from pathlib import Path

import structlog

from weave_nn.services.files.service.line_edits import EditLedger
from weave_nn.shared.bus.loop import Loop
from weave_nn.vault.changes import recover, sweep
from weave_nn.vault.store import Vault

EVERY_SECONDS = 60.0
SWEEP_EVERY = 15

log = structlog.get_logger(__name__)


class Housekeeper:
    """Tidies one vault, whose journal of changes is in `journal`, in a thread of its own between start and stop."""

    def __init__(
        self, vault: Vault, journal: Path, ledger: EditLedger, *, every_seconds: float = EVERY_SECONDS
    ) -> None:
        self._vault, self._journal, self._ledger = vault, journal, ledger
        self._every_seconds = every_seconds
        self._rounds = 0
        self._woken = threading.Event()
        self._loop = Loop("housekeeping", self._step, wake=self._woken.set)

    def start(self) -> None:
        """Begin; the first look is after a while, for `tidy` was called at the start."""
        self._loop.start()

    def stop(self) -> bool:
        """End; false if that did not happen in time."""
        self._loop.stop()
        return self._loop.join(10.0)

    def tidy(self) -> None:
        """Undo or complete interrupted changes, and remove abandoned temporary files and old records of edits."""
        self._recover()
        for path in sweep(self._vault):
            log.warning("vault.kept", path=path, reason="a write was interrupted, and this may be the only copy")
        self._ledger.prune()

    def _recover(self) -> None:
        for message in recover(self._vault, self._journal).messages:
            log.warning("vault.recovered", message=message)

    def _step(self) -> None:
        if self._woken.wait(self._every_seconds):
            return
        self._rounds += 1
        if self._rounds % SWEEP_EVERY == 0:
            self.tidy()
        else:
            self._recover()
