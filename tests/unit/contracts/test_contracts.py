from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import text

from weave_nn.shared.contracts import command, local, methods, query
from weave_nn.shared.db import Database, UnitOfWork
from weave_nn.shared.errors import Conflict


class Notes(Protocol):
    @query
    def count(self) -> int: ...

    @command
    def add(self, name: str, *, fail: bool = False) -> int: ...


class NotesService:
    def __init__(self, work: UnitOfWork) -> None:
        self._session = work.session

    def count(self) -> int:
        return self._session.scalar(text("SELECT count(*) FROM note")) or 0

    def add(self, name: str, *, fail: bool = False) -> int:
        self._session.execute(text("INSERT INTO note VALUES (:name)"), {"name": name})
        if fail:
            raise Conflict("asked to fail")
        return self.count()


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    database = Database(f"sqlite:///{tmp_path}/test.db")
    with database.write() as work:
        work.session.execute(text("CREATE TABLE note (name TEXT)"))
    return local(Notes, NotesService, database)


def test_each_call_is_one_transaction(notes: Notes) -> None:
    assert notes.add("one") == 1
    with pytest.raises(Conflict):
        notes.add("two", fail=True)
    assert notes.count() == 1


def test_methods_are_known_by_their_marks() -> None:
    assert methods(Notes) == {"count": "query", "add": "command"}


def test_a_method_without_a_mark_is_a_defect() -> None:
    class Unmarked(Protocol):
        def forgotten(self) -> None: ...

    with pytest.raises(TypeError, match="forgotten"):
        methods(Unmarked)
