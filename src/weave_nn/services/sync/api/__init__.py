"""The HTTP face of the sync service: `/search`, `/graph`, and the searches of Obsidian's Local REST API."""

from collections.abc import Sequence

from fastapi import APIRouter

from weave_nn.services.sync.api import graph, local_rest
from weave_nn.services.sync.contract import SyncContract

LOCAL_REST_PREFIXES = ("/search/", "/tags")
"""Below these, errors look as the Local REST API's do; the application is given their dialect for them."""

READING_PATHS = frozenset({"/search/", "/search/simple/", "/graph/logic", "/graph/table"})
"""Paths whose POST changes nothing."""


def routers(contract: SyncContract) -> Sequence[APIRouter]:
    """Both faces on one contract."""
    return graph.router(contract), local_rest.router(contract)
