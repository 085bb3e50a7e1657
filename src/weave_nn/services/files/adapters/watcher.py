"""The watcher: hears from the file system that something changed, and has the observer look.

A notice is a hint and never believed: an atomic save arrives as "added", a folder's rename as one removal and one
addition without its files, and under load notices are lost. Files that are hinted at are looked at one by one; for
everything else (removals, folders, many at once) the whole vault is compared by its marks, which takes some 50 ms for
10,000 files. The same comparison at start finds what happened while nobody watched, and at intervals what was missed.
Where the file system gives no notices (network mounts) it is all there is.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog
from watchfiles import Change, watch

from weave_nn.services.files.contract import Observed, ObserverContract, Survey
from weave_nn.shared.errors import WeaveError
from weave_nn.vault.errors import PathRefused
from weave_nn.vault.paths import is_hidden, normalize

log = structlog.get_logger(__name__)

Progress = Callable[[int, int], None]
Notices = set[tuple[Change, str]]

_MANY = 50
_BATCH_FILES = 200
_TICK_MS = 200
_LONGEST_QUIET = 3


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How to watch: by notices (`auto`), by comparing at intervals (`poll`), or at start only (`off`).

    A notice is acted upon when no further one came for `quiet_seconds`, but not much later than three times that.
    A file that vanished is looked for again after `settle_seconds` before it is called deleted, for programs that save
    by removing and making anew.
    """

    mode: Literal["auto", "poll", "off"] = "auto"
    quiet_seconds: float = 0.05
    settle_seconds: float = 0.12
    poll_seconds: float = 2.0
    rescan_seconds: float = 300.0
    retry_seconds: float = 1.0


def observe_all(observer: ObserverContract, *, progress: Progress | None = None) -> tuple[Survey, Observed]:
    """Compare the whole vault with what is known of it, and have every difference announced.

    A vault that is seen for the first time is announced as a whole instead. `progress` is called with how many of how
    many differing files are done. Can be interrupted at any point and begun again: what is done stays done.
    """
    survey = observer.survey()
    total = Observed()
    # What is present comes first, so that a moved file is recognised while its old place is still known.
    pending = [*survey.present, *survey.gone]
    for start in range(0, len(pending), _BATCH_FILES):
        batch = observer.observe(pending[start : start + _BATCH_FILES], announce=not survey.first)
        total = _sum(total, batch)
        if progress is not None:
            progress(min(start + _BATCH_FILES, len(pending)), len(pending))
    if survey.first:
        observer.finish_survey()
    return survey, total


class Watcher:
    """Watches one vault in a thread of its own until it is stopped."""

    def __init__(self, observer: ObserverContract, root: Path, settings: WatchSettings) -> None:
        self._observer = observer
        self._root = root
        self._settings = settings
        self._stop = threading.Event()
        self._surveyed = threading.Event()
        self._failure: str | None = None
        self._survey_at: float | None = 0.0
        self._again: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin to watch; the first survey runs in the watcher's thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; what is being looked at is finished first."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def wait_surveyed(self, timeout_seconds: float) -> bool:
        """Wait until the vault was compared whole once; False if that has not happened in time."""
        return self._surveyed.wait(timeout_seconds)

    def problem(self) -> str | None:
        """Why changes are not noticed at present; None while they are."""
        if self._failure is not None:
            return self._failure
        if not self._surveyed.is_set():
            return "the vault is being looked through for the first time since the start"
        if self._settings.mode != "off" and not self._thread.is_alive():
            return "the watcher has stopped"
        return None

    def _run(self) -> None:
        polling = self._settings.mode == "poll"
        while not self._stop.is_set():
            try:
                if self._settings.mode == "auto" and not polling:
                    self._follow_notices()
                else:
                    self._work(())
                    if self._settings.mode == "off" and self._surveyed.is_set():
                        return
                    self._stop.wait(self._settings.poll_seconds if self._surveyed.is_set() else _TICK_MS / 1000)
                    self._survey_at = time.monotonic()
            except (OSError, RuntimeError) as error:
                # Most often the limit of inotify watches; comparing at intervals needs none.
                log.warning("watcher.polling", reason=str(error), every_seconds=self._settings.poll_seconds)
                polling = True

    def _follow_notices(self) -> None:
        quiet_ms = max(1, round(self._settings.quiet_seconds * 1000))
        notices = watch(
            self._root,
            watch_filter=self._is_served,
            step=quiet_ms,
            debounce=quiet_ms * _LONGEST_QUIET,
            rust_timeout=_TICK_MS,
            yield_on_timeout=True,
            stop_event=self._stop,
            raise_interrupt=False,
        )
        # The first round comes when the notices are flowing, so the first survey leaves no gap before them.
        for changes in notices:
            self._work(changes)

    def _is_served(self, _change: Change, path: str) -> bool:
        return self._vault_path(path) is not None

    def _vault_path(self, path: str) -> str | None:
        try:
            relative = normalize(Path(path).relative_to(self._root).as_posix())
        except (ValueError, PathRefused):
            return None
        return None if is_hidden(relative) else relative

    def _work(self, changes: Notices | tuple[()]) -> None:
        """One round: look at what was hinted at, and at what is due."""
        now = time.monotonic()
        try:
            hinted = self._sort(changes, now)
            due = [path for path, at in self._again.items() if at <= now]
            self._observe(dict.fromkeys((*hinted, *due)))
            if self._survey_at is not None and self._survey_at <= now:
                self._survey_at = now + self._settings.rescan_seconds
                self._survey()
            self._failure = None
        except WeaveError as error:
            if self._failure != error.detail:
                log.warning("watcher.failed", reason=error.detail, hint=error.hint)
            self._failure = error.detail
            self._survey_at = now + self._settings.retry_seconds

    def _sort(self, changes: Iterable[tuple[Change, str]], now: float) -> list[str]:
        """The files to look at at once; everything else has a survey follow soon."""
        files: list[str] = []
        elsewhere = False
        for change, path in changes:
            if change is Change.deleted or Path(path).is_dir():
                elsewhere = True
            elif (relative := self._vault_path(path)) is not None:
                files.append(relative)
        if elsewhere or len(files) > _MANY:
            due = now + self._settings.settle_seconds
            self._survey_at = due if self._survey_at is None else min(self._survey_at, due)
        return files if len(files) <= _MANY else []

    def _observe(self, paths: Iterable[str]) -> None:
        listed = list(paths)
        if not listed:
            return
        observed = self._observer.observe(listed)
        for path in listed:
            self._again.pop(path, None)
        self._look_again(observed)

    def _survey(self) -> None:
        started = time.monotonic()
        survey, observed = observe_all(self._observer)
        if not self._surveyed.is_set() or survey.first:
            log.info(
                "vault.surveyed",
                files=survey.files,
                seconds=round(time.monotonic() - started, 2),
                created=observed.created,
                updated=observed.updated,
                renamed=observed.renamed,
                deleted=observed.deleted,
            )
            for name, reason in survey.skipped[:20]:
                log.warning("vault.skipped", name=name, reason=reason)
        self._look_again(observed)
        self._surveyed.set()

    def _look_again(self, observed: Observed) -> None:
        at = time.monotonic() + self._settings.retry_seconds
        self._again.update(dict.fromkeys(observed.unsettled, at))


def _sum(one: Observed, other: Observed) -> Observed:
    return Observed(
        one.created + other.created,
        one.updated + other.updated,
        one.renamed + other.renamed,
        one.deleted + other.deleted,
        one.unsettled + other.unsettled,
    )
