"""The dialect's routes. They take the URL as it was sent, because the framework decodes `%2F` before it splits."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from weave_nn.services.files.api.content import bounded_body, refusing_writes
from weave_nn.services.files.api.local_rest.addressing import Address, address_of, segments_of
from weave_nn.services.files.api.local_rest.notes import NoRelations, Notes, Relations
from weave_nn.services.files.api.local_rest.periodic import add_periodic
from weave_nn.services.files.contract import FilesContract
from weave_nn.shared.errors import NotFound
from weave_nn.shared.http import SpooledBody, current_identity

API_VERSION = "5.1.0"
"""The version of the plugin whose behaviour this is."""

_Place = Annotated[str, Path(description="A vault path, and a target in it: `/heading/A/B`, `/block/id`.")]
_ALL_METHODS = ["GET", "PUT", "POST", "PATCH", "DELETE"]


def today() -> date:
    """The day on the server's clock, by which the present periodic note is chosen."""
    return datetime.now().astimezone().date()


def router(
    contract: FilesContract,
    *,
    version: str,
    read_only: bool = False,
    relations: Callable[[str], Relations] | None = None,
    note_limit_bytes: int = 64 * 1024 * 1024,
    today: Callable[[], date] = today,
) -> APIRouter:
    """The routes of `/`, `/vault`, `/periodic`, `/active`, `/commands` and `/open`.

    `relations` finds the links of a note for `application/vnd.olrapi.note+json`; without it `links`, `backlinks` and
    `unresolvedLinks` are empty lists. `version` is the server's own.
    """
    notes = Notes(contract, relations or NoRelations(), note_limit_bytes)
    refuse = [Depends(refusing_writes(read_only=read_only))]
    reads, writes = APIRouter(), APIRouter(dependencies=refuse)
    _add_status(reads, version)
    _add_vault(reads, writes, notes)
    # What only older clients call is served, and not offered to new ones.
    old_reads, old_writes = APIRouter(), APIRouter(dependencies=refuse)
    add_periodic(old_reads, old_writes, notes, today)
    _add_absent(old_reads)
    routes = APIRouter(tags=["local-rest-api"])
    for part in (reads, writes):
        routes.include_router(part)
    for part in (old_reads, old_writes):
        routes.include_router(part, include_in_schema=False)
    return routes


def _add_status(routes: APIRouter, version: str) -> None:
    @routes.get("/", summary="What this server is, and whether the key is right")
    async def status() -> dict[str, Any]:
        manifest = {"id": "weave-nn", "name": "Weave-NN", "version": version, "author": "Weave-NN"}
        return {
            "status": "OK",
            "manifest": manifest,
            "versions": {"obsidian": "0.0.0", "self": API_VERSION},
            "service": "Obsidian Local REST API",
            "authenticated": current_identity() is not None,
        }


def _add_vault(routes: APIRouter, writes: APIRouter, notes: Notes) -> None:
    body = Depends(bounded_body(notes.note_limit_bytes))

    def address(request: Request) -> Address:
        return address_of(segments_of(request, 1), notes.exists)

    @routes.get("/vault/{path:path}", summary="Read a file, a part of a note, or a folder's names", **_described("get"))
    def get_file(path: _Place, request: Request) -> Response:  # noqa: ARG001 - described, and read from the raw URL
        return notes.get(address(request), request.headers)

    @writes.put("/vault/{path:path}", summary="Write a file, or replace a part of a note", **_described("put"))
    def put_file(path: _Place, request: Request, content: SpooledBody) -> Response:  # noqa: ARG001 - as above
        return notes.put(address(request), request.headers, content)

    @writes.post("/vault/{path:path}", summary="Append to a note, or to a part of it", **_described("post"))
    def post_file(path: _Place, request: Request, content: Annotated[bytes, body]) -> Response:  # noqa: ARG001 - as above
        return notes.post(address(request), request.headers, content)

    @writes.patch("/vault/{path:path}", summary="Change a part of a note", **_described("patch"))
    def patch_note(path: _Place, request: Request, content: Annotated[bytes, body]) -> Response:  # noqa: ARG001 - as above
        return notes.patch(address(request), request.headers, content)

    @writes.delete("/vault/{path:path}", summary="Move a file to the trash", **_described("delete"))
    def delete_note(
        path: _Place,  # noqa: ARG001 - as above
        request: Request,
        permanent: Annotated[str, Query(description="`true` removes it for good.")] = "false",
    ) -> Response:
        return notes.delete(address(request), request.headers, permanent=permanent.lower() == "true")

    # OpenAPI 3.1 has no place for methods other than the usual ones.
    @writes.api_route("/vault/{path:path}", methods=["MOVE"], include_in_schema=False)
    def move_note(path: _Place, request: Request) -> Response:  # noqa: ARG001 - as above
        return notes.move(address(request), request.headers)

    @writes.api_route("/vault/{path:path}", methods=["COPY"], include_in_schema=False)
    def copy_note(path: _Place, request: Request) -> Response:  # noqa: ARG001 - as above
        return notes.copy(address(request), request.headers)


