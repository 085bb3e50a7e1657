"""A process that is killed, or whose disk is full, leaves the vault wholly as before or wholly as after."""

import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from weave_nn.vault import atomic
from weave_nn.vault.changes import ABSENT, Delete, Move, Trash, Write, apply, recover, sweep
from weave_nn.vault.errors import ScanFailed, StorageFull, VaultUnusable, WriteFailed
from weave_nn.vault.journal import Plan, Recovery, commit, write
from weave_nn.vault.steps import Op, Step, run
from weave_nn.vault.store import Vault, etag_of

FILES = 12

# Each round rewrites all notes, moves one, trashes one, makes one in a new folder, all to the same generation.
WRITER = f"""
import itertools, sys
from pathlib import Path
from weave_nn.vault.changes import ABSENT, Move, Trash, Write, apply
from weave_nn.vault.store import Vault

vault, journal, first = Vault(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
for generation in itertools.count(first):
    text = b"generation %d" % generation
    apply(
        vault,
        [Write(f"{{number}}.md", text, None) for number in range({FILES})]
        + [
            Move(f"moved {{generation - 1}}.md", f"moved {{generation}}.md", None),
            Trash(f"made {{generation - 1}}/note.md", None),
            Write(f"made {{generation}}/note.md", text, ABSENT),
        ],
        journal=journal,
    )
"""


def _generation(vault: Vault) -> int:
    """The one generation that everything in the vault is of."""
    files = vault.scan().files
    contents = {vault.read(f"{number}.md").content for number in range(FILES)}
    assert len(contents) == 1
    generation = int(contents.pop().split()[1])
    others = {path for path in files if not path.removesuffix(".md").isdigit()}
    assert others == {f"moved {generation}.md", f"made {generation}/note.md"}
    assert vault.read(f"made {generation}/note.md").content == b"generation %d" % generation
    assert vault.read(f"moved {generation}.md").content == b"constant"
    assert len(list((vault.root / ".trash").rglob("*.md"))) == generation
    return generation


def test_a_process_killed_at_any_point_leaves_all_or_nothing(tmp_path: Path) -> None:
    root, journal = tmp_path / "vault", tmp_path / "journal"
    root.mkdir()
    vault = Vault(root)
    notes = [Write(f"{number}.md", b"generation 0", ABSENT) for number in range(FILES)]
    extra = [Write("moved 0.md", b"constant", ABSENT), Write("made 0/note.md", b"generation 0", ABSENT)]
    apply(vault, [*notes, *extra], journal=journal)
    (root / ".trash").mkdir()
    generation, interrupted, pause = 0, 0, random.Random(1)  # noqa: S311 - only spreads the moments of the kills
    for _ in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root), str(journal), str(generation + 1)], stdout=subprocess.PIPE
        ) as child:
            assert child.stdout
            assert child.stdout.readline() == b"ready\n"
            time.sleep(pause.uniform(0, 0.06))  # The moment of the kill is what is drawn here; nothing is waited for.
            child.send_signal(signal.SIGKILL)
        recovery = recover(vault, journal)
        assert recovery.messages == ()
        interrupted += recovery.undone + recovery.completed
        sweep(vault, older_than_seconds=-1)
        assert not list(root.rglob(".weave-*"))
        assert not list((root / ".trash").rglob("recovered*"))
        after = _generation(vault)
        assert after >= generation
        generation = after
    assert generation
    assert interrupted


def _vault(tmp_path: Path) -> Vault:
    root = tmp_path / "vault"
    root.mkdir()
    for name in ("a", "b", "c", "d"):
        (root / f"{name}.md").write_bytes(name.encode() + b"1")
    return Vault(root)


def _plan(vault: Vault) -> Plan:
    """Replace a, make n/e, move b to n/b, remove c; with its content staged."""
    (vault.root / ".weave-1-a.tmp").write_bytes(b"a2")
    (vault.root / ".weave-1-e.tmp").write_bytes(b"e2")
    hashes = {text: etag_of(text.encode()) for text in ("a1", "a2", "b1", "c1", "e2")}
    return Plan(
        (
            Step(Op.REPLACE, "a.md", ".weave-1-a.tmp", hashes["a1"], hashes["a2"], "a.md"),
            Step(Op.CREATE, "n/e.md", ".weave-1-e.tmp", None, hashes["e2"], "n/e.md"),
            Step(Op.MOVE, "n/b.md", "b.md", hashes["b1"], None, "b.md"),
            Step(Op.REMOVE, "c.md", ".weave-1-c.tmp", hashes["c1"], None, "c.md"),
        ),
        ("n",),
    )


def _interrupted(vault: Vault, journal: Path, done: int) -> Path:
    plan = _plan(vault)
    journal.mkdir()
    file = write(journal, vault.root, plan)
    (vault.root / "n").mkdir()
    for step in plan.steps[:done]:
        run(vault.root, step)
    return file


