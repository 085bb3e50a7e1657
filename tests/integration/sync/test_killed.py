import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.server import wait_until
from integration.sync.indexes import dump, fresh_dump, open_index
from weave_nn.vault.store import Vault

NOTES = 400
_INDEXING = """
import sys
from pathlib import Path
from integration.sync.indexes import open_index
from weave_nn.vault import reading
from weave_nn.vault.store import Vault
reading.MANY = int(sys.argv[3])
_, indexer = open_index(Path(sys.argv[2]), Vault(Path(sys.argv[1])))
indexer.reconcile(progress=lambda done, total: print(done, flush=True))
"""


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def _runs(pid: int) -> bool:
    try:
        # A process that has ended and that nobody has asked about yet is a Z.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("batches", "many"), [(0, NOTES + 1), (1, NOTES + 1), (3, NOTES + 1), (0, 1), (2, 1)])
def test_killed_while_indexing_the_index_ends_up_equal_to_a_fresh_one(tmp_path: Path, batches: int, many: int) -> None:
    root = tmp_path / "vault"
    root.mkdir()
    for number in range(NOTES):
        (root / f"{number}.md").write_text(f"# Note {number}\n[[{number + 1}]] [[{number - 1}]] #t{number % 7}\n" * 20)
    child = subprocess.Popen(
        [sys.executable, "-c", _INDEXING, str(root), str(tmp_path / "index.db"), str(many)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", "tests"])},
    )
    assert child.stdout is not None
    with child:
        for _ in range(batches):
            assert child.stdout.readline()
        beside = _children(child.pid)
        child.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(map(_runs, beside)))
    for number in range(0, NOTES, 9):
        (root / f"{number}.md").unlink()
    (root / "new.md").write_text("[[1]]")
    vault = Vault(root)
    database, indexer = open_index(tmp_path / "index.db", vault)
    outcome = indexer.reconcile()
    assert not outcome.unreadable
    assert dump(database) == fresh_dump(vault, tmp_path)
