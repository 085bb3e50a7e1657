"""Auto-commit: one commit for one burst of changes.

Events only leave a row for each path that changed. A thread waits until it has been quiet for a while, then commits
those paths as they are on the disk. After a crash the rows are still there: what was committed already differs from
nothing any more, or is known by the commit's trailers, so that no event is committed twice.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import structlog

from weave_nn.services.git.adapters.commits import Author, Made, commit_paths, writing
from weave_nn.services.git.adapters.place import OperationInProgress, Repository
from weave_nn.services.git.adapters.process import Git, NoRepository
from weave_nn.services.git.adapters.staging import Change, split_nul
from weave_nn.services.git.contract import Finding
from weave_nn.services.git.events import CommitCreated
from weave_nn.services.git.repository import GitRepository, Pending
from weave_nn.services.git.service.messages import TRAILER, compose
from weave_nn.services.git.service.starting import make_repository
from weave_nn.services.git.service.validating import NoteChecker
from weave_nn.shared.bus import Outbox
from weave_nn.shared.bus.loop import Loop
from weave_nn.shared.db import Database, UnitOfWork, signal
from weave_nn.shared.errors import Conflict, WeaveError
from weave_nn.vault.store import Vault

log = structlog.get_logger(__name__)

MAX_PATHS = 100
_EVERYTHING = ""
_START = "start"
_NOTED = "git_noted"
_POLL_SECONDS = 5.0
_RECENT_COMMITS = 20
_FIRST_REST_SECONDS = 2.0
_LONGEST_REST_SECONDS = 300.0


class NotesRefused(Conflict):
    """Notes that are to be committed have faults, and the settings say that this stops the commit."""

    code = "notes_refused"
    title = "Notes need mending"


@dataclass(frozen=True, slots=True)
class CommitRules:
    """When and how to commit by itself.

    A burst is committed once it has been quiet for `quiet_seconds`, at the latest `longest_seconds` after its first
    change. `validation` looks at the notes and reports, or blocks the commit, or is off.
    """

    quiet_seconds: float = 5.0
    longest_seconds: float = 60.0
    author: Author = field(default_factory=Author)
    validation: Literal["report", "block", "off"] = "report"
    auto_init: bool = False


class Committer:
    """Commits what changes in one vault. Several processes may run one each: they take turns."""

    def __init__(
        self,
        vault: Vault,
        database: Database,
        vault_id: str,
        *,
        git: Git,
        outbox: Callable[[UnitOfWork], Outbox],
        rules: CommitRules,
    ) -> None:
        self._checker = NoteChecker(vault)
        self._database = database
        self._vault_id = vault_id
        self._git = git
        self._outbox = outbox
        self._rules = rules
        self._loop = Loop("git-commit", self._step, wake=self._wake_up)
        self._wake = threading.Event()
        self._rest_until = 0.0
        self._rest_seconds = _FIRST_REST_SECONDS
        self._seen_until: datetime | None = None
        database.signals.listen(_NOTED, self._wake.set)

    def note(self, work: UnitOfWork, paths: Sequence[str], event_id: str) -> None:
        """Remember, in the transaction of a handler, that these vault paths changed ("": anything may have)."""
        self._rows(work).note(paths, event_id, datetime.now(UTC))
        signal(work.session, _NOTED)

    def start(self) -> None:
        """Begin to commit; first of all what changed while nobody looked."""
        with self._database.write() as work:
            self.note(work, [_EVERYTHING], _START)
        self._loop.start()

    def stop(self) -> bool:
        """End, after committing what still waits; false if that did not end in time."""
        self._loop.stop()
        ended = self._loop.join(self._git.timeout_seconds)
        if ended:
            self._attempt()
        return ended

    def commit_pending(self) -> Made | None:
        """Commit what waits, without waiting for quiet; None if nothing does. Raises as `commit_paths` does."""
        repository = self._repository()
        if repository is None:
            return None
        with writing(repository):
            with self._database.read() as work:
                pending = self._rows(work).pending()
            pending = self._without_committed(repository, pending)
            return self._commit(repository, pending) if pending else None

    def commit_everything(self) -> None:
        """Commit whatever differs in the vault, noticed or not."""
        with self._database.write() as work:
            self.note(work, [_EVERYTHING], _START)
        self.commit_pending()

    def _repository(self) -> Repository | None:
        try:
            return Repository.find(self._git)
        except NoRepository:
            if self._rules.auto_init:
                make_repository(self._git, self._rules.author)
                return Repository.find(self._git)
        # Should one be made later, everything is committed; until then there is nothing to remember in detail.
        with self._database.write() as work:
            rows = self._rows(work)
            pending = rows.pending()
            rows.settle([each for each in pending if each.path != _EVERYTHING])
            if len(pending) > 1:
                rows.note([_EVERYTHING], _START, datetime.now(UTC))
        return None

    def _commit(self, repository: Repository, pending: Sequence[Pending]) -> Made:
        names = [each.path for each in pending]
        paths = None if _EVERYTHING in names else [repository.git_path(name) for name in names]
        events = {each.path: each.event_id for each in pending if each.event_id != _START}
        if self._rules.validation == "block" and (faults := self._checker.check(names)):
            shown = "; ".join(f"{each.path}:{each.line} {each.message}" for each in faults[:3])
            raise NotesRefused(f"Not committed: {shown}.", hint="Mend the notes, or set WEAVE_GIT_VALIDATION=report.")

        def message(changes: Sequence[Change]) -> str:
            touched = [
                repository.vault_path(path) for each in changes for path in (each.path, each.previous_path) if path
            ]
            event_ids = sorted({events[path] for path in touched if path in events})
            return compose(changes, repository.prefix, event_ids)

        made = commit_paths(repository, paths, message, self._rules.author)
        findings = self._findings(repository, made)
        held = [path for each in made.held if (path := repository.vault_path(each)) is not None]
        with self._database.write() as work:
            rows = self._rows(work)
            rows.settle([each for each in pending if each.path not in held])
            if paths is None and held:
                rows.note(held, _START, datetime.now(UTC))
            if made.commit is not None:
                rows.remember(findings=findings)
                self._outbox(work).announce(announcement(repository, made))
        if made.commit:
            log.info("git.committed", commit=made.commit, files=len(made.changes), findings=len(findings))
        for path in made.foreign:
            log.info("git.left_out", path=path, reason="of another repository, behind a link, or not readable")
        return made

    def _findings(self, repository: Repository, made: Made) -> tuple[Finding, ...]:
        if self._rules.validation == "off" or made.commit is None:
            return ()
        present = [
            path for each in made.changes if each.kind != "delete" and (path := repository.vault_path(each.path))
        ]
        gone = [each.path if each.kind == "delete" else each.previous_path for each in made.changes]
        self._checker.changed(present, [path for each in gone if each and (path := repository.vault_path(each))])
        return self._checker.check(present)

    def _without_committed(self, repository: Repository, pending: Sequence[Pending]) -> list[Pending]:
        """What is left after a crash between a commit and the record of it; the commit is announced then."""
        if not pending:
            return []
        layout = f"--format=%H%x00%s%x00%(trailers:key={TRAILER},valueonly,separator=%x2C)"
        # Before the first commit there is no log.
        printed = repository.git.run("log", "-z", f"--max-count={_RECENT_COMMITS}", layout, codes=(0, 128))
        words = split_nul(printed + b"\0")
        commits = {
            event_id: (commit, subject)
            for commit, subject, event_ids in zip(words[::3], words[1::3], words[2::3], strict=False)
            for event_id in event_ids.split(",")
        }
        done = [each for each in pending if each.event_id in commits]
        if not done:
            return list(pending)
        with self._database.write() as work:
            for commit, subject in {commits[each.event_id] for each in done}:
                paths = tuple(each.path for each in done if commits[each.event_id][0] == commit)
                self._outbox(work).announce(CommitCreated(commit, subject, len(paths), paths[:MAX_PATHS]))
            self._rows(work).settle(done)
        return [each for each in pending if each not in done]

    def _step(self) -> None:
        with self._database.read() as work:
            backlog = self._rows(work).backlog()
        if backlog is None:
            self._wait(_POLL_SECONDS)
            return
        now = datetime.now(UTC)
        quiet = self._rules.quiet_seconds - (now - backlog.last_at).total_seconds()
        longest = self._rules.longest_seconds - (now - backlog.first_at).total_seconds()
        # A clock that was set back must not put this off for ever.
        left = min(quiet, longest, self._rules.longest_seconds)
        if self._seen_until == backlog.last_at:
            left = max(left, self._rest_until - time.monotonic())
        if left > 0:
            self._wait(left)
            return
        self._seen_until = backlog.last_at
        self._attempt()

    def _attempt(self) -> None:
        try:
            made = self.commit_pending()
        except WeaveError as error:
            # A merge ends when its maker ends it; looking whether it has is cheap.
            in_progress = isinstance(error, OperationInProgress)
            self._rest(_FIRST_REST_SECONDS if in_progress else self._rest_seconds)
            if not in_progress:
                self._rest_seconds = min(_LONGEST_REST_SECONDS, self._rest_seconds * 2)
            self._tell(str(error))
            return
        self._rest_seconds = _FIRST_REST_SECONDS
        # What is left is staged by the user, or there is no repository: neither ends by itself soon.
        self._rest(_POLL_SECONDS if made and made.held else _LONGEST_REST_SECONDS)
        self._tell(None)

    def _tell(self, problem: str | None) -> None:
        with self._database.read() as work:
            known = self._rows(work).state().problem
        if problem == known:
            return
        with self._database.write() as work:
            self._rows(work).remember(problem=problem)
        if problem:
            log.warning("git.not_committed", problem=problem)

    def _rest(self, seconds: float) -> None:
        self._rest_until = time.monotonic() + seconds

    def _wait(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    def _wake_up(self) -> None:
        self._wake.set()

    def _rows(self, work: UnitOfWork) -> GitRepository:
        return GitRepository(work.session, self._vault_id)


def announcement(repository: Repository, made: Made) -> CommitCreated:
    """What others are told of a commit."""
    paths = [repository.vault_path(each.path) for each in made.changes]
    inside = tuple(path for path in paths[:MAX_PATHS] if path is not None)
    return CommitCreated(str(made.commit), made.message.partition("\n")[0], len(made.changes), inside)
