"""The marks of the notes that were read: a start then reads only those that differ."""

import sqlalchemy as sa
from alembic import op

revision = "tasks_0002"
down_revision = "tasks_0001"
branch_labels = None
depends_on = None

_MARKS = ("size", "mtime_ns", "changed_ns")


def upgrade() -> None:
    """Add the columns; they are filled when the notes are looked at the next time."""
    for name in _MARKS:
        op.add_column("task_note", sa.Column(name, sa.BigInteger))


def downgrade() -> None:
    """Take the columns away."""
    for name in _MARKS:
        op.drop_column("task_note", name)
