"""The git service as a component."""

import os
import re
import socket
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from weave_nn.entrypoints.composition import Alone, Asking, Background, Component, Runtime
from weave_nn.services.files.contract import FilesContract
from weave_nn.services.git import models, subscribers
from weave_nn.services.git.adapters.commits import Author
from weave_nn.services.git.adapters.process import Git
from weave_nn.services.git.api import router
from weave_nn.services.git.contract import GitContract, RestoreContract
from weave_nn.services.git.repository import GitRepository
from weave_nn.services.git.service.committing import CommitRules, Committer
from weave_nn.services.git.service.git import GitService, Limits
from weave_nn.services.git.service.restoring import Restoring
from weave_nn.services.git.service.synchronising import Synchroniser, SyncRules
from weave_nn.shared.config import Settings
from weave_nn.shared.contracts import local
from weave_nn.shared.db import UnitOfWork
from weave_nn.shared.errors import InvalidInput

if TYPE_CHECKING:
    from weave_nn.shared.mcp import VaultServer

_AUTHOR = re.compile(r"\s*([^<>\n]+?)\s*<([^<>\s]+)>\s*")
_HOST_LENGTH = 32


@dataclass(frozen=True, slots=True)
class GitOptions:
    """What can be set about the git service; `author` is written `Name <email>`."""

    auto_commit: bool = True
    quiet_seconds: float = 5.0
    longest_seconds: float = 60.0
    author: str | None = None
    sign_off: bool = False
    validation: Literal["report", "block", "off"] = "report"
    auto_init: bool = False
    timeout_seconds: float = 60.0
    sync_interval_seconds: float = 0.0
    remote: str = "origin"
    push: bool = True

    @classmethod
    def of(cls, settings: Settings) -> "GitOptions":
        """What the settings say."""
        return cls(
            auto_commit=settings.git_auto_commit,
            quiet_seconds=settings.git_quiet_seconds,
            longest_seconds=settings.git_longest_seconds,
            author=settings.git_author,
            sign_off=settings.git_sign_off,
            validation=settings.git_validation,
            auto_init=settings.git_auto_init,
            timeout_seconds=settings.git_timeout_seconds,
            sync_interval_seconds=settings.git_sync_interval_seconds,
            remote=settings.git_remote,
            push=settings.git_push,
        )

    def committer(self) -> Author:
        """Who signs the commits. Raises `InvalidInput` for an author that is not written as one."""
        if self.author is None:
            return Author(sign_off=self.sign_off)
        found = _AUTHOR.fullmatch(self.author)
        if found is None:
            raise InvalidInput(
                f"WEAVE_GIT_AUTHOR is {self.author!r}, which is no author.",
                hint="Write it as 'Ada Lovelace <ada@example.org>'.",
                field="git_author",
            )
        return Author(found[1], found[2], sign_off=self.sign_off)


class GitParts:
    """The parts of the git service, for the component and for commands that need no server."""

    def __init__(self, runtime: Runtime, files: FilesContract, options: GitOptions | None = None) -> None:
        self.options = options = options or GitOptions.of(runtime.settings)
        author = options.committer()
        outbox = runtime.outbox("git")
        command = Git.open(runtime.vault.root, os.environ, timeout_seconds=options.timeout_seconds)
        limits = Limits(file_bytes=runtime.settings.max_note_bytes)

        def service(work: UnitOfWork) -> GitService:
            rows = GitRepository(work.session, runtime.vault_id)
            return GitService(command, rows, lambda: outbox(work), author, limits)

        self.contract = local(GitContract, service, runtime.database)
        self.restoring = Restoring(self.contract, files)
        rules = CommitRules(
            quiet_seconds=options.quiet_seconds,
            longest_seconds=options.longest_seconds,
            author=author,
            validation=options.validation,
            auto_init=options.auto_init,
        )
        sync_rules = SyncRules(
            interval_seconds=options.sync_interval_seconds,
            remote=options.remote,
            push=options.push,
            host=_host(),
            network_seconds=max(120.0, options.timeout_seconds),
            author=author,
        )
        self.new_committer = partial(
            Committer, runtime.vault, runtime.database, runtime.vault_id, git=command, outbox=outbox, rules=rules
        )
        self.committer = self.new_committer()
        self.new_synchroniser = partial(
            Synchroniser,
            runtime.database,
            runtime.vault_id,
            git=command,
            files=files,
            committer=self.committer,
            outbox=outbox,
            rules=sync_rules,
        )


def git(runtime: Runtime, contracts: Asking) -> Component:
    """The git service. A server that is read-only neither commits nor synchronises."""
    parts = GitParts(runtime, contracts.get(FilesContract))
    read_only = runtime.settings.read_only
    active = parts.options.auto_commit and not read_only

    def counts() -> dict[str, int]:
        with runtime.database.read() as work:
            backlog = GitRepository(work.session, runtime.vault_id).backlog()
        return {"git_pending": backlog.count if backlog else 0}

    def writing() -> list[Background]:
        return [*([parts.new_committer()] if active else []), parts.new_synchroniser()]

    return Component(
        name="git",
        schema=models.SCHEMA,
        contracts={GitContract: parts.contract, RestoreContract: parts.restoring},
        subscriptions=subscribers.subscriptions(parts.committer) if active else (),
        routers=[router(parts.contract, parts.restoring, read_only=read_only)],
        alone=[] if read_only else [Alone("git", writing)],
        counts=counts,
    )


def register_tools(server: "VaultServer", runtime: Runtime, contracts: Asking) -> None:
    """The tools that read the history and go back in it."""
    from weave_nn.services.git import tools  # noqa: PLC0415 - only the MCP face needs the MCP library

    tools.register_tools(
        server, contracts.get(GitContract), contracts.get(RestoreContract), read_only=runtime.settings.read_only
    )


def _host() -> str:
    """This machine's name as it may stand in a file's name."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname().partition(".")[0]).strip("-")[:_HOST_LENGTH] or "here"
