"""Notes as MCP resources, `vault://` and the path, and completion of what templates and prompts ask for."""

from collections.abc import Callable

import anyio.to_thread
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

from weave_nn.services.sync.contract import Completable, SyncContract
from weave_nn.shared.errors import NotFound, WeaveError
from weave_nn.shared.mcp import VaultServer

TEMPLATE = "vault://{+path}"
COMPLETION_LIMIT = 100
_KINDS: dict[str, Completable] = {"path": "path", "note": "path", "project": "path", "tag": "tag", "heading": "heading"}


def register_resources(server: VaultServer, sync: SyncContract, read: Callable[[str], bytes]) -> None:
    """Offer every note as a resource; `read` gives a file's bytes by its vault path, or raises a `WeaveError`."""

    @server.resource(TEMPLATE, name="note", description="A note of the vault, by its path", mime_type="text/markdown")
    def note(path: str) -> str:
        try:
            return read(path).decode(errors="replace")
        except NotFound as error:
            raise ResourceNotFoundError(str(error)) from error
        except WeaveError as error:
            raise ResourceError(str(error)) from error

    @server.completion()  # type: ignore[no-untyped-call,untyped-decorator]  # the library leaves it untyped
    async def complete(
        _ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        _context: CompletionContext | None,
    ) -> Completion | None:
        kind = _KINDS.get(argument.name)
        if kind is None:
            return None
        found = await anyio.to_thread.run_sync(lambda: sync.complete(kind, argument.value, limit=COMPLETION_LIMIT))
        return Completion(values=list(found), has_more=len(found) == COMPLETION_LIMIT)
