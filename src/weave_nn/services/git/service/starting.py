"""Making a repository of a vault, when asked."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from weave_nn.services.git.adapters.commits import Author, Made, commit_paths, writing
from weave_nn.services.git.adapters.place import Repository
from weave_nn.services.git.adapters.process import Git, NoRepository
from weave_nn.services.git.adapters.staging import changed_paths
from weave_nn.services.git.service.messages import compose
from weave_nn.shared.errors import Conflict

IGNORED = """\
# What Obsidian keeps about windows differs on every device, and the trash is not history.
.trash/
.obsidian/workspace*.json
.weave-*.tmp
"""


class RepositoryExists(Conflict):
    """The vault is in a git repository already."""

    code = "repository_exists"
    title = "Repository exists"


def make_repository(git: Git, author: Author) -> tuple[Repository, Made]:
    """Make a repository of `git.folder` and commit what is there. Raises `RepositoryExists`."""
    try:
        found = Repository.find(git)
    except NoRepository:
        git.run("init", "--quiet")
    else:
        raise RepositoryExists(
            f"{git.folder} is in the git repository {found.top} already.", hint="See `weave git log`."
        )
    _write_ignored(git.folder)
    repository = Repository.find(git)
    with writing(repository):
        paths = [*changed_paths(repository), ".gitignore"]
        made = commit_paths(repository, paths, lambda changes: compose(changes, subject="notes: begin history"), author)
    return repository, made


def _write_ignored(folder: Path) -> None:
    """Write a `.gitignore` unless there is one; it appears whole, or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".weave-", suffix=".tmp", encoding="utf-8") as draft:
        draft.write(IGNORED)
        draft.flush()
        os.fchmod(draft.fileno(), 0o644)
        with suppress(FileExistsError):
            os.link(draft.name, folder / ".gitignore")
