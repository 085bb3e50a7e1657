"""The service's own API: `/files/{path}` is a file, and each other route is one method of the contract.

Routes that are not about one file's content begin with a dot (`/files/.trash`): names with a leading dot are never
served as files, so that no path can collide with them.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query
from pydantic import TypeAdapter
from starlette.responses import Response

from weave_nn.services.files.api.content import (
    FilePath,
    PathOfView,
    WantedPart,
    bounded_body,
    chunks_of,
    creates_only,
    exists_already,
    path_header,
    refusing_writes,
    seen_version,
    send_file,
    version_headers,
)
from weave_nn.services.files.api.documented import CREATED, NOT_A_FILE, PROBLEM, WRITTEN, Responses
from weave_nn.services.files.api.operations import add_operations
from weave_nn.services.files.api.schemas import PATCH_BODY, NoteOut, TextReplacement, patches_of
from weave_nn.services.files.contract import (
    FileInfo,
    FilePage,
    FilesContract,
    Folder,
    SortKey,
    Trashed,
    Written,
)
from weave_nn.shared.http import ETag, IfMatch, IfNoneMatch, SpooledBody, not_modified
from weave_nn.vault.errors import AlreadyExists

_BINARY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
}
_TEXT: dict[str, Any] = {"requestBody": {"required": True, "content": {"text/*": {"schema": {"type": "string"}}}}}
_WRITTEN = TypeAdapter(Written)
_FILE: Responses = {
    200: {"description": "The file", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "The part that was asked for"},
    304: {"description": "The client has this version"},
    **NOT_A_FILE,
}


def router(contract: FilesContract, *, read_only: bool = False, note_limit_bytes: int = 64 * 1024 * 1024) -> APIRouter:
    """The routes of `/files`. With `read_only` those that write answer 403.

    Bodies of PUT and POST are bounded by the application's limit for `/files`; texts and patches, which are held in
    memory, by `note_limit_bytes`.
    """
    reads = APIRouter(prefix="/files")
    writes = APIRouter(prefix="/files", dependencies=[Depends(refusing_writes(read_only=read_only))])
    # In each, the routes that take the path of a file come last, because it matches everything.
    add_operations(reads, writes, contract)
    _add_reading(reads, contract)
    _add_writing(writes, contract)
    _add_editing(writes, contract, note_limit_bytes)
    routes = APIRouter(tags=["files"])
    routes.include_router(reads)
    routes.include_router(writes)
    return routes


def _respond(written: Written) -> Response:
    """What a write led to: 201 for a new file, with its version and its address."""
    headers = {"ETag": str(ETag(written.etag)), "Location": f"/files/{path_header(written.path)}"}
    return Response(
        _WRITTEN.dump_json(written), 201 if written.created else 200, headers, media_type="application/json"
    )


def _add_reading(routes: APIRouter, contract: FilesContract) -> None:
    @routes.get("", summary="List files")
    def list_files(
        glob: Annotated[str | None, Query(description="A pattern for the whole path; `**` crosses folders.")] = None,
        folder: Annotated[str | None, Query(description="Only this folder, with all below it.")] = None,
        sort: SortKey = "path",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[str | None, Query(description="The `next_cursor` of the page before.")] = None,
    ) -> FilePage:
        return contract.list_files(glob=glob, folder=folder, sort=sort, limit=limit, cursor=cursor)

    @routes.get("/.folders/{path:path}", summary="List one level", responses=NOT_A_FILE)
    def list_folder(path: PathOfView) -> Folder:
        return contract.list_folder(path)

    @routes.get("/.stat/{path:path}", summary="Describe a file", responses=NOT_A_FILE)
    def stat_file(path: PathOfView) -> FileInfo:
        return contract.stat_file(path)

    @routes.get(
        "/.note/{path:path}",
        summary="Read a note with its frontmatter, links, tags and headings",
        responses={
            304: {"description": "The client has this version"},
            413: {"description": "It is larger than a note may be", **PROBLEM},
            **NOT_A_FILE,
        },
        response_model=NoteOut,
    )
    def view_note(path: PathOfView, if_none_match: IfNoneMatch) -> Response:
        view = contract.view_note(path)
        if (unchanged := not_modified(if_none_match, ETag(view.info.etag))) is not None:
            return unchanged
        return Response(
            NoteOut.of(view).model_dump_json(), media_type="application/json", headers=version_headers(view.info)
        )

    @routes.get("/{path:path}", summary="Read a file", responses=_FILE, response_class=Response)
    def read_file(path: FilePath, wanted: WantedPart) -> Response:
        return send_file(contract, path, wanted)


def _add_writing(writes: APIRouter, contract: FilesContract) -> None:
    @writes.post(
        "",
        summary="Make a file that is not there yet",
        status_code=201,
        response_model=Written,
        responses=WRITTEN,
        openapi_extra=_BINARY,
    )
    def create_file(path: Annotated[str, Query(description="The vault path.")], content: SpooledBody) -> Response:
        return _respond(contract.create_file(path, chunks_of(content)))

    @writes.put(
        "/{path:path}",
        summary="Make or replace a file",
        response_model=Written,
        responses=CREATED | WRITTEN,
        openapi_extra=_BINARY,
    )
    def write_file(path: FilePath, content: SpooledBody, if_match: IfMatch, if_none_match: IfNoneMatch) -> Response:
        if not creates_only(if_none_match):
            seen = seen_version(if_match, contract, path)
            return _respond(contract.write_file(path, chunks_of(content), if_match=seen))
        try:
            return _respond(contract.create_file(path, chunks_of(content)))
        except AlreadyExists as error:
            raise exists_already(contract, path) from error

    @writes.delete(
        "/{path:path}",
        summary="Move a file or folder to the trash",
        responses={204: {"description": "Removed for good"}, **WRITTEN},
        response_model=Trashed,
    )
    def delete_file(
        path: FilePath,
        if_match: IfMatch,
        permanent: Annotated[bool, Query(description="Remove it for good instead.")] = False,  # noqa: FBT002 - a query
    ) -> Trashed | Response:
        trashed = contract.delete_file(path, if_match=seen_version(if_match, contract, path), permanent=permanent)
        return Response(status_code=204) if trashed is None else trashed


def _add_editing(writes: APIRouter, contract: FilesContract, note_limit_bytes: int) -> None:
    text = Depends(bounded_body(note_limit_bytes))

    @writes.post("/.replace/{path:path}", summary="Replace a piece of a note's text", responses=WRITTEN)
    def replace_text(
        path: PathOfView, body: Annotated[TextReplacement, Body()], if_match: IfMatch, response: Response
    ) -> Written:
        seen = seen_version(if_match, contract, path)
        written = contract.replace_text(path, body.old, body.new, every=body.every, if_match=seen)
        response.headers["ETag"] = str(ETag(written.etag))
        return written

    @writes.post(
        "/{path:path}",
        summary="Add text at the end of a note, or make it",
        response_model=Written,
        responses=CREATED | WRITTEN,
        openapi_extra=_TEXT,
    )
    def append_file(
        path: FilePath,
        if_match: IfMatch,
        content: Annotated[bytes, text],
        heading: Annotated[str | None, Query(description="The section to add to, made if missing.")] = None,
    ) -> Response:
        seen = seen_version(if_match, contract, path)
        return _respond(contract.append_file(path, content, heading=heading, if_match=seen))

    @writes.patch(
        "/{path:path}",
        summary="Change parts of a note, all or none",
        response_model=Written,
        responses=WRITTEN,
        openapi_extra=_patch_body(),
    )
    def patch_file(path: FilePath, if_match: IfMatch, patches: Annotated[bytes, text]) -> Response:
        seen = seen_version(if_match, contract, path)
        return _respond(contract.patch_file(path, patches_of(patches), if_match=seen))


def _patch_body() -> dict[str, Any]:
    # The body is read by hand, as bounded as a note is, and therefore not described by FastAPI.
    schema = PATCH_BODY.json_schema(by_alias=False)
    definitions = schema.pop("$defs")
    content = {"application/json": {"schema": _inlined(schema, definitions)}}
    return {"requestBody": {"required": True, "content": content}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """A JSON schema without references, which would be looked up in the document that it becomes a part of."""
    match schema:
        case list():
            return [_inlined(item, definitions) for item in schema]
        case {"$ref": str(reference), **others}:
            return _inlined(definitions[reference.rpartition("/")[2]], definitions) | others
        case dict():
            return {name: _inlined(value, definitions) for name, value in schema.items()}
    return schema
