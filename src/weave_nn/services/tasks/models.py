"""The task service's tables. Private.

A task's row holds the line three times while a change is under way: `text` is what was asked for last, `noted_text`
what the note holds once the edit `pending_edit` is made (or held when it was last read), `before_text` what it held
before that edit. No text stands for no line.
"""

from datetime import date, datetime
from pathlib import Path

from sqlalchemy import BigInteger, Boolean, Date, Index, Integer, SmallInteger, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from weave_nn.shared.db import SchemaTree, UtcDateTime, metadata


class Base(DeclarativeBase):
    """The root of this service's tables."""

    metadata = metadata()


class TaskRow(Base):
    """One task. `line` is 0 until it stands in the note; `anchor_id` names the task above which it is to be put."""

    __tablename__ = "task"
    __table_args__ = (
        Index(None, "vault_id", "note_path", "line"),
        Index(None, "vault_id", "status", "due_date"),
        Index(None, "vault_id", "due_date", "id"),
        Index(None, "vault_id", "project_id"),
        Index(None, "vault_id", "reference"),
        Index(None, "vault_id", "pending_edit"),
        Index(None, "vault_id", "anchor_id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    vault_id: Mapped[str] = mapped_column(String(64))
    project_id: Mapped[str | None] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    status_symbol: Mapped[str] = mapped_column(String(4))
    priority: Mapped[int] = mapped_column(SmallInteger)
    due_date: Mapped[date | None] = mapped_column(Date)
    scheduled_date: Mapped[date | None] = mapped_column(Date)
    start_date: Mapped[date | None] = mapped_column(Date)
    created_date: Mapped[date | None] = mapped_column(Date)
    done_date: Mapped[date | None] = mapped_column(Date)
    cancelled_date: Mapped[date | None] = mapped_column(Date)
    invalid_dates: Mapped[str] = mapped_column(String(64))
    recurrence: Mapped[str | None] = mapped_column(Text)
    on_completion: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[str] = mapped_column(Text)
    tags_folded: Mapped[str] = mapped_column(Text)
    reference: Mapped[str | None] = mapped_column(Text)
    depends_on: Mapped[str] = mapped_column(Text)
    note_path: Mapped[str] = mapped_column(String(4096))
    line: Mapped[int] = mapped_column(Integer)
    indent: Mapped[str] = mapped_column(Text)
    heading: Mapped[str | None] = mapped_column(Text)
    block_id: Mapped[str | None] = mapped_column(Text)
    search_text: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(String(32))
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    text: Mapped[str] = mapped_column(Text)
    noted_text: Mapped[str | None] = mapped_column(Text)
    before_text: Mapped[str | None] = mapped_column(Text)
    pending_edit: Mapped[str | None] = mapped_column(String(36))
    anchor_id: Mapped[str | None] = mapped_column(String(36))
    deleted: Mapped[bool] = mapped_column(Boolean)


class TaskNoteRow(Base):
    """One note whose tasks are known: the version that was read, and the marks by which a change is noticed."""

    __tablename__ = "task_note"

    vault_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    path: Mapped[str] = mapped_column(String(4096), primary_key=True)
    etag: Mapped[str] = mapped_column(String(64))
    size: Mapped[int | None] = mapped_column(BigInteger)
    mtime_ns: Mapped[int | None] = mapped_column(BigInteger)
    changed_ns: Mapped[int | None] = mapped_column(BigInteger)


class TaskRequestRow(Base):
    """One request that made a task, by its idempotency key."""

    __tablename__ = "task_request"
    __table_args__ = (Index(None, "vault_id", "created_at"),)

    vault_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    task_id: Mapped[str] = mapped_column(String(36))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


SCHEMA = SchemaTree(name="tasks", folder=Path(__file__).parent / "migrations", metadata=Base.metadata)
