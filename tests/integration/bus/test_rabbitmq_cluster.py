"""Three brokers that form a cluster, of which one at a time is killed. Takes minutes: set WEAVE_TEST_SLOW=1."""

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from integration.bus import victim
from integration.bus.test_rabbitmq_faults import PREFIX, PROCESSES, Load, check
from rabbitmq import Node
from tcp_proxy import proxy_to
from weave_nn.shared.bus import SCHEMA
from weave_nn.shared.db import Database, upgrade

# What a broker was sending from its rest to a queue whose leader died, it sends again after three minutes.
DEAD_LETTERING_SECONDS = 300.0

pytestmark = pytest.mark.skipif(not os.environ.get("WEAVE_TEST_SLOW"), reason="takes minutes; set WEAVE_TEST_SLOW=1")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[list[Node]]:
    cookie = uuid.uuid4().hex
    nodes = [Node(tmp_path / f"node-{number}", cookie=cookie) for number in range(3)]
    with ExitStack() as stack:
        stack.callback(nodes[0].end_mapper)
        for each in nodes:
            each.share_mapper(nodes[0])
            stack.callback(each.kill)
            each.start()
        for each in nodes[1:]:
            each.join(nodes[0])
        yield nodes


def test_each_node_of_a_cluster_in_turn_is_killed_under_load(cluster: list[Node], tmp_path: Path) -> None:
    victim.quiet()
    database = Database(f"sqlite:///{tmp_path}/weave.db")
    upgrade(database, [SCHEMA])
    victim.prepare(database)
    database.close()
    (tmp_path / "acknowledged.txt").touch()
    hosts = ",".join(f"127.0.0.1:{each.port}" for each in cluster)
    with proxy_to("127.0.0.1", cluster[0].port) as unused:
        url = f"amqp://guest:guest@{hosts}/%2F?heartbeat=5&prefix={PREFIX}"
        load = Load(tmp_path, unused, url)
        for _ in range(PROCESSES):
            load.start()
        load.goes_on()
        for each in cluster:
            each.kill()
            load.goes_on()
            # The other two go on: what was announced meanwhile is carried and handled without the third.
            load.handles()
            each.start()
            load.goes_on()
        acknowledged, started = check(load, url.partition("?")[0], patience_seconds=DEAD_LETTERING_SECONDS)
    print(f"{acknowledged} changes acknowledged by {started} processes, each with one effect")  # noqa: T201 - with -s
    members = cluster[0].control("list_queues", "name", "type", "members", "online")
    assert members.count("quorum") >= 7
