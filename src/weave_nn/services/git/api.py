"""The HTTP face of the git service: `/git`. Each route is one method of a contract and has its name."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Body, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from weave_nn.services.git.contract import (
    BlameLine,
    Checkpoint,
    Diff,
    GitContract,
    GitStatus,
    LogPage,
    RestoreContract,
    Restored,
)
from weave_nn.shared.errors import Forbidden, InvalidInput
from weave_nn.shared.http import ETag, ETagCondition, IfMatch
from weave_nn.vault.paths import is_note

_PROBLEM = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
_UNWRITTEN: dict[int | str, dict[str, Any]] = {
    409: {"description": "An operation is in progress in the repository, or nothing would lead back", **_PROBLEM},
    503: {"description": "Another process is writing to the repository", **_PROBLEM},
}
NotePath = Annotated[str, Query(description="A vault path.")]
Revision = Annotated[
    str, Query(max_length=256, description="A commit: its id, a branch, a tag, or the like of HEAD~3.")
]


class _Request(BaseModel):
    """A body that is refused when it says something that is not understood."""

    model_config = ConfigDict(extra="forbid")


class CheckpointRequest(_Request):
    """What to commit and how to call it."""

    message: Annotated[str, Field(min_length=1, max_length=10_000)]
    path: Annotated[str | None, Field(description="Only this note or folder.")] = None
    tag: Annotated[str | None, Field(max_length=200, description="A tag for the commit.")] = None


class RestoreRequest(_Request):
    """Where to go back, and to what."""

    path: Annotated[str, Field(description="A note, or a folder with all below it; empty for the whole vault.")]
    revision: Annotated[str, Field(max_length=256)]


def router(git: GitContract, restoring: RestoreContract, *, read_only: bool = False) -> APIRouter:
    """The routes of `/git`. With `read_only` those that write answer 403."""

    def check_writable() -> None:
        if read_only:
            raise Forbidden("This server is read-only.", hint="Start it without WEAVE_READ_ONLY to change the vault.")

    routes = APIRouter(prefix="/git", tags=["git"])
    writes = APIRouter(dependencies=[Depends(check_writable)])
    _add_reading(routes, git)
    _add_versions(routes, git)
    _add_writing(writes, git, restoring)
    routes.include_router(writes)
    return routes


def _add_reading(routes: APIRouter, git: GitContract) -> None:
    @routes.get("/status", summary="How the vault and its repository stand")
    def status() -> GitStatus:
        return git.status()

    @routes.get("/log", summary="List commits, of the vault or of one note under all its names")
    def log(
        path: Annotated[str | None, Query(description="A note; the whole vault without it.")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[str | None, Query(description="The `next_cursor` of the page before.")] = None,
    ) -> LogPage:
        return git.log(path=path, limit=limit, cursor=cursor)

    @routes.get("/diff", summary="Compare two versions")
    def diff(
        old: Revision = "HEAD",
        new: Annotated[str | None, Query(description="A commit; what is on the disk without it.")] = None,
        path: Annotated[str | None, Query(description="A note under its present name.")] = None,
        words: Annotated[bool, Query(description="Mark words instead of lines.")] = False,  # noqa: FBT002 - a query
    ) -> Diff:
        return git.diff(old=old, new=new, path=path, words=words)


def _add_versions(routes: APIRouter, git: GitContract) -> None:
    @routes.get(
        "/show",
        summary="Read a note as it was",
        response_class=Response,
        responses={200: {"description": "The file; Git-Commit and Git-Path say which", "content": {"*/*": {}}}},
    )
    def show(path: NotePath, revision: Revision) -> Response:
        version = git.show(path, revision=revision)
        headers = {"Git-Commit": version.commit, "Git-Path": quote(version.path), "X-Content-Type-Options": "nosniff"}
        media_type = "text/markdown; charset=utf-8" if is_note(version.path) else "application/octet-stream"
        return Response(version.content, media_type=media_type, headers=headers)

    @routes.get("/version", summary="List the files in a version")
    def list_version(revision: Revision, folder: Annotated[str, Query(description="A folder.")] = "") -> list[str]:
        return list(git.list_version(revision=revision, folder=folder))

    @routes.get("/blame", summary="Say for each line of a note where it came from")
    def blame(
        path: NotePath,
        revision: Annotated[str | None, Query(max_length=256)] = None,
        start_line: Annotated[int, Query(ge=1, le=2**31)] = 1,
        max_lines: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    ) -> list[BlameLine]:
        return list(git.blame(path, revision=revision, start_line=start_line, max_lines=max_lines))


def _add_writing(writes: APIRouter, git: GitContract, restoring: RestoreContract) -> None:
    @writes.post("/checkpoint", summary="Commit now, under a name", responses=_UNWRITTEN)
    def checkpoint(body: Annotated[CheckpointRequest, Body()]) -> Checkpoint:
        return git.checkpoint(body.message, path=body.path, tag=body.tag)

    @writes.post("/init", summary="Make a repository of the vault", status_code=201, responses=_UNWRITTEN)
    def init() -> Checkpoint:
        return git.init()

    @writes.post("/restore", summary="Make a note or a folder as it was in a version", responses=_UNWRITTEN)
    def restore(body: Annotated[RestoreRequest, Body()], if_match: IfMatch) -> Restored:
        return restoring.restore(body.path, revision=body.revision, if_match=_seen(if_match))


def _seen(condition: ETagCondition | None) -> str | None:
    if condition is None:
        return None
    match condition.tags:
        case (ETag(value, weak=False),):
            return value
    raise InvalidInput("Restoring takes If-Match with one version of the note.", field="If-Match")
