"""What a killed process left is put right by the others, without a start."""

import threading
import time
from pathlib import Path

from weave_nn.services.files.service import EditLedger, Housekeeper
from weave_nn.vault.journal import Plan, write
from weave_nn.vault.steps import Op, Step, run
from weave_nn.vault.store import Vault, etag_of


def test_an_interrupted_change_is_undone_while_others_work(tmp_path: Path) -> None:
    root, journal = tmp_path / "vault", tmp_path / "journal"
    root.mkdir()
    journal.mkdir()
    (root / "a.md").write_text("as it was")
    step = Step(Op.MOVE, "b.md", "a.md", etag_of(b"as it was"), None, "b.md")
    write(journal, root, Plan((step,), ()))
    run(root, step)
    assert not (root / "a.md").exists()
    housekeeper = Housekeeper(Vault(root), journal, EditLedger(tmp_path / "edits"), every_seconds=0.01)
    housekeeper.start()
    deadline, pause = time.monotonic() + 60, threading.Event()
    while list(journal.glob("*.json")):
        assert time.monotonic() < deadline
        pause.wait(0.01)
    assert housekeeper.stop()
    assert (root / "a.md").read_text() == "as it was"
    assert not (root / "b.md").exists()
