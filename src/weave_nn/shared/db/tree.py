"""What a service's tables are made of: its schema tree, its metadata, and the column types that it shares."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import DateTime, Dialect, MetaData, TypeDecorator

_REVISION_FILE = re.compile(r"r?(\d{4})_\w+\.py")


@dataclass(frozen=True, slots=True)
class SchemaTree:
    """One service's schema: its `name`, the `folder` of its Alembic revisions, and the tables they lead to."""

    name: str
    folder: Path
    metadata: MetaData

    @property
    def version_table(self) -> str:
        """The table that holds this tree's revision."""
        return f"alembic_version_{self.name}"

    @property
    def head(self) -> str:
        """The last revision: its files are numbered (`0002_shares.py`), and its revisions as well (`files_0002`)."""
        numbers = [match[1] for each in self.folder.iterdir() if (match := _REVISION_FILE.fullmatch(each.name))]
        return f"{self.name}_{max(numbers)}"


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: aware on the way in, UTC on the way out (SQLite itself keeps no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store as UTC; a naive value is a defect of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read back as an aware UTC value."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def metadata() -> MetaData:
    """The metadata for one service's tables, which names constraints alike on every database."""
    return MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        },
    )
