"""The vectors of notes, for semantic search."""

import sqlalchemy as sa
from alembic import op

revision = "sync_0002"
down_revision = "sync_0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables; they are filled only where the extra for semantic search is installed."""
    op.create_table(
        "vector_index",
        sa.Column("vault_id", sa.String(64), primary_key=True),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
    )
    op.create_table(
        "note_vector",
        sa.Column("note_id", _ID, sa.ForeignKey("indexed_file.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("etag", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("vectors", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Take the tables away."""
    op.drop_table("note_vector")
    op.drop_table("vector_index")
