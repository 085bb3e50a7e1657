"""The move of the database, composed: whose tables move, from where to where, and the work on it beside requests."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import text

from weave_nn.entrypoints.composition import EVERYWHERE, Component, Runtime
from weave_nn.entrypoints.reaching import Contracts
from weave_nn.entrypoints.services import SERVICES
from weave_nn.shared.config import Instance, Settings
from weave_nn.shared.db import Database, SchemaTree, upgrade
from weave_nn.shared.db.dialects import parse_url
from weave_nn.shared.db.home import HOME_TABLE, read_target, target_file
from weave_nn.shared.errors import InvalidInput, WeaveError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

    from weave_nn.migration import Mover

LOOK_SECONDS = 1.0
LONGEST_REST_SECONDS = 15.0

log = structlog.get_logger(__name__)


def components(runtime: Runtime) -> list[Component]:
    """All services, for what they say of their tables; nothing of them is started."""
    contracts = Contracts(runtime, SERVICES, frozenset(service.name for service in SERVICES))
    return [contracts.component(service) for service in SERVICES]


def trees(parts: list[Component]) -> list[SchemaTree]:
    """The schema trees of everything that is in the database."""
    return [*EVERYWHERE, *(part.schema for part in parts)]


def sqlite_file(settings: Settings, instance: Instance) -> Path:
    """The SQLite file of a move, also where `DATABASE_URL` names PostgreSQL already. Raises `InvalidInput`."""
    url = parse_url(instance.database_url)
    if url.get_backend_name() == "sqlite":
        return Path(url.database or "").absolute()
    database = Database(instance.database_url, follow=False)
    try:
        with database.read() as work:
            if work.session.scalar(text(f"SELECT to_regclass('{HOME_TABLE}')")):
                query = f"SELECT sqlite_path FROM {HOME_TABLE} WHERE NOT final"  # noqa: S608 - a constant
                row = work.session.execute(text(query)).first()
                if row is not None:
                    return Path(row.sqlite_path)
    finally:
        database.close()
    raise InvalidInput(
        f"There is no move: the database is {url.render_as_string()}.",
        hint=f"A move begins where DATABASE_URL names a SQLite file ({settings.data_dir}/weave.db by default).",
        field="DATABASE_URL",
    )


def target_url(settings: Settings, instance: Instance, file: Path, to: str | None = None) -> "URL":
    """The PostgreSQL of a move: what is given, else what the move was begun with, else the setting."""
    if to is None and parse_url(instance.database_url).get_backend_name() != "sqlite":
        to = instance.database_url
    if to is None and target_file(file).exists():
        return read_target(file)
    to = to or settings.database_url_target
    if to is None:
        raise InvalidInput(
            "No PostgreSQL is given to move to.",
            hint="Name it: `weave db migrate --to postgresql://user:password@host/name`, or set DATABASE_URL_TARGET.",
            field="to",
        )
    url = parse_url(to, "DATABASE_URL_TARGET")
    if url.get_backend_name() != "postgresql":
        raise InvalidInput("The database moves to PostgreSQL.", hint="Name a postgresql:// URL.", field="to")
    return url


def open_mover(runtime: Runtime, to: str | None = None) -> "Mover":
    """The mover of this vault's database; nothing is begun."""
    file = sqlite_file(runtime.settings, runtime.instance)
    url = target_url(runtime.settings, runtime.instance, file, to)
    from weave_nn.migration import Mover, moved_tables  # noqa: PLC0415 - needs the driver, which is an extra

    parts = components(runtime)

    def create_target() -> None:
        target = Database(url.render_as_string(hide_password=False), follow=False)
        try:
            upgrade(target, trees(parts))
        finally:
            target.close()

    return Mover(
        file,
        url,
        moved_tables(tree.metadata for tree in trees(parts)),
        derived=[derived for part in parts for derived in part.derived],
        create_target=create_target,
    )


class MoveKeeper:
    """Brings the other database up to the home beside requests, for as long as a move is under way."""

    def __init__(self, runtime: Runtime, open_mover: Callable[[Runtime], "Mover"] = open_mover) -> None:
        self._runtime = runtime
        self._open_mover = open_mover
        self._mover: Mover | None = None
        self._trouble: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="move-keeper", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the transaction at hand; whatever waits goes on waiting in the log."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._mover is not None:
            self._mover.close()

    def _run(self) -> None:
        rest = LOOK_SECONDS
        while not self._stop.wait(rest):
            try:
                if self._wanted():
                    self._step()
                self._trouble = None
                rest = LOOK_SECONDS
            except WeaveError as error:
                if self._trouble != error.detail:
                    log.warning("move.waits", reason=error.detail, hint=error.hint)
                self._trouble = error.detail
                rest = min(2 * rest, LONGEST_REST_SECONDS)
            except Exception:
                # Nobody is there to raise to; requests go on, and the log keeps what was not applied.
                log.exception("move.failed")
                rest = min(2 * rest, LONGEST_REST_SECONDS)

    def _wanted(self) -> bool:
        if self._mover is not None or self._runtime.settings.dual_write_enabled:
            return True
        url = parse_url(self._runtime.instance.database_url)
        if url.get_backend_name() == "sqlite":
            return target_file(Path(url.database or "")).exists()
        # Whoever was started with the new setting does not know of a move unless it asks, once.
        return self._runtime.database.home.moving()

    def _step(self) -> None:
        from weave_nn.migration.errors import MoveBusy  # noqa: PLC0415 - needs the driver, which is an extra
        from weave_nn.migration.state import Phase, peek  # noqa: PLC0415 - as above

        if self._mover is None:
            self._mover = self._open_mover(self._runtime)
        mover = self._mover
        state, epoch = peek(mover.path)
        begins = self._runtime.settings.dual_write_enabled and state.phase is Phase.NONE and not epoch & 1
        if state.phase is Phase.NONE and not begins:
            return
        try:
            with mover.held(wait_seconds=0):
                if begins:
                    self._begin(mover)
                mover.settle()
                mover.catch_up(stop=self._stop.is_set)
        except MoveBusy:
            # A command works on the move, and applies the log meanwhile.
            return

    def _begin(self, mover: "Mover") -> None:
        from weave_nn.migration.errors import MoveRefused  # noqa: PLC0415 - needs the driver, which is an extra
        from weave_nn.migration.precheck import check_source, check_target  # noqa: PLC0415 - as above

        found = check_target(mover.ends, mover.tables)
        found += check_source(mover.ends, mover.tables, lambda _done, _total: None)
        if found:
            where = f"{found[0].table}.{found[0].column}"
            raise MoveRefused(f"{where} {found[0].what} ({len(found)} findings).", hint="See `weave db precheck`.")
        mover.begin()
        log.info("move.begun", target=mover.url.render_as_string())
