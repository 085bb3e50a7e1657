"""Making the full-text index of notes anew from what the database keeps of them, while that moves between databases.

Each kind of database has a full-text index of its own kind, so this is the one part that cannot be copied.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from weave_nn.services.sync.adapters.fulltext import adapter_for
from weave_nn.services.sync.models import ContentRow, FileRow
from weave_nn.services.sync.service.extraction import extract

BATCH_NOTES = 100


class FullTextRefill:
    """The full-text index as something that is derived from the notes' content; see `weave_nn.migration.Derived`."""

    table = ContentRow.__tablename__

    def forget(self, connection: Connection, keys: Sequence[Any]) -> None:
        """Take these notes out of the index, while their content is still there."""
        adapter = adapter_for(connection.dialect.name)
        for session, ids in _batches(connection, keys):
            adapter.remove(session, ids)

    def make(self, connection: Connection, keys: Sequence[Any]) -> None:
        """Put into the index those of these notes that are there."""
        adapter = adapter_for(connection.dialect.name)
        for session, ids in _batches(connection, keys):
            query = select(FileRow.id, FileRow.path, ContentRow.content)
            rows = session.execute(query.join(ContentRow, ContentRow.id == FileRow.id).where(FileRow.id.in_(ids)))
            adapter.put(session, {row.id: extract(row.path, zlib.decompress(row.content)).terms for row in rows})


def _batches(connection: Connection, keys: Sequence[Any]) -> Iterator[tuple[Session, list[int]]]:
    with Session(connection, join_transaction_mode="rollback_only") as session:
        for start in range(0, len(keys), BATCH_NOTES):
            yield session, [int(key) for key in keys[start : start + BATCH_NOTES]]
            session.flush()