def _tree(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


BEFORE = {"a.md": b"a1", "b.md": b"b1", "c.md": b"c1", "d.md": b"d1"}
AFTER = {"a.md": b"a2", "n/b.md": b"b1", "n/e.md": b"e2", "d.md": b"d1"}


@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize("done", range(5))
def test_recovery_after_each_step(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    done: int,
    portable: bool,  # noqa: FBT001 - a parameter
) -> None:
    if portable:
        monkeypatch.setattr(atomic, "_renameat2", lambda *_: 38)
    vault = _vault(tmp_path)
    _interrupted(vault, tmp_path / "journal", done)
    assert recover(vault, tmp_path / "journal") == Recovery(1, 0, ())
    assert _tree(vault.root) == BEFORE
    assert not (vault.root / "n").exists()
    assert recover(vault, tmp_path / "journal") == Recovery(0, 0, ())


def test_recovery_after_the_commit_completes(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    commit(_interrupted(vault, tmp_path / "journal", 4))
    assert recover(vault, tmp_path / "journal") == Recovery(0, 1, ())
    assert _tree(vault.root) == AFTER


def test_recovery_keeps_what_somebody_changed_since_and_names_the_other_version(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    _interrupted(vault, tmp_path / "journal", 4)
    for path in ("a.md", "c.md", "n/e.md", "n/b.md"):
        (vault.root / path).write_bytes(b"typed since")
    recovery = recover(vault, tmp_path / "journal")
    assert len(recovery.messages) == 4
    assert _tree(vault.root) == {
        "a.md": b"typed since",
        "c.md": b"typed since",
        "n/e.md": b"typed since",
        "n/b.md": b"typed since",
        "d.md": b"d1",
        ".trash/a.md": b"a1",
        ".trash/c.md": b"c1",
    }
    assert "'.trash/a.md'" in " ".join(recovery.messages)


def test_the_portable_exchange_interrupted_in_its_middle_is_finished(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    _interrupted(vault, tmp_path / "journal", 0)
    (vault.root / ".weave-1-a-kept.tmp").hardlink_to(vault.root / "a.md")
    (vault.root / ".weave-1-a.tmp").replace(vault.root / "a.md")
    assert recover(vault, tmp_path / "journal").messages == ()
    assert _tree(vault.root) == BEFORE


@pytest.mark.parametrize("text", ["{", "{}", json.dumps({"format": 1, "root": "/other", "steps": [], "folders": []})])
def test_a_journal_that_is_not_ours_stops_the_start_and_touches_nothing(tmp_path: Path, text: str) -> None:
    vault = _vault(tmp_path)
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "1.json").write_text(text)
    with pytest.raises(WriteFailed, match=r"1\.json"):
        recover(vault, tmp_path / "journal")
    assert _tree(vault.root) == BEFORE


def test_a_file_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(StorageFull):
            apply(
                vault,
                [Write("a.md", b"a2", None), Write("n/big.md", b"x" * 20_000, ABSENT)],
                journal=tmp_path / "journal",
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert _tree(vault.root) == BEFORE
    assert not (vault.root / "n").exists()


MOUNTED = """
import errno, os, sys
from pathlib import Path
from weave_nn.vault.changes import ABSENT, Delete, Move, Restore, Trash, Write, apply
from weave_nn.vault.errors import StorageFull
from weave_nn.vault.store import Vault

vault, journal = Vault(Path(sys.argv[1])), Path(sys.argv[2])
(gone,) = apply(vault, [Trash("a.md", None)], journal=journal)
assert gone.path == ".trash/a.md" and not (vault.root / "a.md").exists()
assert (vault.root / ".trash/a.md").stat().st_dev != vault.root.stat().st_dev
apply(vault, [Restore(".trash/a.md")], journal=journal)
assert vault.read("a.md").content == b"a1"
apply(vault, [Write("big.bin", b"x" * 3_000_000, ABSENT)], journal=journal)
try:
    apply(vault, [Write("b.md", b"b2", None), Trash("big.bin", None)], journal=journal)
except StorageFull:
    assert vault.read("b.md").content == b"b1" and vault.stat("big.bin").size == 3_000_000
    assert list((vault.root / ".trash").iterdir()) == []
    print("done")
"""


def test_a_trash_on_another_disk_works_and_a_full_one_changes_nothing(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    trash = vault.root / ".trash"
    trash.mkdir()
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("mounting needs user namespaces")
    command = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" -c "$3" "$4" "$5"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, "sh", trash, sys.executable, MOUNTED, vault.root, tmp_path / "journal"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "done\n", done.stderr


def test_an_unmounted_vault_is_neither_scanned_as_empty_nor_written(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    vault.root.rename(tmp_path / "away")
    vault.root.mkdir()
    with pytest.raises(ScanFailed):
        vault.scan()
    for change in (Write("a.md", b"x", None), Delete("a.md", None), Move("a.md", "b.md", None), Trash("a.md", None)):
        with pytest.raises(VaultUnusable, match="taken the place"):
            apply(vault, [change], journal=tmp_path / "journal")
    assert _tree(vault.root) == {}
