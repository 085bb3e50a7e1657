"""The history as MCP tools, for a language model: few, terse, and careful with its context window."""

from typing import Annotated

from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from weave_nn.services.git.contract import GitContract, RestoreContract
from weave_nn.shared.mcp import VaultServer
from weave_nn.vault.text import lines_of

MAX_CHARACTERS = 40_000

READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
CHANGES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)

Path = Annotated[str, Field(description="vault path, e.g. 'Projects/Plan.md'")]
Revision = Annotated[str, Field(description="commit id from note_history, tag, or e.g. HEAD~3")]


class Version(BaseModel):
    """One commit; `path` is the note's name in it."""

    commit: str
    time: str
    author: str
    subject: str
    path: str | None = None


class History(BaseModel):
    """Versions, latest first."""

    versions: list[Version]
    next_cursor: str | None


class ShownVersion(BaseModel):
    """Lines of a note as it was, and how to get the following ones."""

    path: str
    commit: str
    content: str
    next_line: int | None


class Difference(BaseModel):
    """The difference; `complete` is false where it was cut off."""

    text: str
    complete: bool


class RestoredFiles(BaseModel):
    """What is as it was again; `kept` are newer files of the folder, which were left alone."""

    commit: str
    written: list[str]
    kept: list[str]


def register_tools(server: VaultServer, git: GitContract, restoring: RestoreContract, *, read_only: bool) -> None:
    """Offer the tools; with `read_only`, those that change nothing."""
    _register_reading(server, git)
    if not read_only:
        _register_restoring(server, restoring)


def _register_reading(server: VaultServer, git: GitContract) -> None:
    @server.tool(annotations=READS)
    def note_history(
        path: Annotated[str | None, Field(description="note; whole vault if omitted")] = None,
        limit: Annotated[int, Field(ge=1, le=100)] = 20,
        cursor: str | None = None,
    ) -> History:
        """List the versions of a note across renames, or of the vault."""
        page = git.log(path=path, limit=limit, cursor=cursor)
        versions = [
            Version(
                commit=entry.commit[:12],
                time=entry.time.isoformat(timespec="seconds"),
                author=entry.author,
                subject=entry.subject,
                path=entry.path,
            )
            for entry in page.entries
        ]
        return History(versions=versions, next_cursor=page.next_cursor)

    @server.tool(annotations=READS)
    def show_version(path: Path, revision: Revision, start_line: Annotated[int, Field(ge=1)] = 1) -> ShownVersion:
        """Read a note as it was in a version."""
        version = git.show(path, revision=revision)
        lines = lines_of(version.content.decode(errors="replace"))
        taken, room = 0, MAX_CHARACTERS
        for line in lines[start_line - 1 :]:
            if taken and len(line) > room:
                break
            taken, room = taken + 1, room - len(line)
        content = "".join(lines[start_line - 1 : start_line - 1 + taken])[:MAX_CHARACTERS]
        following = start_line + taken
        return ShownVersion(
            path=version.path,
            commit=version.commit[:12],
            content=content,
            next_line=following if following <= len(lines) else None,
        )

    @server.tool(annotations=READS)
    def diff(
        path: Annotated[str | None, Field(description="note; whole vault if omitted")] = None,
        old: Revision = "HEAD",
        new: Annotated[str | None, Field(description="default: the note as it is now")] = None,
        words: Annotated[bool, Field(description="mark changed words")] = False,
    ) -> Difference:
        """Compare two versions of a note or of the vault."""
        found = git.diff(old=old, new=new, path=path, words=words)
        complete = found.complete and len(found.text) <= MAX_CHARACTERS
        return Difference(text=found.text[:MAX_CHARACTERS], complete=complete)


def _register_restoring(server: VaultServer, restoring: RestoreContract) -> None:
    @server.tool(annotations=CHANGES)
    def restore_version(
        path: Annotated[str, Field(description="note or folder")],
        revision: Revision,
        etag: Annotated[str | None, Field(description="etag you read; refused if the note changed since")] = None,
    ) -> RestoredFiles:
        """Make a note or folder as it was in a version; the present state is committed first."""
        done = restoring.restore(path, revision=revision, if_match=etag)
        return RestoredFiles(commit=done.commit[:12], written=list(done.written), kept=list(done.kept))
