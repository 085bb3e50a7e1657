"""A transaction that the database ended in favour of another one: who runs it again, and who must not."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import text

from weave_nn.services.files.contract import FilesContract
from weave_nn.services.git.contract import GitContract, RestoreContract
from weave_nn.services.tasks.contract import TasksContract
from weave_nn.shared.contracts import command, database_only, local, methods, query
from weave_nn.shared.db import Database, DatabaseConflict, DatabaseUnusable, UnitOfWork
from weave_nn.shared.db.repeating import ATTEMPTS
from weave_nn.shared.errors import Unavailable


class Notes(Protocol):
    @query
    def count(self) -> int: ...

    @command
    def add(self) -> int: ...

    @command
    @database_only
    def add_again(self) -> int: ...


class NotesService:
    """Fails as often as it is told to, after it has written."""

    def __init__(self, work: UnitOfWork, failures: list[Unavailable]) -> None:
        self._session = work.session
        self._failures = failures

    def count(self) -> int:
        found: int = self._session.execute(text("SELECT count(*) FROM note")).scalar_one()
        self._fail()
        return found

    def add(self) -> int:
        self._session.execute(text("INSERT INTO note VALUES ('n')"))
        self._fail()
        return 1

    add_again = add

    def _fail(self) -> None:
        if self._failures:
            raise self._failures.pop()


@pytest.fixture
def failures() -> list[Unavailable]:
    return []


@pytest.fixture
def notes(tmp_path: Path, failures: list[Unavailable]) -> Notes:
    database = Database(f"sqlite:///{tmp_path}/test.db")
    with database.write() as work:
        work.session.execute(text("CREATE TABLE note (name TEXT)"))
    return local(Notes, lambda work: NotesService(work, failures), database)


def test_what_only_the_database_knows_of_is_repeated_and_done_once(notes: Notes, failures: list[Unavailable]) -> None:
    failures += [DatabaseConflict("deadlock")] * (ATTEMPTS - 1)
    assert notes.add_again() == 1
    failures += [DatabaseConflict("deadlock")] * (ATTEMPTS - 1)
    assert notes.count() == 1


@pytest.mark.parametrize("call", [Notes.count, Notes.add_again])
def test_repeating_ends(notes: Notes, failures: list[Unavailable], call: Callable[[Notes], int]) -> None:
    failures += [DatabaseConflict("deadlock")] * (ATTEMPTS + 5)
    with pytest.raises(DatabaseConflict):
        getattr(notes, call.__name__)()
    assert len(failures) == 5
    failures.clear()
    assert notes.count() == 0


def test_a_command_that_may_have_changed_files_is_not_repeated(notes: Notes, failures: list[Unavailable]) -> None:
    failures += [DatabaseConflict("deadlock")] * 2
    with pytest.raises(DatabaseConflict):
        notes.add()
    assert len(failures) == 1


def test_nobody_repeats_what_may_have_been_committed(notes: Notes, failures: list[Unavailable]) -> None:
    failures += [DatabaseUnusable("the connection broke")] * 2
    with pytest.raises(DatabaseUnusable):
        notes.add_again()
    assert len(failures) == 1


def test_only_the_commands_of_tasks_leave_files_alone() -> None:
    marked = {
        f"{contract.__name__}.{name}"
        for contract in (FilesContract, GitContract, RestoreContract, TasksContract)
        for name in methods(contract)
        if getattr(getattr(contract, name), "__weave_database_only__", False)
    }
    assert marked == {f"TasksContract.{name}" for name, kind in methods(TasksContract).items() if kind == "command"}
