import os
import shutil
import unicodedata
from typing import TYPE_CHECKING

import pytest

from weave_nn.vault.errors import ScanFailed, VaultUnusable

if TYPE_CHECKING:
    from integration.files.conftest import Stand


def test_a_vault_seen_for_the_first_time_is_announced_as_a_whole(stand: "Stand") -> None:
    with stand.database.write() as work:
        work.session.connection().exec_driver_sql("DELETE FROM vault")
    for number in range(300):
        stand.write(f"notes/{number}.md", f"note {number}")
    assert stand.settle() == [("reindexed", "")]
    assert len(stand.files.list_files(limit=1000).files) == 300
    assert stand.settle() == []


def test_what_others_did_is_announced_once(stand: "Stand") -> None:
    stand.write("a.md", "one")
    stand.write("sub/b.md", "two")
    assert stand.settle() == [("created", "a.md"), ("created", "sub/b.md")]
    stand.write("a.md", "another")
    (stand.root / "sub/b.md").unlink()
    assert stand.settle() == [("updated", "a.md"), ("deleted", "sub/b.md")]
    assert stand.settle() == []


def test_our_own_writes_are_announced_once(stand: "Stand") -> None:
    stand.files.create_file("a.md", b"one")
    stand.files.write_file("a.md", b"two")
    stand.files.move_file("a.md", "b.md")
    stand.files.delete_file("b.md")
    assert stand.told() == [("created", "a.md"), ("updated", "a.md"), ("renamed", "b.md"), ("deleted", "b.md")]
    assert stand.settle() == []


def test_a_rename_is_recognised_by_its_content(stand: "Stand") -> None:
    stand.write("old name.md", "some text")
    stand.settle()
    (stand.root / "new").mkdir()
    (stand.root / "old name.md").rename(stand.root / "new/name.md")
    assert stand.settle() == [("renamed", "new/name.md")]


def test_a_renamed_folder_is_a_rename_of_each_file(stand: "Stand") -> None:
    for number in range(5):
        stand.write(f"before/{number}.md", f"note {number}")
    stand.settle()
    (stand.root / "before").rename(stand.root / "after")
    assert stand.settle() == [("renamed", f"after/{number}.md") for number in range(5)]


def test_files_of_equal_content_are_not_taken_for_renames(stand: "Stand") -> None:
    stand.write("a.md", "")
    stand.write("b.md", "")
    stand.settle()
    (stand.root / "a.md").unlink()
    (stand.root / "b.md").unlink()
    stand.write("c.md", "")
    assert sorted(stand.settle()) == [("created", "c.md"), ("deleted", "a.md"), ("deleted", "b.md")]


def test_a_copy_is_no_rename(stand: "Stand") -> None:
    stand.write("a.md", "text")
    stand.settle()
    shutil.copy(stand.root / "a.md", stand.root / "b.md")
    assert stand.settle() == [("created", "b.md")]


def test_saving_without_a_change_is_not_announced(stand: "Stand") -> None:
    file = stand.write("a.md", "text")
    stand.settle()
    os.utime(file, (1, 1))
    assert stand.settle() == []
    assert stand.files.list_files().files[0].modified.year == 1970


def test_a_folder_that_cannot_be_listed_is_no_deletion(stand: "Stand", monkeypatch: pytest.MonkeyPatch) -> None:
    stand.write("sub/a.md", "text")
    stand.settle()
    real = os.scandir

    def failing(path: str) -> object:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(ScanFailed):
        stand.settle()
    monkeypatch.undo()
    assert stand.told() == []
    assert stand.settle() == []


def test_a_vault_that_was_unmounted_is_not_empty(stand: "Stand") -> None:
    stand.write("a.md", "text")
    stand.settle()
    stand.root.rename(stand.root.with_name("elsewhere"))
    stand.root.mkdir()
    with pytest.raises(ScanFailed):
        stand.settle()
    with pytest.raises(VaultUnusable):
        stand.observer.observe(["a.md"])
    stand.root.rmdir()
    stand.root.with_name("elsewhere").rename(stand.root)
    assert stand.told() == []
    assert stand.settle() == []


def test_a_note_accepted_during_a_scan_is_not_removed_by_it(stand: "Stand") -> None:
    survey = stand.observer.survey()
    stand.files.create_file("a.md", b"text")
    stand.told()
    stand.observer.observe([*survey.present, *survey.gone, "a.md"])
    assert stand.told() == []
    assert stand.files.read_file("a.md").content == b"text"


def test_a_name_in_another_unicode_form_is_the_same_file(stand: "Stand") -> None:
    stand.write(unicodedata.normalize("NFD", "Käse.md"), "eins")
    assert stand.settle() == [("created", "Käse.md")]
    stand.files.write_file(unicodedata.normalize("NFC", "Käse.md"), b"zwei")
    assert len(list(stand.root.iterdir())) == 1
    assert stand.settle() == [("updated", "Käse.md")]


def test_hidden_files_are_nobodys_business(stand: "Stand") -> None:
    stand.write(".obsidian/app.json", "{}")
    stand.write(".git/config", "")
    stand.observer.observe([".obsidian/app.json"])
    assert stand.settle() == []


def test_indexing_leaves_every_byte_as_it_is(stand: "Stand") -> None:
    hard = {
        "crlf.md": b"---\r\ntitle: x  # why\r\n---\r\nline\r\n",
        "bom.md": b"\xef\xbb\xbf# Title",
        "bad.md": b"\xff\xfe broken \x00",
        "yaml.md": b"---\n: : bad\n---\ntext",
    }
    for name, content in hard.items():
        (stand.root / name).write_bytes(content)
    marks = {name: (stand.root / name).stat().st_mtime_ns for name in hard}
    stand.settle()
    for name, content in hard.items():
        assert (stand.root / name).read_bytes() == content
        assert (stand.root / name).stat().st_mtime_ns == marks[name]
