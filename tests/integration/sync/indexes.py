"""What the tests of the index share: making one, and writing down all that it holds."""

from pathlib import Path
from typing import Any

from sqlalchemy import text

from weave_nn.services.sync.models import SCHEMA
from weave_nn.services.sync.service.indexing import Indexer
from weave_nn.shared.db import Database, upgrade
from weave_nn.vault.store import Vault

VAULT_ID = "test"
_PARTS = {
    "note": "SELECT f.path, title, aliases, frontmatter, tasks, open_tasks FROM note p"
    " JOIN indexed_file f ON f.id = p.id",
    "content": "SELECT f.path, content FROM note_content p JOIN indexed_file f ON f.id = p.id",
    "link": "SELECT f.path, position, t.path, target, subpath, alias, kind, line, start, stop FROM note_link p"
    " JOIN indexed_file f ON f.id = p.source_id LEFT JOIN indexed_file t ON t.id = p.target_id",
    "tag": "SELECT f.path, tag_key, tag FROM note_tag p JOIN indexed_file f ON f.id = p.note_id",
    "heading": "SELECT f.path, position, level, text, line FROM note_heading p JOIN indexed_file f ON f.id = p.note_id",
    "block": "SELECT f.path, position, block_id, line FROM note_block p JOIN indexed_file f ON f.id = p.note_id",
    "property": "SELECT f.path, position, name, text, number, date FROM note_property p"
    " JOIN indexed_file f ON f.id = p.note_id",
    "file": "SELECT path, name_key, size, etag FROM indexed_file",
}
_TERMS = {
    "sqlite": "SELECT f.path, term, col, offset FROM terms p LEFT JOIN indexed_file f ON f.id = p.doc",
    "postgresql": "SELECT f.path, piece, CAST(terms AS TEXT) FROM note_search p"
    " LEFT JOIN indexed_file f ON f.id = p.note_id",
}


def open_database(where: Path | str) -> Database:
    """`where` is a file of SQLite, or a URL."""
    database = Database(where if isinstance(where, str) else f"sqlite:///{where}")
    upgrade(database, [SCHEMA])
    return database


def open_index(where: Path | str, vault: Vault) -> tuple[Database, Indexer]:
    database = open_database(where)
    return database, Indexer(database, vault, VAULT_ID)


def dump(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """All that the index holds, without the ids that depend on how it came about."""
    with database.writer.connect() as connection:
        dialect = connection.dialect.name
        if dialect == "sqlite":
            connection.execute(text("CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, note_search, instance)"))
        queries = {**_PARTS, "terms": _TERMS[dialect]}
        held = {name: sorted(map(tuple, connection.execute(text(query))), key=repr) for name, query in queries.items()}
        connection.rollback()
        return held


def fresh_dump(vault: Vault, folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What the index of this vault holds when it is built anew."""
    path = folder / "fresh.db"
    for left in folder.glob("fresh.db*"):
        left.unlink()
    database, indexer = open_index(path, vault)
    indexer.reconcile()
    try:
        return dump(database)
    finally:
        database.close()
