"""A large vault: where other servers crash, hang or grow. How fast it goes is for `make bench` to say."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from integration.sync.indexes import VAULT_ID, open_index
from weave_nn.services.sync.contract import SyncContract
from weave_nn.services.sync.service.sync import SyncService
from weave_nn.shared.contracts import local
from weave_nn.vault.store import Vault

NOTES = 1200
GROWN_MEGABYTES = 10
# A first index, and as many again, with the memory that the process has after each.
_REINDEXING = """
import json, sys
from pathlib import Path
from integration.sync.indexes import open_index
from weave_nn.vault.store import Vault
_, indexer = open_index(Path(sys.argv[2]), Vault(Path(sys.argv[1])))
sizes = []
for _ in range(6):
    indexer.reconcile(anew=True)
    sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
print(json.dumps(sizes))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    for number in range(NOTES):
        words = " ".join(f"w{(number * each) % 997}" for each in range(60))
        (folder / f"{number}.md").write_text(
            f"# Note {number}\n{words}\n[[{number + 1}]] [[{number // 2}]] #t{number % 9}\n"
        )
    (folder / "long.md").write_text("filling " * 200_000 + "quetzalcoatl")
    return folder


def test_searches_are_answered_while_a_large_vault_is_indexed_and_a_restart_reads_nothing(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What was written a moment ago is otherwise looked at again.
    monkeypatch.setattr("weave_nn.vault.scan._SETTLED_NS", -1)
    database, indexer = open_index(tmp_path / "index.db", Vault(root))
    contract = local(SyncContract, lambda work: SyncService(work, VAULT_ID), database)
    answered: list[int] = []

    def ask(_done: int, _total: int) -> None:
        # Another thread asks between two transactions, and this one waits for it: nothing that is held holds it up.
        before = len(answered)
        asking = threading.Thread(target=lambda: answered.append(len(contract.search("w1 OR filling").hits)))
        asking.start()
        asking.join(60)
        assert len(answered) == before + 1

    assert indexer.reconcile(progress=ask).read == NOTES + 1
    assert answered[-1] == 20
    assert [hit.path for hit in contract.search("quetzalcoatl").hits] == ["long.md"]
    # The process beside, which read them at first, does not know of our haste above.
    indexer.reconcile()
    assert indexer.reconcile().read == 0
    database.close()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell how large a process is")
def test_making_the_index_again_and_again_does_not_take_more_memory_each_time(root: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _REINDEXING, str(root), str(tmp_path / "index.db")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", "tests"])},
        capture_output=True,
        text=True,
        check=True,
    )
    sizes = json.loads(done.stdout)
    assert sizes[-1] - sizes[2] < GROWN_MEGABYTES * 2**20, sizes
