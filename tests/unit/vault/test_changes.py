"""Changes happen as a whole or not at all, never over an unseen version, and keep what a file had."""

import errno
import os
import stat
import threading
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weave_nn.shared.errors import Conflict, Forbidden, InvalidInput, TooLarge
from weave_nn.vault import atomic, steps
from weave_nn.vault.changes import (
    ABSENT,
    Applied,
    Change,
    Delete,
    Move,
    Restore,
    Trash,
    Write,
    apply,
    recover,
    stage,
    sweep,
)
from weave_nn.vault.errors import AlreadyExists, NotAFile, NotAFolder, NoteNotFound, PathRefused, StaleVersion
from weave_nn.vault.scan import scan
from weave_nn.vault.store import Vault, etag_of
from weave_nn.vault.trash import candidates, original


def tree(root: Path) -> dict[str, bytes]:
    """Every file below the root with its content, and every empty folder."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else b"(folder)"
        for path in root.rglob("*")
        if path.is_file() or not any(path.iterdir())
    }


@pytest.fixture(params=["renameat2", "portable"])
def vault(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    if request.param == "portable":
        monkeypatch.setattr(atomic, "_renameat2", lambda *_: errno.ENOSYS)
    root = tmp_path / "vault"
    root.mkdir()
    (root / "a.md").write_bytes(b"a1")
    (root / "b.md").write_bytes(b"b1")
    return Vault(root)


def change(vault: Vault, *changes: Change, hidden: bool = False) -> tuple[Applied, ...]:
    return apply(vault, changes, journal=vault.root.parent / "journal", hidden=hidden)


A1, B1 = etag_of(b"a1"), etag_of(b"b1")


@settings(max_examples=30)
@given(st.one_of(st.binary(max_size=200), st.sampled_from([b"\xef\xbb\xbfa\r\nb", b"no end", b"\xff\xfe\0", b""])))
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    vault = Vault(tmp_path_factory.mktemp("vault"))
    (made,) = change(vault, Write("New folder/été 🌱.md", content, ABSENT))
    found = vault.read("New folder/été 🌱.md")
    assert (found.content, found.etag) == (content, made.etag)
    assert made.stat == found.stat
    assert tree(vault.root) == {"New folder/été 🌱.md": content}


def test_an_update_needs_the_version_that_was_seen(vault: Vault) -> None:
    (done,) = change(vault, Write("a.md", b"a2", A1))
    assert (done.previous_etag, done.etag) == (A1, etag_of(b"a2"))
    with pytest.raises(StaleVersion) as caught:
        change(vault, Write("a.md", b"a3", A1))
    assert caught.value.fields["current_etag"] == etag_of(b"a2")
    with pytest.raises(StaleVersion) as caught:
        change(vault, Write("gone.md", b"x", A1))
    assert caught.value.fields["current_etag"] is None
    with pytest.raises(AlreadyExists):
        change(vault, Write("a.md", b"a3", ABSENT))
    change(vault, Write("a.md", b"a4", None))
    assert tree(vault.root) == {"a.md": b"a4", "b.md": b"b1"}


@pytest.mark.parametrize("several", [False, True])
def test_a_save_in_the_very_moment_of_the_change_is_never_lost(
    vault: Vault,
    monkeypatch: pytest.MonkeyPatch,
    several: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Somebody saves after all checks, just before the swap."""
    monkeypatch.undo()  # The portable way has this window, as it says.
    real = steps._replace

    def saved_before(root: Path, step: steps.Step, target: Path, other: Path) -> None:
        target.with_name("editor").write_bytes(b"typed by a person")
        target.with_name("editor").replace(target)
        real(root, step, target, other)

    monkeypatch.setattr(steps, "_replace", saved_before)
    with pytest.raises(StaleVersion) as caught:
        change(vault, *([Write("n.md", b"n", ABSENT)] if several else []), Write("a.md", b"a2", A1))
    assert caught.value.fields["current_etag"] == etag_of(b"typed by a person")
    assert tree(vault.root) == {"a.md": b"typed by a person", "b.md": b"b1"}


def test_of_many_writers_who_saw_the_same_version_exactly_one_wins(vault: Vault) -> None:
    etag, turn, barrier = A1, 0, threading.Barrier(8)

    def attempt(number: int) -> bytes | None:
        barrier.wait()
        content = b"turn %d from %d" % (turn, number)
        try:
            change(vault, Write("a.md", content, etag), Write(f"{number}.md", b"side", ABSENT))
        except StaleVersion:
            return None
        return content

    with ThreadPoolExecutor(8) as pool:
        for turn in range(5):  # noqa: B007 - read by the writers
            winners = [content for content in pool.map(attempt, range(8)) if content]
            assert len(winners) == 1
            assert vault.read("a.md").content == winners[0]
            etag = etag_of(winners[0])
            side = f"{winners[0].decode()[-1]}.md"
            assert set(tree(vault.root)) == {"a.md", "b.md", side}
            change(vault, Delete(side, None))


