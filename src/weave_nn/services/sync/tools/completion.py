"""Completion of what the resource template and the prompts ask for, from the paths, tags and headings of the vault."""

from functools import partial

from anyio.to_thread import run_sync
from mcp_types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

from weave_nn.services.sync.contract import Completable, SyncContract
from weave_nn.shared.mcp import VaultServer

LIMIT = 100

_KINDS: dict[str, Completable] = {
    "path": "path",
    "note": "path",
    "project": "path",
    "people": "path",
    "topic": "heading",
    "heading": "heading",
    "tag": "tag",
}


def register_completion(server: VaultServer, sync: SyncContract) -> None:
    """Complete arguments by their names; what begins with `#` is a tag. An argument that is not known has no values."""

    @server.completion()  # type: ignore[no-untyped-call,untyped-decorator]  # the library leaves it untyped
    async def complete(
        _reference: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        _context: CompletionContext | None,
    ) -> Completion | None:
        kind, begun = _KINDS.get(argument.name), argument.value
        if kind is None:
            return None
        if begun.startswith("#"):
            tags = await run_sync(partial(sync.complete, "tag", begun[1:], limit=LIMIT))
            found = tuple(f"#{tag}" for tag in tags)
        else:
            found = await run_sync(partial(sync.complete, kind, begun, limit=LIMIT))
        return Completion(values=list(found), has_more=len(found) == LIMIT)
