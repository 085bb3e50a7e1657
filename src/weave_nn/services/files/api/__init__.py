"""The HTTP face of the file service: its own API under `/files`, and the dialect of Obsidian's Local REST API."""

from collections.abc import Callable, Sequence

from fastapi import APIRouter

from weave_nn.services.files.api import files, local_rest
from weave_nn.services.files.api.local_rest import Relations
from weave_nn.services.files.contract import FilesContract
from weave_nn.shared.http import Dialect

DIALECTS: dict[str, Dialect] = dict.fromkeys(
    ("/vault", "/periodic", "/active", "/commands", "/open"), local_rest.DIALECT
)
"""How errors look where the dialect is spoken, by path prefix, for the application."""

PUBLIC_PATHS = frozenset({"/"})
"""The status page, which needs no key."""

_JSON_BYTES = 1024 * 1024


def routers(
    contract: FilesContract,
    *,
    version: str,
    read_only: bool = False,
    note_limit_bytes: int = 64 * 1024 * 1024,
    relations: Callable[[str], Relations] | None = None,
) -> Sequence[APIRouter]:
    """Both faces on one contract; see `files.router` and `local_rest.router`."""
    return (
        files.router(contract, read_only=read_only, note_limit_bytes=note_limit_bytes),
        local_rest.router(
            contract, version=version, read_only=read_only, relations=relations, note_limit_bytes=note_limit_bytes
        ),
    )


def body_limits(*, note_limit_bytes: int, file_limit_bytes: int) -> dict[str, int]:
    """The largest bodies by path prefix, for the application: files are streamed, the others are held in memory."""
    return {
        "/files": file_limit_bytes,
        "/vault": file_limit_bytes,
        "/periodic": note_limit_bytes,
        "/files/.batch": note_limit_bytes,
        "/files/.replace": note_limit_bytes,
        **dict.fromkeys(("/files/.move", "/files/.copy", "/files/.restore", "/files/.periodic"), _JSON_BYTES),
    }
