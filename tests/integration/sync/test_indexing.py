import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integration.sync.indexes import dump, fresh_dump, open_index
from weave_nn.services.sync.service.indexing import BATCH_NOTES, Indexer
from weave_nn.shared.errors import Unavailable
from weave_nn.vault.store import Vault

PATHS = ("A.md", "B.md", "x/A.md", "x/B.md", "y/z/A.md", "y/C.md", "pic.png", "x/pic.png")
TEXTS = (
    "",
    "# A\n[[B]] and [[x/A]] #tag\n",
    "---\naliases: [Other]\ntags: [area/home]\nrating: 3\n---\n![[pic.png]] [[Missing]] [[#Top]]\n",
    "- [ ] open\n- [x] done ^id\n\n[b](B.md) [[C|see]]\n",
    "日本語のノート [[A]] 😀\n",
    "bytes \x00 and [[a]]",
)
STEP = st.tuples(
    st.sampled_from(["write", "rename", "delete"]),
    st.sampled_from(PATHS),
    st.sampled_from(PATHS),
    st.sampled_from(TEXTS),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "vault"
    folder.mkdir()
    return folder


def make(root: Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)


def perform(root: Path, step: tuple[str, str, str, str]) -> list[str]:
    """Change the vault; gives the paths that an event would name."""
    verb, path, other, content = step
    target = root / path
    match verb:
        case "write":
            make(root, {path: content})
            return [path]
        case "rename" if target.exists() and path != other:
            (root / other).parent.mkdir(parents=True, exist_ok=True)
            target.rename(root / other)
            return [path, other]
        case "delete" if target.exists():
            target.unlink()
            return [path]
        case _:
            return []


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.tuples(STEP, st.sampled_from(["event", "bulk", "later"])), max_size=12))
def test_after_any_changes_the_index_equals_a_fresh_one(
    steps: list[tuple[tuple[str, str, str, str], str]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "vault").mkdir()
        vault = Vault(folder / "vault")
        database, indexer = open_index(folder / "index.db", vault)
        for step, noticed in steps:
            paths = perform(vault.root, step)
            if noticed == "bulk":
                indexer.reconcile()
            elif noticed == "event" and paths:
                with database.write() as work:
                    indexer.look_at(work, paths)
        indexer.reconcile()
        assert dump(database) == fresh_dump(vault, folder)
        database.close()


def test_reads_only_what_has_changed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What was written a moment ago is otherwise looked at again.
    monkeypatch.setattr("weave_nn.vault.scan._SETTLED_NS", -1)
    make(root, {f"{number}.md": f"note {number}" for number in range(10)} | {"pic.png": "x"})
    _, indexer = open_index(tmp_path / "index.db", Vault(root))
    assert indexer.reconcile().read == 10
    make(root, {"3.md": "changed"})
    (root / "4.md").unlink()
    again = indexer.reconcile()
    assert (again.read, again.removed, again.files) == (1, 1, 10)
    assert indexer.reconcile().read == 0


def test_a_change_that_keeps_size_and_time_is_seen(root: Path, tmp_path: Path) -> None:
    vault = Vault(root)
    make(root, {"A.md": "first"})
    os.utime(root / "A.md", ns=(1, 1))
    database, indexer = open_index(tmp_path / "index.db", vault)
    indexer.reconcile()
    make(root, {"A.md": "other"})
    os.utime(root / "A.md", ns=(1, 1))
    indexer.reconcile()
    assert dump(database) == fresh_dump(vault, tmp_path)


class Interfering(Vault):
    """A vault in which somebody acts right after a file was read."""

    after_read: Callable[[], None] | None = None

    def read(self, path: str, **options: object) -> object:  # type: ignore[override]  # the real one is called
        content = super().read(path, **options)  # type: ignore[arg-type]  # they are passed through
        act, self.after_read = self.after_read, None
        if act is not None:
            act()
        return content


@pytest.mark.parametrize("bulk", [True, False])
def test_a_note_that_changes_between_reading_and_writing_is_read_again(
    root: Path, tmp_path: Path, *, bulk: bool
) -> None:
    vault = Interfering(root)
    make(root, {"A.md": "first"})
    database, indexer = open_index(tmp_path / "index.db", vault)
    vault.after_read = lambda: make(root, {"A.md": "second version"})
    if bulk:
        indexer.reconcile()
    else:
        with database.write() as work:
            indexer.look_at(work, ["A.md"])
    assert dump(database) == fresh_dump(vault, tmp_path)


@pytest.mark.parametrize("bulk", [True, False])
def test_a_note_that_goes_between_reading_and_writing_is_not_indexed(root: Path, tmp_path: Path, *, bulk: bool) -> None:
    vault = Interfering(root)
    make(root, {"A.md": "first"})
    database, indexer = open_index(tmp_path / "index.db", vault)
    vault.after_read = (root / "A.md").unlink
    if bulk:
        indexer.reconcile()
    else:
        with database.write() as work:
            indexer.look_at(work, ["A.md"])
    assert dump(database)["file"] == []


class Unreadable(Vault):
    """A vault whose A.md may not be read."""

    def read(self, path: str, **options: object) -> object:  # type: ignore[override]  # the real one is called
        if path == "A.md":
            raise Unavailable("'A.md' cannot be read.")
        return super().read(path, **options)  # type: ignore[arg-type]  # they are passed through


def test_an_unreadable_note_is_reported_and_the_rest_is_indexed(root: Path, tmp_path: Path) -> None:
    make(root, {"A.md": "one", "B.md": "two"})

    database, indexer = open_index(tmp_path / "index.db", Unreadable(root))
    outcome = indexer.reconcile()
    assert list(outcome.unreadable) == ["A.md"]
    assert [row[0] for row in dump(database)["note"]] == ["B.md"]


def test_stops_when_asked_and_goes_on_later(root: Path, tmp_path: Path) -> None:
    vault = Vault(root)
    make(root, {f"{number:03}.md": f"[[{number - 1:03}]]" for number in range(250)})
    database, indexer = open_index(tmp_path / "index.db", vault)
    done: list[tuple[int, int]] = []
    first = indexer.reconcile(progress=lambda *counts: done.append(counts), stop=lambda: len(done) == 1)
    assert done == [(BATCH_NOTES, 250)]
    assert first.read == BATCH_NOTES
    assert indexer.reconcile().read >= 250 - BATCH_NOTES
    assert dump(database) == fresh_dump(vault, tmp_path)


def test_an_index_of_another_version_is_made_anew(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(root, {"A.md": "one"})
    os.utime(root / "A.md", ns=(1, 1))
    _, indexer = open_index(tmp_path / "index.db", Vault(root))
    indexer.reconcile()
    monkeypatch.setattr("weave_nn.services.sync.service.indexing.INDEX_VERSION", 2)
    assert indexer.reconcile().read == 1


def test_two_vaults_in_one_database_are_apart(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    make(root, {"A.md": "[[B]]", "B.md": ""})
    make(other, {"A.md": "[[B]]"})
    database, indexer = open_index(tmp_path / "index.db", Vault(root))
    indexer.reconcile()
    Indexer(database, Vault(other), "second").reconcile()
    indexer.reconcile()
    targets = sorted(str(row[2]) for row in dump(database)["link"])
    assert targets == ["B.md", "None"]


def test_writers_wait_for_one_batch_at_most(root: Path, tmp_path: Path) -> None:
    make(root, {f"{number}.md": "word " * 500 for number in range(300)})
    database, indexer = open_index(tmp_path / "index.db", Vault(root))
    between: list[int] = []

    def write_beside(done: int, _total: int) -> None:
        with database.write() as work:
            indexer.look_at(work, ["0.md"])
        between.append(done)

    indexer.reconcile(progress=write_beside)
    assert len(between) >= 2
