"""Full-text search: the port, the analysis of text, and an adapter for each database."""

from weave_nn.services.sync.adapters.fulltext.port import Document, FullText
from weave_nn.services.sync.adapters.fulltext.sqlite import SqliteFullText

__all__ = ["Document", "FullText", "adapter_for"]

_ADAPTERS: dict[str, FullText] = {"sqlite": SqliteFullText()}


def adapter_for(dialect_name: str) -> FullText:
    """The adapter of a database, by the name of its SQLAlchemy dialect; raises `KeyError` for one that has none."""
    return _ADAPTERS[dialect_name]
