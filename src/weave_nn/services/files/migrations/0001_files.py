"""The vault and its files as they were last seen."""

import sqlalchemy as sa
from alembic import op

revision = "files_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "vault",
        sa.Column("vault_id", sa.String(64), primary_key=True),
        sa.Column("indexed_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "file",
        sa.Column("vault_id", sa.String(64), primary_key=True),
        sa.Column("path", sa.String(4096), primary_key=True),
        sa.Column("etag", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("modified_ns", sa.BigInteger, nullable=False),
        sa.Column("changed_ns", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_file_vault_id_etag", "file", ["vault_id", "etag"])
    op.create_index("ix_file_vault_id_modified_ns_path", "file", ["vault_id", "modified_ns", "path"])
    op.create_index("ix_file_vault_id_size_path", "file", ["vault_id", "size", "path"])


def downgrade() -> None:
    """Take the tables away; the vault itself is not touched."""
    op.drop_table("file")
    op.drop_table("vault")
