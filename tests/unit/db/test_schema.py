import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from weave_nn import services
from weave_nn.shared import bus
from weave_nn.shared.db import Database, DatabaseTooNew, SchemaTree, upgrade
from weave_nn.shared.db.migrating import script_of

ROOMS = [room.name for room in pkgutil.iter_modules(services.__path__)]
MODELS = [f"weave_nn.services.{name}.models" for name in ROOMS]
TREES: list[SchemaTree] = [bus.SCHEMA]
TREES += [importlib.import_module(name).SCHEMA for name in MODELS if importlib.util.find_spec(name)]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path}/test.db")


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.name)
def test_the_last_file_of_a_tree_is_its_head(tree: SchemaTree) -> None:
    assert script_of(tree).get_heads() == [tree.head]


def test_a_server_is_imported_and_finds_its_schema_in_place_without_alembic(database: Database) -> None:
    upgrade(database, TREES)
    program = f"""
import sys
import weave_nn.entrypoints.monolith
from weave_nn.shared import bus
from weave_nn.shared.db import Database, upgrade
upgrade(Database({str(database.url)!r}), [bus.SCHEMA])
sys.exit("alembic" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_revision_of_a_later_version_is_refused_and_left(database: Database) -> None:
    upgrade(database, TREES)
    later = text(f"UPDATE {bus.SCHEMA.version_table} SET version_num = 'bus_9999'")  # noqa: S608 - no input
    with database.write() as work:
        work.session.execute(later)
    with pytest.raises(DatabaseTooNew, match="bus_9999"):
        upgrade(database, TREES)
    with database.read() as work:
        tables = work.session.scalars(text(f"SELECT version_num FROM {bus.SCHEMA.version_table}"))  # noqa: S608 - so
        assert tables.all() == ["bus_9999"]


def test_a_tree_that_is_new_among_old_ones_is_brought_up(database: Database) -> None:
    upgrade(database, TREES[:1])
    upgrade(database, TREES)
    with database.read() as work:
        for tree in TREES:
            heads = work.session.scalars(text(f"SELECT version_num FROM {tree.version_table}"))  # noqa: S608 - so
            assert heads.all() == [tree.head]


STARTING = """
import sys
from weave_nn.shared import bus
from weave_nn.shared.db import Database, migrating, upgrade
print("imported", flush=True)
for line in sys.stdin:
    database = Database(line.strip())
    upgrade(database, [bus.SCHEMA])
    database.close()
    print("started", flush=True)
"""


def test_processes_that_start_together_all_find_the_schema(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTING]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]

    def all_say(expected: str) -> None:
        for process in processes:
            assert process.stdout
            assert process.stdout.readline().strip() == expected

    try:
        all_say("imported")
        for number in range(20):
            for process in processes:
                assert process.stdin
                process.stdin.write(f"sqlite:///{tmp_path}/{number}.db\n")
                process.stdin.flush()
            all_say("started")
    finally:
        for process in processes:
            process.communicate()
