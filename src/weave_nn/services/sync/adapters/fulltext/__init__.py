"""Full-text search: the port, the analysis of text, and an adapter for each database."""

from weave_nn.services.sync.adapters.fulltext.port import FullText
from weave_nn.services.sync.adapters.fulltext.sqlite import SqliteFullText
from weave_nn.services.sync.adapters.fulltext.terms import Document, Terms, analysed

__all__ = ["Document", "FullText", "Terms", "adapter_for", "analysed"]

_SQLITE = SqliteFullText()


def adapter_for(dialect_name: str) -> FullText:
    """The adapter of a database, by the name of its SQLAlchemy dialect."""
    match dialect_name:
        case "sqlite":
            return _SQLITE
        case "postgresql":
            # Its part of SQLAlchemy takes long to import, and most processes have no use for it.
            from weave_nn.services.sync.adapters.fulltext.postgres import PostgresFullText  # noqa: PLC0415 - see above

            return PostgresFullText()
        case _:
            raise ValueError(f"there is no full-text search on {dialect_name}")
