"""Pulling and pushing: our commits go on top of what others pushed, and nobody is asked anything.

The new state is worked out as trees first. Then the notes are written by the file service, each only over the version
that is in the commit; then the branch is moved. Whatever stops this in between leaves notes that are newer than the
branch, which the next attempt finds to be as they should be.
"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog

from weave_nn.services.files.contract import FilesContract, Operation
from weave_nn.services.git.adapters import history
from weave_nn.services.git.adapters.commits import Author, HeadMoved, identity, land, writing
from weave_nn.services.git.adapters.merging import Kept, rebase
from weave_nn.services.git.adapters.place import Repository
from weave_nn.services.git.adapters.process import Git, GitFailed
from weave_nn.services.git.adapters.staging import Entry
from weave_nn.services.git.adapters.updating import Update, prepared
from weave_nn.services.git.events import ConflictKept
from weave_nn.services.git.repository import GitRepository
from weave_nn.services.git.service.committing import Committer
from weave_nn.shared.bus import Outbox
from weave_nn.shared.bus.loop import Loop
from weave_nn.shared.db import Database, UnitOfWork
from weave_nn.shared.errors import Conflict, WeaveError

log = structlog.get_logger(__name__)

_ATTEMPTS = 3
_BATCH = 100
_LARGE_BYTES = 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_GONE = "000000"
_LONGEST_PAUSE_SECONDS = 3600.0


class NoRemote(Conflict):
    """There is nowhere to pull from or to push to."""

    code = "git_no_remote"
    title = "No remote"


@dataclass(frozen=True, slots=True)
class SyncRules:
    """When and with whom to synchronise; with an interval of 0 never.

    `remote` counts where the branch follows none. `host` stands in the names of conflict copies.
    """

    interval_seconds: float = 0.0
    remote: str = "origin"
    push: bool = True
    host: str = "here"
    network_seconds: float = 120.0
    author: Author = field(default_factory=Author)


@dataclass(frozen=True, slots=True)
class Synced:
    """What a round did: whether the vault was brought forward, whether commits were pushed, and what conflicted."""

    pulled: bool
    pushed: bool
    kept: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True)
class _Target:
    remote: str
    remote_ref: str
    tracking_ref: str


class Synchroniser:
    """Pulls and pushes one vault's branch at an interval; after a failure it waits longer each time."""

    def __init__(
        self,
        database: Database,
        vault_id: str,
        *,
        git: Git,
        files: FilesContract,
        committer: Committer,
        outbox: Callable[[UnitOfWork], Outbox],
        rules: SyncRules,
    ) -> None:
        self._database = database
        self._vault_id = vault_id
        self._git = git
        self._files = files
        self._committer = committer
        self._outbox = outbox
        self._rules = rules
        self._wake = threading.Event()
        self._loop = Loop("git-sync", self._step, wake=self._wake.set)
        self._pause_seconds = rules.interval_seconds

    def start(self) -> None:
        """Begin, unless the interval is 0."""
        if self._rules.interval_seconds > 0:
            self._loop.start()

    def stop(self) -> bool:
        """End after what is under way; false if that did not end in time."""
        if not self._loop.alive():
            return True
        self._loop.stop()
        return self._loop.join(self._rules.network_seconds)

    def sync_now(self) -> Synced:
        """Fetch, put our commits on top, push. Raises what git says, `UncommittedChanges`, `OperationInProgress`."""
        repository = Repository.find(self._git)
        for _ in range(_ATTEMPTS):
            target = self._target(repository)
            network = repository.git.within(self._rules.network_seconds)
            network.run("fetch", "--quiet", "--no-write-fetch-head", target.remote)
            self._committer.commit_everything()
            pulled, kept = self._pull(repository, target)
            if pulled is None:
                continue
            if not self._rules.push or not _is_ahead(repository, target):
                return Synced(pulled, pushed=False, kept=kept)
            try:
                network.run("push", "--quiet", target.remote, f"HEAD:{target.remote_ref}")
            except GitFailed as error:
                if "[rejected]" not in error.detail and "fetch first" not in error.detail:
                    raise
                continue
            return Synced(pulled, pushed=True, kept=kept)
        raise HeadMoved("Others push to the branch all the time.", hint="weave tries again by itself.")

    def _target(self, repository: Repository) -> _Target:
        branch = repository.branch()
        if branch is None:
            raise NoRemote("HEAD is detached: no branch can be pulled or pushed.", hint="Check out a branch.")
        tracked = history.tracking(repository, branch)
        if tracked is not None and tracked.remote:
            return _Target(tracked.remote, tracked.remote_ref, tracked.upstream)
        remote = self._rules.remote
        if remote not in repository.git.run("remote").decode(errors="replace").splitlines():
            raise NoRemote(f"The repository has no remote {remote!r}.", hint=f"git remote add {remote} ADDRESS")
        return _Target(remote, f"refs/heads/{branch}", f"refs/remotes/{remote}/{branch}")

    def _pull(self, repository: Repository, target: _Target) -> tuple[bool | None, tuple[Kept, ...]]:
        """Whether anything was brought in; None when the branch moved meanwhile, and it is to be tried again."""
        with writing(repository):
            repository.require_no_operation()
            theirs = repository.git.line(
                "rev-parse", "-q", "--verify", f"{target.tracking_ref}^{{commit}}", codes=(0, 1)
            )
            ours = repository.head()
            if not theirs or (ours and repository.git.succeeds("merge-base", "--is-ancestor", theirs, ours)):
                return False, ()
            tip, kept = theirs, tuple[Kept, ...]()
            if ours and not repository.git.succeeds("merge-base", "--is-ancestor", ours, theirs):
                who = identity(repository.git, self._rules.author)
                rebased = rebase(repository, ours, theirs, who, self._suffix())
                tip, kept = rebased.tip, rebased.kept
            with prepared(repository, ours or repository.empty_tree(), tip) as update:
                self._write(repository, update)
            if not land(repository, ours, tip, "pull (weave): rebase" if ours else "pull (weave)"):
                return None, ()
        self._announce(repository, kept, tip)
        log.info("git.pulled", commit=tip, conflicts=len(kept))
        return True, kept

    def _write(self, repository: Repository, update: Update) -> None:
        # Etags are taken first: whatever is written after that is either found by the comparison or by the write.
        etags = {entry.path: self._etag(repository, entry) for entry in update.notes}
        todo = update.require_clean(update.notes)
        update.require_clean(update.others)
        gone = [entry for entry in todo if entry.mode == _GONE]
        new = [entry for entry in todo if entry.mode != _GONE]
        operations = [Operation("delete", _inside(repository, entry), if_match=etags[entry.path]) for entry in gone]
        for start in range(0, len(operations), _BATCH):
            self._files.run_batch(operations[start : start + _BATCH])
        small = [entry for entry in new if update.new_file(entry).stat().st_size <= _LARGE_BYTES]
        for start in range(0, len(small), _BATCH):
            self._files.run_batch(
                [_operation(repository, update, entry, etags[entry.path]) for entry in small[start : start + _BATCH]]
            )
        for entry in new:
            if entry not in small:
                self._write_large(_inside(repository, entry), update.new_file(entry), etags[entry.path])
        update.change_others()

    def _write_large(self, path: str, file: Path, etag: str | None) -> None:
        if etag is None:
            self._files.create_file(path, _chunks(file))
        else:
            self._files.write_file(path, _chunks(file), if_match=etag)

    def _etag(self, repository: Repository, entry: Entry) -> str | None:
        with suppress(WeaveError):
            return self._files.stat_file(_inside(repository, entry)).etag
        return None

    def _suffix(self) -> str:
        return f"(conflict {datetime.now().astimezone():%Y-%m-%d} {self._rules.host})"

    def _announce(self, repository: Repository, kept: tuple[Kept, ...], commit: str) -> None:
        inside = [(repository.vault_path(each.path), each.copy_path) for each in kept]
        with self._database.write() as work:
            self._outbox(work).announce(
                *(
                    ConflictKept(path, repository.vault_path(copy) if copy else None, commit)
                    for path, copy in inside
                    if path is not None
                )
            )

    def _step(self) -> None:
        self._wake.wait(self._pause_seconds * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, not a secret
        if self._loop.stopping.is_set():
            return
        problem = None
        try:
            self.sync_now()
            self._pause_seconds = self._rules.interval_seconds
        except WeaveError as error:
            problem = str(error)
            self._pause_seconds = min(_LONGEST_PAUSE_SECONDS, self._pause_seconds * 2)
            log.warning("git.not_synchronised", problem=problem, pause_seconds=self._pause_seconds)
        with self._database.read() as work:
            known = GitRepository(work.session, self._vault_id).state().sync_problem
        if problem != known:
            with self._database.write() as work:
                GitRepository(work.session, self._vault_id).remember(sync_problem=problem)


def _is_ahead(repository: Repository, target: _Target) -> bool:
    head = repository.head()
    theirs = repository.git.line("rev-parse", "-q", "--verify", target.tracking_ref, codes=(0, 1))
    return head is not None and head != theirs


def _inside(repository: Repository, entry: Entry) -> str:
    return entry.path.removeprefix(repository.prefix)


def _operation(repository: Repository, update: Update, entry: Entry, etag: str | None) -> Operation:
    content = update.new_file(entry).read_bytes()
    kind = "create" if etag is None else "update"
    return Operation(kind, _inside(repository, entry), content, if_match=etag)  # type: ignore[arg-type]  # one of both


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk
