"""The vault's files as MCP resources: listed a page at a time, and read by their URIs."""

import base64
from functools import partial
from typing import Any, NoReturn

from anyio.to_thread import run_sync
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    BlobResourceContents,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from weave_nn.services.files.contract import FileInfo, FilesContract
from weave_nn.services.sync.tools.uris import TEMPLATE, path_of, uri_of
from weave_nn.shared.errors import NotFound, TooLarge, WeaveError
from weave_nn.shared.mcp import VaultServer
from weave_nn.vault.media_types import media_type

PAGE_FILES = 200
LIMIT_BYTES = 8 * 2**20
"""The largest file that is read as a resource: it is sent in one message, and encoded in base64 if it is not text."""

NOT_FOUND = -32002
"""The code of a missing resource until the revision 2025-11-25; later ones say `INVALID_PARAMS`."""

_TEMPLATE = ResourceTemplate(uri_template=TEMPLATE, name="file", description="A note or attachment, by its vault path")
_TEXT_TYPES = {"application/json", "application/yaml", "image/svg+xml"}

_Context = ServerRequestContext[Any, Any]


def register_resources(server: VaultServer, files: FilesContract) -> None:
    """Offer every file of the vault as a resource."""

    async def list_files(_context: _Context, params: PaginatedRequestParams) -> ListResourcesResult:
        try:
            page = await run_sync(partial(files.list_files, limit=PAGE_FILES, cursor=params.cursor))
        except WeaveError as error:
            _refuse(error)
        return ListResourcesResult(resources=[_resource(file) for file in page.files], next_cursor=page.next_cursor)

    async def list_templates(_context: _Context, _params: PaginatedRequestParams) -> ListResourceTemplatesResult:
        return ListResourceTemplatesResult(resource_templates=[_TEMPLATE])

    async def read(context: _Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        try:
            return ReadResourceResult(contents=[await run_sync(_read, files, params.uri)])
        except NotFound as error:
            # A path that leads out of the vault looks like one that is not there.
            code = NOT_FOUND if context.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS else INVALID_PARAMS
            raise MCPError(code, f"There is no resource {params.uri!r}.", {"uri": params.uri}) from error
        except WeaveError as error:
            _refuse(error)

    server.handle("resources/list", PaginatedRequestParams, list_files)
    server.handle("resources/templates/list", PaginatedRequestParams, list_templates)
    server.handle("resources/read", ReadResourceRequestParams, read)


def _resource(file: FileInfo) -> Resource:
    return Resource(uri=uri_of(file.path), name=file.path, mime_type=media_type(file.path), size=file.size)


def _read(files: FilesContract, uri: str) -> TextResourceContents | BlobResourceContents:
    path = path_of(uri)
    if path is None:
        raise NotFound("It names no file of this vault.")
    size = files.stat_file(path).size
    if size > LIMIT_BYTES:
        raise TooLarge(
            f"{path!r} has {size} bytes; a resource may have {LIMIT_BYTES}.",
            hint="Read a long note in parts with the tool read_notes, and other files over HTTP.",
        )
    content = files.read_file(path).content
    kind = media_type(path)
    if kind.startswith("text/") or kind in _TEXT_TYPES:
        try:
            return TextResourceContents(uri=uri, mime_type=kind, text=content.decode())
        except UnicodeDecodeError:
            kind = "application/octet-stream"
    return BlobResourceContents(uri=uri, mime_type=kind, blob=base64.b64encode(content).decode())


def _refuse(error: WeaveError) -> NoReturn:
    raise MCPError(INTERNAL_ERROR if error.status >= 500 else INVALID_PARAMS, str(error)) from error
