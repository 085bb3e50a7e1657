"""Real processes that bring the schema up at the same time, one of which is killed in the middle."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from weave_nn.shared.db import Database

LIMIT_SECONDS = 90
PROCESSES = 8
REVISION = '''
"""Says that it ran; in one process it takes for ever."""

import os

from alembic import op

revision = "slow_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.execute("CREATE TABLE slow (pid int)")
    op.execute(f"INSERT INTO slow VALUES ({os.getpid()})")
    if os.environ.get("TAKES_FOR_EVER"):
        op.execute("SELECT pg_sleep(3600)")
'''
STARTER = """
import sys
from pathlib import Path

from weave_nn.services.files import models
from weave_nn.shared import bus
from weave_nn.shared.db import Database, SchemaTree, metadata, upgrade

database = Database(sys.argv[1])
upgrade(database, [bus.SCHEMA, models.SCHEMA, SchemaTree("slow", Path(sys.argv[2]), metadata())])
"""


def start(url: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", STARTER, url, str(folder)],
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        pause.wait(0.1)


def test_eight_processes_bring_the_schema_up_once_and_outlive_one_that_is_killed_at_it(
    postgres_url: str, tmp_path: Path
) -> None:
    (tmp_path / "0001_slow.py").write_text(REVISION)
    database = Database(postgres_url)

    def sessions(condition: str) -> int:
        with database.read() as work:
            mine = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
            return work.session.scalar(text(mine + condition)) or 0

    processes: list[subprocess.Popen[str]] = []
    try:
        victim = start(postgres_url, tmp_path, TAKES_FOR_EVER="1")
        processes.append(victim)
        wait_until(lambda: sessions("query LIKE 'SELECT pg_sleep%' AND state = 'active'") == 1)
        processes += [start(postgres_url, tmp_path) for _ in range(PROCESSES)]
        wait_until(lambda: sessions("wait_event_type = 'Lock' AND query LIKE '%pg_advisory_lock%'") == PROCESSES)
        victim.send_signal(signal.SIGKILL)
        for process in processes[1:]:
            _, errors = process.communicate(timeout=LIMIT_SECONDS)
            assert process.returncode == 0, errors
        with database.read() as work:
            ran = work.session.scalars(text("SELECT pid FROM slow")).all()
            assert len(ran) == 1
            assert ran[0] in {process.pid for process in processes[1:]}
            assert work.session.scalar(text("SELECT count(*) FROM file")) == 0
    finally:
        for process in processes:
            process.kill()
            process.communicate()
        database.close()