def test_a_list_that_cannot_be_finished_changes_nothing(vault: Vault) -> None:
    before = tree(vault.root)
    (vault.root / "taken").write_bytes(b"a file")
    attempts: list[tuple[Change, type[Exception]]] = [
        (Write("b.md", b"b2", A1), StaleVersion),
        (Move("missing.md", "c.md", None), NoteNotFound),
        (Move("b.md", "new/a.md", None), AlreadyExists),
        (Write("taken/x.md", b"x", ABSENT), NotAFolder),
        (Write("../x.md", b"x", ABSENT), PathRefused),
        (Write("new", b"x", ABSENT), Conflict),
        (Delete("b.md", A1), StaleVersion),
    ]
    for last, error in attempts:
        with pytest.raises(error):
            change(vault, Write("a.md", b"a2", A1), Write("new/a.md", b"n", ABSENT), last)
        assert tree(vault.root) == before | {"taken": b"a file"}
    assert {file.name for file in (vault.root.parent / "journal").iterdir()} <= {"lock"}


def test_later_changes_of_a_list_see_the_earlier_ones(vault: Vault) -> None:
    done = change(
        vault,
        Move("a.md", "deep/er/a.md", A1),
        Write("deep/er/a.md", b"a2", A1),
        Write("b.md", b"link to deep", B1),
        Write("a.md", b"new a", ABSENT),
        Move("b.md", "c.md", etag_of(b"link to deep")),
    )
    assert (done[0].path, done[0].source) == ("deep/er/a.md", "a.md")
    assert tree(vault.root) == {"deep/er/a.md": b"a2", "c.md": b"link to deep", "a.md": b"new a"}
    assert done[1].stat == vault.stat("deep/er/a.md")


def test_two_notes_change_places(vault: Vault) -> None:
    change(vault, Move("a.md", "t.md", A1), Move("b.md", "a.md", B1), Move("t.md", "b.md", A1))
    assert tree(vault.root) == {"a.md": b"b1", "b.md": b"a1"}


def test_a_move_never_replaces_and_a_stale_one_does_nothing(vault: Vault) -> None:
    for attempt, error in (
        (Move("a.md", "b.md", A1), AlreadyExists),
        (Move("a.md", "c.md", B1), StaleVersion),
        (Move("a.md", "a.md", A1), InvalidInput),
    ):
        with pytest.raises(error):
            change(vault, attempt)
    assert tree(vault.root) == {"a.md": b"a1", "b.md": b"b1"}


def test_permission_bits_and_attributes_are_kept_and_new_files_follow_the_umask(vault: Vault) -> None:
    file = vault.root / "a.md"
    file.chmod(0o640)
    try:
        os.setxattr(file, "user.colour", b"red")
        attributes = {"user.colour": b"red"}
    except OSError:
        attributes = {}
    change(vault, Write("a.md", b"a2", A1))
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert {name: os.getxattr(file, name) for name in attributes} == attributes
    before = os.umask(0o027)
    try:
        change(vault, Write("n.md", b"n", ABSENT))
    finally:
        os.umask(before)
    assert stat.S_IMODE((vault.root / "n.md").stat().st_mode) == 0o640


def test_a_decomposed_name_is_written_in_place_and_makes_no_second_note(vault: Vault) -> None:
    name = unicodedata.normalize("NFD", "Été.md")
    (vault.root / name).write_bytes(b"1")
    change(vault, Write("Été.md", b"2", etag_of(b"1")))
    with pytest.raises(AlreadyExists):
        change(vault, Write("Été.md", b"3", ABSENT))
    assert tree(vault.root) == {"a.md": b"a1", "b.md": b"b1", name: b"2"}


def test_a_link_inside_the_vault_stays_a_link_and_its_target_is_written(vault: Vault) -> None:
    (vault.root / "link.md").symlink_to("a.md")
    change(vault, Write("link.md", b"a2", A1))
    assert (vault.root / "link.md").is_symlink()
    assert (vault.root / "a.md").read_bytes() == b"a2"
    for attempt in (Delete("link.md", None), Move("link.md", "c.md", None), Trash("link.md", None)):
        with pytest.raises(Conflict, match="link"):
            change(vault, attempt)


def test_nothing_is_written_through_a_link_that_leaves(vault: Vault) -> None:
    outside = vault.root.parent / "outside"
    outside.mkdir()
    (outside / "x.md").write_bytes(b"x")
    (vault.root / "out").symlink_to(outside)
    (vault.root / "file.md").symlink_to(outside / "new.md")
    for path in ("out/x.md", "out/new.md", "out/new/new.md", "file.md"):
        with pytest.raises(NoteNotFound):
            change(vault, Write(path, b"y", None))
    with pytest.raises(NoteNotFound):
        change(vault, Move("a.md", "out/a.md", None))
    assert tree(outside) == {"x.md": b"x"}


