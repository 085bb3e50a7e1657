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
    "terms": "SELECT f.path, term, col, offset FROM terms p LEFT JOIN indexed_file f ON f.id = p.doc",
}


def open_database(path: Path) -> Database:
    database = Database(f"sqlite:///{path}")
    upgrade(database, [SCHEMA])
    return database


def open_index(path: Path, vault: Vault) -> tuple[Database, Indexer]:
    database = open_database(path)
    return database, Indexer(database, vault, VAULT_ID)


def dump(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """All that the index holds, without the ids that depend on how it came about."""
    with database.writer.connect() as connection:
        connection.execute(text("CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, note_search, instance)"))
        held = {name: sorted(map(tuple, connection.execute(text(query))), key=repr) for name, query in _PARTS.items()}
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