def _add_absent(routes: APIRouter) -> None:
    """What the plugin does with Obsidian's window answers 404: these resources do not exist here."""

    def absent(what: str) -> Callable[[], Response]:
        def answer() -> Response:
            raise NotFound(
                f"This server has no screen, and therefore no {what}.",
                hint="Name the note: /vault/{path}.",
                error_code=40400,
            )

        return answer

    for prefix, what in {"active": "active note", "commands": "commands", "open": "window to open a note in"}.items():
        for path in (f"/{prefix}", f"/{prefix}/", f"/{prefix}/{{rest:path}}"):
            routes.add_api_route(path, absent(what), methods=_ALL_METHODS)


_PATCH_HEADERS: Mapping[str, str] = {
    "Markdown-Patch-Version": "The patch format, 1 or 2.",
    "Target-Type": "`heading`, `block` or `frontmatter`.",
    "Target": "The target, percent-encoded.",
    "Target-Scope": "`content`, `marker`, `markerAndContent` or `parent`.",
}
_WRITE_HEADERS: Mapping[str, str] = {
    **_PATCH_HEADERS,
    "If-Match": "Change only this version.",
    "Create-Target-If-Missing": "`true` makes the target.",
    "Reject-If-Content-Preexists": "`true` refuses what is there already.",
}
_HEADERS: Mapping[str, Mapping[str, str]] = {
    "get": {**_PATCH_HEADERS, "If-None-Match": "Answer 304 if this is the version.", "Range": "As `bytes=0-99`."},
    "put": _WRITE_HEADERS,
    "post": _WRITE_HEADERS,
    "patch": {
        **_WRITE_HEADERS,
        "Operation": "`append`, `prepend`, `replace` or `delete`.",
        "Target-Delimiter": "Version 1: what joins headings, `::`.",
        "Trim-Target-Whitespace": "Version 1: `true` trims the target.",
        "Within": "Version 2: the index of a block of the section.",
        "Destination": "Version 2: where a section moves, as percent-encoded JSON.",
    },
    "delete": {"If-Match": "Delete only this version."},
}
_BODIES: Mapping[str, tuple[str, ...]] = {
    "put": ("*/*",),
    "post": ("text/*", "application/json"),
    "patch": ("application/json", "application/vnd.olrapi.patch-instruction+json", "text/*"),
}


def _described(method: str) -> dict[str, Any]:
    """What the OpenAPI document says of a route whose request is read by hand."""
    parameters = [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in _HEADERS[method].items()
    ]
    extra: dict[str, Any] = {"parameters": parameters}
    if method in _BODIES:
        content = {kind: {"schema": {"type": "string"} if "json" not in kind else {}} for kind in _BODIES[method]}
        extra["requestBody"] = {"required": method == "put", "content": content}
    error = {"content": {"application/json": {"schema": {"type": "object"}}}}
    responses: dict[int | str, dict[str, Any]] = {
        200: {"description": "The note, or what was asked for of it", "content": {"*/*": {}}},
        405: {"description": "It is a folder", **error},
    }
    if method == "get":
        responses |= {
            206: {"description": "The part"},
            304: {"description": "Known"},
            413: {"description": "Too large", **error},
        }
    else:
        responses |= {204: {"description": "Done"}, 507: {"description": "No space is left", **error}}
    return {"openapi_extra": extra, "responses": responses, "response_class": Response}
