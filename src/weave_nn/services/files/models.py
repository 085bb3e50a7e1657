"""The file service's tables: what was last seen of the vault. Private; rebuilt from the vault at any time."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from weave_nn.shared.db import SchemaTree, UtcDateTime, metadata


class Base(DeclarativeBase):
    """The root of this service's tables."""

    metadata = metadata()


class VaultRow(Base):
    """One vault. Its row is what writers of the vault lock, so that they follow one another on every database."""

    __tablename__ = "vault"

    vault_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    indexed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class FileRow(Base):
    """One file as it was last seen: the version that was announced, and the marks by which a change is noticed."""

    __tablename__ = "file"
    __table_args__ = (
        Index(None, "vault_id", "etag"),
        Index(None, "vault_id", "modified_ns", "path"),
        Index(None, "vault_id", "size", "path"),
    )

    vault_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    path: Mapped[str] = mapped_column(String(4096), primary_key=True)
    etag: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    created_ns: Mapped[int] = mapped_column(BigInteger)
    modified_ns: Mapped[int] = mapped_column(BigInteger)
    changed_ns: Mapped[int] = mapped_column(BigInteger)


SCHEMA = SchemaTree(name="files", folder=Path(__file__).parent / "migrations", metadata=Base.metadata)
