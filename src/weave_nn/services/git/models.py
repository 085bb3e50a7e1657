"""The git service's tables. Private; the history itself is in the repository."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from weave_nn.shared.db import SchemaTree, UtcDateTime, metadata


class Base(DeclarativeBase):
    """The root of this service's tables."""

    metadata = metadata()


class PendingRow(Base):
    """A vault path that changed and is not committed yet ("": look at the whole vault), with the latest event of it."""

    __tablename__ = "git_pending"
    __table_args__ = (Index(None, "vault_id", "last_at"),)

    vault_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    path: Mapped[str] = mapped_column(String(4096), primary_key=True)
    event_id: Mapped[str] = mapped_column(String(255))
    first_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)


class StateRow(Base):
    """What the last attempts led to; `findings` is a JSON list of path, line and message."""

    __tablename__ = "git_state"

    vault_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    problem: Mapped[str | None] = mapped_column(Text)
    sync_problem: Mapped[str | None] = mapped_column(Text)
    findings: Mapped[str] = mapped_column(Text)


SCHEMA = SchemaTree(name="git", folder=Path(__file__).parent / "migrations", metadata=Base.metadata)
