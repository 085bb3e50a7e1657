from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from integration.bus.cases import Counted, announce, ignore, messages
from weave_nn.shared.bus import SCHEMA, EmbeddedBus, Relay, Subscription
from weave_nn.shared.db import Database, upgrade
from weave_nn.shared.db.schema import downgrade


def test_the_tables_go_down_and_up_again_with_data_in_them(database: Database) -> None:
    bus = EmbeddedBus(database)
    bus.declare([Subscription("q", ["#"], ignore)])
    bus.publish(messages(1, 2))
    (first, _) = bus.take("q", limit=2, lease_seconds=30, wait_seconds=0)
    bus.dead_letter(first, "broken")
    announce(database, Counted(3))
    downgrade(database, [SCHEMA], "base")
    assert [name for name in inspect(database.reader).get_table_names() if name.startswith("bus_")] == []
    upgrade(database, [SCHEMA])
    announce(database, Counted(4))
    assert Relay(database, bus).drain() == 1


def test_the_migrations_lead_to_the_tables_of_the_models(database: Database) -> None:
    with database.reader.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or (name or "").startswith("bus_")},
        )
        assert compare_metadata(context, SCHEMA.metadata) == []