def test_hidden_files_are_written_only_when_asked_for(vault: Vault) -> None:
    with pytest.raises(PathRefused):
        change(vault, Write(".obsidian/x.json", b"{}", ABSENT))
    with pytest.raises(PathRefused):
        change(vault, Move("a.md", ".obsidian/a.md", None))
    change(vault, Write(".obsidian/x.json", b"{}", ABSENT), hidden=True)
    with pytest.raises(PathRefused):
        change(vault, Write(".git/hooks/post-commit", b"#!", ABSENT), hidden=True)


def test_trash_and_restore_keep_every_file_and_its_place(vault: Vault) -> None:
    contents = [b"first", b"second", b"third"]
    trashed = []
    for content in contents:
        change(vault, Write("in/note.md", content, ABSENT))
        (done,) = change(vault, Trash("in/note.md", etag_of(content)))
        trashed.append(done.path)
    assert trashed == [".trash/in/note.md", ".trash/in/note.trashed-2.md", ".trash/in/note.trashed-3.md"]
    assert sorted(scan(vault.root, ".trash").files) == sorted(trashed)
    (restored,) = change(vault, Restore(trashed[1]))
    assert (restored.path, vault.read("in/note.md").content) == ("in/note.md", b"second")
    with pytest.raises(AlreadyExists):
        change(vault, Restore(trashed[2]))
    change(vault, Restore(trashed[2], "elsewhere.md"), Delete("b.md", B1))
    assert tree(vault.root) == {
        "a.md": b"a1",
        "in/note.md": b"second",
        "elsewhere.md": b"third",
        ".trash/in/note.md": b"first",
    }
    for attempt in (Restore("a.md"), Restore(".trash/../a.md")):
        with pytest.raises(InvalidInput):
            change(vault, attempt)


def test_two_files_of_one_list_share_a_name_in_the_trash(vault: Vault) -> None:
    change(vault, Trash("a.md", A1), Move("b.md", "a.md", B1), Trash("a.md", B1))
    assert tree(vault.root) == {".trash/a.md": b"a1", ".trash/a.trashed-2.md": b"b1"}


@given(
    st.sampled_from(
        ["note.md", "note.trashed-2.md", "a/b.tar.gz", "no suffix", "x.trashed-9", ".hidden", "é" * 100 + ".md"]
    ),
    st.integers(0, 20),
)
def test_a_name_in_the_trash_tells_where_the_file_was(path: str, number: int) -> None:
    names = candidates(path)
    assert original([next(names) for _ in range(number + 1)][-1]) == path


def test_streamed_content_is_bounded_and_leaves_nothing_when_it_fails(vault: Vault) -> None:
    content = stage(vault, "big.bin", (b"x" * 1000 for _ in range(100)), limit_bytes=100_000)
    assert (content.size, content.etag) == (100_000, etag_of(b"x" * 100_000))
    change(vault, Write("big.bin", content, ABSENT))
    assert vault.stat("big.bin").size == 100_000

    def broken() -> Iterator[bytes]:
        yield b"x"
        raise ConnectionResetError

    before = tree(vault.root)
    with pytest.raises(TooLarge):
        stage(vault, "more/big.bin", (b"x" * 1000 for _ in range(100)), limit_bytes=99_999)
    with pytest.raises(ConnectionResetError):
        stage(vault, "more/big.bin", broken())
    assert tree(vault.root) == before
    unused = stage(vault, "a.md", [b"a2"])
    with pytest.raises(StaleVersion):
        change(vault, Write("a.md", unused, B1))
    assert tree(vault.root) == before


def test_a_read_only_vault_and_a_folder_are_not_written(vault: Vault) -> None:
    (vault.root / "folder").mkdir()
    with pytest.raises(NotAFile):
        change(vault, Write("folder", b"x", None))
    with pytest.raises(NotAFile):
        change(vault, Trash("folder", None))
    with pytest.raises(Forbidden):
        change(Vault(vault.root, read_only=True), Write("a.md", b"x", None))
    assert tree(vault.root) == {"a.md": b"a1", "b.md": b"b1", "folder": b"(folder)"}


def test_temporary_files_are_seen_by_no_scan_and_swept_when_old_but_a_last_copy_is_kept(vault: Vault) -> None:
    staged = stage(vault, "a.md", [b"never used"])
    (vault.root / ".weave-0123456789ab-filling.tmp").write_bytes(b"half")
    (vault.root / ".weave-0123456789ab-0123456789abcdef.tmp").write_bytes(b"swapped out, then the process died")
    assert set(vault.scan().files) == {"a.md", "b.md"}
    assert sweep(vault) == ()
    assert staged.file.exists()
    (kept,) = sweep(vault, older_than_seconds=-1)
    assert tree(vault.root) == {"a.md": b"a1", "b.md": b"b1", kept: b"swapped out, then the process died"}
    assert kept.startswith(".trash/")


def test_recovery_with_nothing_to_do(vault: Vault) -> None:
    recovery = recover(vault, vault.root.parent / "journal")
    assert (recovery.undone, recovery.completed, recovery.messages) == (0, 0, ())
