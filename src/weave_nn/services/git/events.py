"""What the git service announces."""

from dataclasses import dataclass
from typing import ClassVar

from weave_nn.shared.bus import Announcement


@dataclass(frozen=True, slots=True)
class CommitCreated(Announcement):
    """A commit of the vault's changes was made; `paths` are the first of the `files` that it changes."""

    TYPE: ClassVar[str] = "git.commit.created"

    commit: str
    message: str
    files: int
    paths: tuple[str, ...] = ()

    def subject(self) -> str:
        """The commit's id."""
        return self.commit


@dataclass(frozen=True, slots=True)
class ConflictKept(Announcement):
    """A note was changed here and elsewhere: elsewhere's version stands at `path`, ours at `copy_path`.

    `copy_path` is None where one side deleted what the other changed: the changed version was kept.
    """

    TYPE: ClassVar[str] = "git.conflict.kept"

    path: str
    copy_path: str | None
    commit: str

    def subject(self) -> str:
        """The note's path."""
        return self.path
