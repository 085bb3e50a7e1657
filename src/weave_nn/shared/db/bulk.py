"""Inserting very many rows at once.

`session.execute(insert(…), rows)` looks at every value of every row, which for small rows takes longer than the
database does. Here the statement is compiled once, and the rows go to the driver as they are; only columns whose type
changes values on their way (dates, JSON) are looked at.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Dialect, Table, insert
from sqlalchemy.orm import Session

Row = tuple[Any, ...]


class _Compiled(NamedTuple):
    statement: str
    names: tuple[str, ...]
    changing: tuple[tuple[int, Callable[[Any], Any]], ...]


def insert_rows(session: Session, table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert rows of a table, each a value for every one of `columns` in this order; columns have no defaults here."""
    if not rows:
        return
    connection = session.connection()
    compiled = _compiled(table, columns, connection.dialect)
    for place, change in compiled.changing:
        rows = _changed(rows, place, change)
    if compiled.names:
        connection.exec_driver_sql(compiled.statement, [dict(zip(compiled.names, row, strict=True)) for row in rows])
    else:
        connection.exec_driver_sql(compiled.statement, list(rows))


@lru_cache(maxsize=64)
def _compiled(table: Table, columns: tuple[str, ...], dialect: Dialect) -> _Compiled:
    statement = insert(table).compile(dialect=dialect, column_keys=list(columns))
    # A driver that takes values by their order gets them in that of the statement, which is the table's.
    order = tuple(statement.positiontup) if statement.positiontup is not None else None
    if order is not None and order != columns:
        raise ValueError(f"the columns of {table.name} must be given as {order}, in the order of the table")
    changing = []
    for place, name in enumerate(columns):
        processor = table.columns[name].type.dialect_impl(dialect).bind_processor(dialect)
        if processor is not None:
            changing.append((place, processor))
    return _Compiled(str(statement), columns if order is None else (), tuple(changing))


def _changed(rows: Sequence[Row], place: int, change: Callable[[Any], Any]) -> list[Row]:
    changed: list[Row] = []
    last: Any = None
    became = change(None)
    for row in rows:
        value = row[place]
        # Many rows often share one time, which takes longer to write out than all else of them.
        if value is not last:
            last, became = value, change(value)
        changed.append((*row[:place], became, *row[place + 1 :]))
    return changed
