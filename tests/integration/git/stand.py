"""A vault in a real repository with the real file and git services on it, for tests."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from weave_nn.services.files import models as file_models
from weave_nn.services.files.adapters.watcher import observe_all
from weave_nn.services.files.contract import FilesContract, ObserverContract
from weave_nn.services.files.repository import FileRepository
from weave_nn.services.files.service import FileService, Limits, ObserverService, Recorder
from weave_nn.services.git import models, subscribers
from weave_nn.services.git.adapters.process import Git
from weave_nn.services.git.contract import GitContract, RestoreContract
from weave_nn.services.git.repository import GitRepository
from weave_nn.services.git.service import git as git_service
from weave_nn.services.git.service.committing import CommitRules, Committer
from weave_nn.services.git.service.restoring import Restoring
from weave_nn.shared import bus
from weave_nn.shared.bus import Event, Outbox
from weave_nn.shared.bus.topics import matches
from weave_nn.shared.contracts import local
from weave_nn.shared.db import Database, UnitOfWork, upgrade
from weave_nn.vault.store import Vault


@dataclass
class Shell:
    """Git as a user runs it, in one folder."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, folder: Path | None = None) -> str:
        ran = subprocess.run(
            ["git", *arguments],
            cwd=folder or self.folder,
            env=self.environment,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert ran.returncode == 0, ran.stderr.decode()
        return ran.stdout.decode()

    def fails(self, *arguments: str) -> None:
        ran = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=self.environment, capture_output=True, check=False
        )
        assert ran.returncode != 0

    def lines(self, *arguments: str) -> list[str]:
        return self(*arguments).splitlines()

    def status(self) -> list[str]:
        """What `git status` shows, with NUL-separated names."""
        return [each for each in self("status", "--porcelain", "-z", "--no-renames").split("\0") if each]

    def subjects(self) -> list[str]:
        return self.lines("log", "--format=%s")


@dataclass
class Stand:
    """A vault with both services on it. Events are carried by hand, so that a test decides when."""

    root: Path
    sh: Shell
    database: Database
    files: FilesContract
    observer: ObserverContract
    git: GitContract
    restore: RestoreContract
    committer: Committer

    def write(self, path: str, content: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def read(self, path: str) -> str:
        return (self.root / path).read_bytes().decode()

    def carry(self) -> list[Event]:
        """Look at the vault, hand every event to whom it concerns, and give them."""
        observe_all(self.observer)
        events = self.announced()
        for subscription in subscribers.subscriptions(self.committer):
            for event in events:
                if any(matches(topic, event.type) for topic in subscription.topics):
                    with self.database.write() as work:
                        subscription.handle(work, event)
        return events

    def commit(self) -> str | None:
        """Carry, and commit at once; the first line of the message."""
        self.carry()
        made = self.committer.commit_pending()
        return made.message.partition("\n")[0] if made and made.commit else None

    def announced(self) -> list[Event]:
        with self.database.write() as work:
            bodies = list(work.session.scalars(text("DELETE FROM bus_outbox RETURNING body")))
        return sorted((Event.from_json(body) for body in bodies), key=lambda event: event.id)

    def told(self, kind: str) -> list[Event]:
        return [event for event in self.announced() if event.type == kind]

    def pending(self) -> list[str]:
        with self.database.read() as work:
            return [each.path for each in GitRepository(work.session, "test").pending()]


def user_environment(home: Path) -> dict[str, str]:
    """A user with a name and nothing else set up."""
    home.mkdir(exist_ok=True)
    config = "[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n"
    config += '[protocol "file"]\n\tallow = always\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n'
    (home / ".gitconfig").write_text(config)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "XDG_CONFIG_HOME": str(home / "xdg")}


def make_stand(
    tmp_path: Path,
    root: Path,
    environment: dict[str, str],
    rules: CommitRules | None = None,
    database_url: str | None = None,
) -> Stand:
    root.mkdir(parents=True, exist_ok=True)
    vault = Vault(root)
    database = Database(database_url or f"sqlite:///{tmp_path}/weave.db")
    upgrade(database, [bus.SCHEMA, file_models.SCHEMA, models.SCHEMA])
    git = Git.open(root, environment, timeout_seconds=30)
    rules = rules or CommitRules(quiet_seconds=0.05, longest_seconds=0.5)

    def files(work: UnitOfWork) -> FileService:
        repository = FileRepository(work.session, "test")
        outbox = Outbox(work.session, "files", "test")
        return FileService(
            vault, repository, Recorder(vault, "test", tmp_path / "journal", repository, outbox), Limits()
        )

    def observer(work: UnitOfWork) -> ObserverService:
        outbox = Outbox(work.session, "files", "test")
        return ObserverService(vault, "test", FileRepository(work.session, "test"), outbox)

    def outbox(work: UnitOfWork) -> Outbox:
        return Outbox(work.session, "git", "test")

    def service(work: UnitOfWork) -> git_service.GitService:
        rows = GitRepository(work.session, "test")
        return git_service.GitService(git, rows, lambda: outbox(work), rules.author, git_service.Limits())

    files_contract = local(FilesContract, files, database)
    git_contract = local(GitContract, service, database)
    return Stand(
        root=root,
        sh=Shell(root, environment),
        database=database,
        files=files_contract,
        observer=local(ObserverContract, observer, database),
        git=git_contract,
        restore=Restoring(git_contract, files_contract),
        committer=Committer(vault, database, "test", git=git, outbox=outbox, rules=rules),
    )
