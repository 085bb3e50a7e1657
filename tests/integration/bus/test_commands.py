"""`weave events` on RabbitMQ, as an operator runs it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from integration.bus.cases import Counted, ignore, take
from rabbitmq import remove
from weave_nn.entrypoints.cli.app import app
from weave_nn.shared.bus import Message, Subscription, open_bus
from weave_nn.shared.db import Database

Weave = Callable[..., Any]


@pytest.fixture
def weave(tmp_path: Path, rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch) -> Weave:
    """Run `weave events …` on a vault whose bus is RabbitMQ, or with `url=None` the database."""
    (tmp_path / "Notes").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("WEAVE_", "DATABASE_URL", "REDIS_URL"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WEAVE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WEAVE_VAULT_ID", "v")
    monkeypatch.setenv("WEAVE_VAULT", str(tmp_path / "Notes"))

    def run(*arguments: str, url: str | None = rabbitmq_url) -> Any:
        monkeypatch.setenv("RABBITMQ_URL", url or "")
        done = CliRunner().invoke(app, ["events", *arguments, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return run


def test_events_are_looked_at_replayed_and_fetched_back(weave: Weave, tmp_path: Path, rabbitmq_url: str) -> None:
    assert weave("dead") == []
    database = Database(f"sqlite:///{tmp_path}/data/weave.db")
    bus = open_bus(rabbitmq_url, database, vault_id="v")
    bus.declare([Subscription("q", ["#"], ignore), Subscription("other", ["test.#"], ignore)])
    events = [Counted(number).to_event(source="test", vault_id="v", request_id=None) for number in range(3)]
    bus.publish([Message(event.id, event.type, event.to_json()) for event in events])
    for _ in range(2):
        bus.dead_letter(take(bus, limit=1)[0], "broken")
    bus.close()
    assert weave("tail", "-n", "1")["id"] == events[2].id
    found = [(letter["id"], letter["queue"], letter["error"]) for letter in weave("dead")]
    assert found == [(f"{event.id}@q", "q", "broken") for event in events[1::-1]]
    assert weave("replay", f"{events[0].id}@q") == {"replayed": 1}
    assert weave("forget", "other") == {"forgotten": "other", "messages": 3}
    assert weave("collect", rabbitmq_url, url=None) == {"moved": 3}
    assert [letter["event_id"] for letter in weave("dead", url=None)] == [events[1].id]
    database.close()
    prefix = rabbitmq_url.rpartition("prefix=")[2]
    remove(rabbitmq_url.rpartition("?")[0], prefix)
