"""What a server does for the move beside requests."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import insert

from integration.migration.stand import Stand, folder
from weave_nn.entrypoints.moving import MoveKeeper
from weave_nn.migration.state import Phase, peek

LIMIT_SECONDS = 90.0


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def keeper(stand: Stand, *, dual_write: bool) -> MoveKeeper:
    runtime: Any = SimpleNamespace(
        settings=SimpleNamespace(dual_write_enabled=dual_write),
        instance=SimpleNamespace(database_url=f"sqlite:///{stand.path}"),
        database=stand.source,
    )
    return MoveKeeper(runtime, lambda _runtime: stand.new_mover())


def test_dual_write_begins_and_fills_postgresql_without_a_command(stand: Stand) -> None:
    working = keeper(stand, dual_write=True)
    working.start()
    try:
        until(lambda: peek(stand.path)[0].phase is Phase.CAPTURING)
        with stand.source.write() as work:
            work.session.execute(insert(folder).values(id=7, name="seen", open=True))
        until(lambda: stand.postgres_rows("SELECT name FROM folder WHERE id = 7") == [("seen",)])
        # A command takes over, and the keeper goes on afterwards, in the other direction too.
        with stand.mover.held():
            stand.mover.backfill()
            assert stand.mover.verify().differences == ()
            stand.mover.cut_over()
        with stand.source.write() as work:
            work.session.execute(insert(folder).values(id=8, name="back", open=True))
        until(lambda: stand.sqlite_rows("SELECT name FROM folder WHERE id = 8") == [("back",)])
    finally:
        working.stop()


def test_without_a_move_nothing_is_touched(stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weave_nn.entrypoints.moving.LOOK_SECONDS", 0.01)
    before = stand.sqlite_rows("SELECT name FROM sqlite_master ORDER BY name")
    looked: list[bool] = []
    working = keeper(stand, dual_write=False)
    wanted = cast("Any", working)._wanted

    def look() -> bool:
        looked.append(True)
        return bool(wanted())

    monkeypatch.setattr(working, "_wanted", look)
    working.start()
    until(lambda: len(looked) > 3)
    working.stop()
    assert stand.sqlite_rows("SELECT name FROM sqlite_master ORDER BY name") == before
    assert not list(tmp_path.glob("*.target"))
