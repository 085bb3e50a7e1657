"""The rehearsal in small; `make rehearse-database` is the whole of it."""

from pathlib import Path

from integration.migration.rehearsal import Rehearsal
from postgres import OwnPostgres


def test_nothing_is_lost_whenever_the_mover_is_killed_and_postgresql_goes_away(
    tmp_path: Path, own_postgres: OwnPostgres
) -> None:
    result = Rehearsal(tmp_path, own_postgres, writers=2, seed=7).run(6, outages=1)
    assert result.ok(), str(result)
    assert result.cut_overs >= 2
