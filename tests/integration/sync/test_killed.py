import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from integration.sync.indexes import dump, fresh_dump, open_index
from weave_nn.vault.store import Vault

NOTES = 400
_INDEXING = """
import sys
from pathlib import Path
from integration.sync.indexes import open_index
from weave_nn.vault.store import Vault
_, indexer = open_index(Path(sys.argv[2]), Vault(Path(sys.argv[1])))
indexer.reconcile(progress=lambda done, total: print(done, flush=True))
"""


@pytest.mark.parametrize("batches", [0, 1, 3])
def test_killed_while_indexing_the_index_ends_up_equal_to_a_fresh_one(tmp_path: Path, batches: int) -> None:
    root = tmp_path / "vault"
    root.mkdir()
    for number in range(NOTES):
        (root / f"{number}.md").write_text(f"# Note {number}\n[[{number + 1}]] [[{number - 1}]] #t{number % 7}\n" * 20)
    child = subprocess.Popen(
        [sys.executable, "-c", _INDEXING, str(root), str(tmp_path / "index.db")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", "tests"])},
    )
    assert child.stdout is not None
    with child:
        for _ in range(batches):
            assert child.stdout.readline()
        child.send_signal(signal.SIGKILL)
    for number in range(0, NOTES, 9):
        (root / f"{number}.md").unlink()
    (root / "new.md").write_text("[[1]]")
    vault = Vault(root)
    database, indexer = open_index(tmp_path / "index.db", vault)
    outcome = indexer.reconcile()
    assert not outcome.unreadable
    assert dump(database) == fresh_dump(vault, tmp_path)
