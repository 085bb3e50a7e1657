"""Where a move stands, for people and for scripts."""

from pathlib import Path
from typing import Any

from weave_nn.migration.ends import sqlite_of
from weave_nn.migration.errors import TargetAway
from weave_nn.migration.mover import Mover, lag
from weave_nn.migration.state import LOG_TABLE, Phase, State, epoch_of, peek, read_postgres
from weave_nn.shared.db.home import HOME_TABLE


def status_of(mover: Mover, file: Path) -> dict[str, Any]:
    """The phase, the lag of the other database, and what was done when; also while PostgreSQL is away."""
    state, epoch = peek(file)
    shown: dict[str, Any] = {"phase": str(state.phase), "home": "postgresql" if epoch & 1 else "sqlite"}
    shown |= {
        "sqlite": str(file),
        "postgresql": mover.url.set(drivername="postgresql").render_as_string(),
        "epoch": epoch,
    }
    if state.phase is Phase.NONE:
        return shown | {"phase": str(Phase.RETIRED if epoch & 1 else Phase.NONE)}
    rows: int | None = None
    seconds: float | None = None
    try:
        state, rows, seconds = _from_postgres(mover, state)
        shown["postgresql_answers"] = True
    except TargetAway:
        rows, seconds = lag(sqlite_of(mover.ends.source), state.applied) if not epoch & 1 else (None, None)
        shown["postgresql_answers"] = False
    share = 100.0 if state.phase not in {Phase.CAPTURING, Phase.BACKFILLING} else 100 * state.rows / max(1, state.total)
    return shown | {
        "phase": str(state.phase),
        "lag_rows": rows,
        "lag_seconds": None if seconds is None else round(seconds, 1),
        "backfilled_percent": round(min(share, 100.0), 1),
        # Before it is verified, it tells since when changes are compared.
        "verified_at": state.verified_at if state.phase in {Phase.VERIFIED, Phase.REVERSIBLE} else None,
        "verified_rows": state.verified_rows,
        "diverged": state.diverged,
        "started_at": state.started_at,
        "switched_at": state.switched_at,
        "pause_milliseconds": state.pause_milliseconds,
        "trouble": state.trouble,
    }


def _from_postgres(mover: Mover, state: State) -> tuple[State, int, float]:
    with mover.ends.postgres() as target:
        known = read_postgres(target) or state
        home = target.execute(f"SELECT epoch FROM {HOME_TABLE}").fetchone()
        if home and max(home[0], epoch_of(sqlite_of(mover.ends.source))) & 1:
            waiting = target.execute(
                "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8"
                f" FROM {LOG_TABLE}"
            ).fetchone()
            return known, *(waiting or (0, 0.0))
    return known, *lag(sqlite_of(mover.ends.source), known.applied)
