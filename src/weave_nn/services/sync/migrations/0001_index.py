"""The index of the vault: files, notes, links, tags, headings, blocks, properties, full text."""

import sqlalchemy as sa
from alembic import op

from weave_nn.services.sync.adapters.fulltext import adapter_for

revision = "sync_0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _owner(name: str) -> sa.Column[int]:
    return sa.Column(name, _ID, sa.ForeignKey("indexed_file.id", ondelete="CASCADE"), primary_key=True)


def _ordinal() -> sa.Column[int]:
    return sa.Column("position", sa.Integer, primary_key=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def upgrade() -> None:
    """Make the tables and the full-text index."""
    op.create_table(
        "note_index",
        sa.Column("vault_id", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
    )
    _make_files()
    _make_notes()
    _make_parts()
    adapter_for(op.get_bind().dialect.name).create(op.get_bind())


def downgrade() -> None:
    """Take the tables away; the vault itself is not touched."""
    adapter_for(op.get_bind().dialect.name).drop(op.get_bind())
    for table in ("property", "block", "heading", "tag", "link", "content"):
        op.drop_table(f"note_{table}")
    op.drop_table("note")
    op.drop_table("indexed_file")
    op.drop_table("note_index")


def _make_files() -> None:
    op.create_table(
        "indexed_file",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("vault_id", sa.String(64), nullable=False),
        sa.Column("path", sa.String(4096), nullable=False),
        _text("folded_path"),
        _text("name_key"),
        sa.Column("is_note", sa.Boolean, nullable=False),
        _big("size"),
        _big("mtime_ns"),
        _big("created_ns"),
        _big("changed_ns"),
        sa.Column("etag", sa.String(64)),
    )
    op.create_index("ix_indexed_file_vault_id_path", "indexed_file", ["vault_id", "path"], unique=True)
    op.create_index("ix_indexed_file_vault_id_name_key", "indexed_file", ["vault_id", "name_key"])
    op.create_index("ix_indexed_file_vault_id_mtime_ns", "indexed_file", ["vault_id", "mtime_ns"])


def _make_notes() -> None:
    op.create_table(
        "note",
        _owner("id"),
        _text("title"),
        sa.Column("aliases", sa.JSON, nullable=False),
        sa.Column("frontmatter", sa.JSON, nullable=False),
        _integer("tasks"),
        _integer("open_tasks"),
    )
    op.create_table("note_content", _owner("id"), sa.Column("content", sa.LargeBinary, nullable=False))
    op.create_table(
        "note_link",
        _owner("source_id"),
        _ordinal(),
        sa.Column("target_id", _ID, sa.ForeignKey("indexed_file.id", ondelete="SET NULL")),
        _text("target"),
        _text("target_key"),
        _text("subpath"),
        sa.Column("alias", sa.Text),
        sa.Column("kind", sa.String(16), nullable=False),
        _integer("line"),
        _integer("start"),
        _integer("stop"),
    )
    op.create_index("ix_note_link_target_id", "note_link", ["target_id"])
    op.create_index("ix_note_link_target_key", "note_link", ["target_key"])


def _make_parts() -> None:
    op.create_table(
        "note_tag",
        _owner("note_id"),
        sa.Column("tag_key", sa.Text, primary_key=True),
        _text("tag"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_note_tag_tag_key", "note_tag", ["tag_key"])
    op.create_table(
        "note_heading",
        _owner("note_id"),
        _ordinal(),
        _integer("level"),
        _text("text"),
        _integer("line"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "note_block", _owner("note_id"), _ordinal(), _text("block_id"), _integer("line"), sqlite_with_rowid=False
    )
    op.create_table(
        "note_property",
        _owner("note_id"),
        _ordinal(),
        _text("name"),
        _text("text"),
        sa.Column("number", sa.Float),
        sa.Column("date", sa.String(32)),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_note_property_name_text", "note_property", ["name", "text"])
