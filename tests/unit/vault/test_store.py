"""Reading a vault: every spelling is found, no link leads out, and a failed scan is never an empty vault."""

import os
import resource
import unicodedata
from pathlib import Path

import pytest

from weave_nn.shared.errors import TooLarge, Unavailable
from weave_nn.vault.errors import NotAFile, NoteNotFound, PathRefused, ScanFailed, VaultUnusable
from weave_nn.vault.store import Vault, etag_of

NFD = unicodedata.normalize("NFD", "Été.md")
NFC = unicodedata.normalize("NFC", NFD)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "vault"
    (root / "Folder").mkdir(parents=True)
    (root / "Folder" / "Note.md").write_bytes(b"\xef\xbb\xbfone\r\ntwo")
    (root / ".obsidian").mkdir()
    (root / ".obsidian" / "app.json").write_bytes(b"{}")
    (tmp_path / "secret.md").write_bytes(b"secret")
    return root


def test_reads_are_byte_exact_and_carry_the_hash(root: Path) -> None:
    found = Vault(root).read("Folder/Note.md")
    assert found.content == b"\xef\xbb\xbfone\r\ntwo"
    assert found.etag == etag_of(found.content)
    assert (found.stat.path, found.stat.size) == ("Folder/Note.md", 11)
    assert Vault(root).stat("Folder/Note.md") == found.stat


def test_a_name_in_decomposed_form_is_found_by_either_form_and_listed_composed(root: Path) -> None:
    (root / unicodedata.normalize("NFD", "Köln")).mkdir()
    (root / unicodedata.normalize("NFD", "Köln") / NFD).write_bytes(b"x")
    vault = Vault(root)
    for form in ("NFC", "NFD"):
        assert vault.read(unicodedata.normalize(form, "Köln/" + NFC)).content == b"x"
    assert f"Köln/{NFC}" in vault.scan().files
    assert vault.folder().folders == ("Folder", "Köln")
    assert vault.folder("Köln").files[0].path == f"Köln/{NFC}"


def test_of_two_files_whose_names_differ_in_form_alone_the_composed_one_is_served_and_the_other_reported(
    root: Path,
) -> None:
    (root / NFD).write_bytes(b"decomposed")
    (root / NFC).write_bytes(b"composed")
    vault = Vault(root)
    assert vault.read(NFD).content == b"composed"
    assert [skipped.reason for skipped in vault.scan().skipped] == [
        "another file has the same name in another Unicode form"
    ]
    assert [file.path for file in vault.folder().files] == [NFC]


def test_a_link_out_of_the_vault_looks_like_a_missing_file(root: Path) -> None:
    (root / "out.md").symlink_to(root.parent / "secret.md")
    (root / "up").symlink_to(root.parent)
    (root / "loop.md").symlink_to("loop.md")
    (root / "dangling.md").symlink_to("nothing.md")
    (root / "peek").symlink_to(".obsidian")
    vault = Vault(root)
    with pytest.raises(NoteNotFound) as missing:
        vault.read("missing.md")
    for path in ("out.md", "up/secret.md", "loop.md", "dangling.md", "peek/app.json"):
        with pytest.raises(NoteNotFound) as caught:
            vault.read(path)
        assert caught.value.detail.replace(path, "missing.md") == missing.value.detail
    assert set(vault.scan().files) == {"Folder/Note.md"}
    assert len(vault.scan().skipped) == 5
    assert vault.folder().files == ()


def test_links_that_stay_inside_work_and_a_loop_of_folders_ends(root: Path) -> None:
    (root / "alias.md").symlink_to("Folder/Note.md")
    (root / "Folder" / "again").symlink_to("..")
    vault = Vault(root)
    assert vault.read("alias.md").content == vault.read("Folder/Note.md").content
    assert vault.read("Folder/again/Folder/Note.md").content == vault.read("Folder/Note.md").content
    assert set(vault.scan().files) == {"alias.md", "Folder/Note.md"}


def test_hidden_files_are_read_only_when_asked_for(root: Path) -> None:
    vault = Vault(root)
    with pytest.raises(PathRefused):
        vault.read(".obsidian/app.json")
    assert vault.read(".obsidian/app.json", hidden=True).content == b"{}"
    assert set(vault.scan().files) == {"Folder/Note.md"}
    assert ".obsidian" in vault.folder(hidden=True).folders


def test_what_is_not_a_file_is_not_read(root: Path) -> None:
    os.mkfifo(root / "pipe.md")
    vault = Vault(root)
    for path in ("Folder", "pipe.md"):
        with pytest.raises(NotAFile):
            vault.read(path)
    with pytest.raises(NoteNotFound):
        vault.read("Folder/Note.md/x.md")
    assert "pipe.md" not in vault.scan().files


def test_names_that_no_vault_path_can_have_are_reported_and_do_not_stop_the_scan(root: Path) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/bad\xff.md")).write_bytes(b"x")
    (root / "aux.md").write_bytes(b"x")
    (root / "line\nbreak.md").write_bytes(b"x")
    snapshot = Vault(root).scan()
    assert set(snapshot.files) == {"Folder/Note.md"}
    assert sorted(skipped.name for skipped in snapshot.skipped) == ["'aux.md'", "'bad\\udcff.md'", "'line\\nbreak.md'"]
    assert [file.path for file in Vault(root).folder().files] == []


def test_a_large_file_is_streamed_in_ranges_with_its_etag(root: Path) -> None:
    content = os.urandom(700_000)
    (root / "big.bin").write_bytes(content)
    vault = Vault(root)
    with vault.open("big.bin") as opened:
        assert opened.etag == etag_of(content)
        assert b"".join(opened.chunks()) == content
        assert b"".join(opened.chunks(10, 300_000)) == content[10:300_000]
    with pytest.raises(TooLarge):
        vault.read("big.bin", limit_bytes=1000)


def test_a_version_stays_readable_while_it_is_replaced_but_a_torn_one_is_never_given_out(root: Path) -> None:
    (root / "big.bin").write_bytes(b"a" * 600_000)
    (root / "next.bin").write_bytes(b"b" * 600_000)
    vault = Vault(root)
    with vault.open("big.bin") as opened:
        (root / "next.bin").replace(root / "big.bin")
        assert b"".join(opened.chunks()) == b"a" * 600_000
    with vault.open("big.bin") as opened:
        with (root / "big.bin").open("ab") as file:
            file.write(b"more")
        with pytest.raises(Unavailable):
            list(opened.chunks())


def test_a_remembered_etag_is_not_given_for_a_changed_file(root: Path) -> None:
    file = root / "a.bin"
    file.write_bytes(b"1")
    vault = Vault(root)
    for content in (b"2", b"3", b"4"):
        file.write_bytes(content)
        with vault.open("a.bin") as opened:
            assert opened.etag == etag_of(content)


def test_a_vanished_or_replaced_root_fails_the_scan(root: Path) -> None:
    vault = Vault(root)
    root.rename(root.parent / "elsewhere")
    with pytest.raises(ScanFailed):
        vault.scan()
    root.mkdir()
    with pytest.raises(ScanFailed, match="taken the place"):
        vault.scan()


def test_a_folder_that_cannot_be_listed_fails_the_scan(root: Path) -> None:
    vault = Vault(root)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Permissions would not stop root; being out of file descriptors stops everybody.
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(ScanFailed, match="cannot be listed"):
            vault.scan()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert vault.scan().files


def test_a_path_too_long_for_the_system_fails_the_scan_instead_of_losing_files(root: Path) -> None:
    here = os.open(root, os.O_RDONLY)
    try:
        for _ in range(20):
            os.mkdir("x" * 250, dir_fd=here)
            below = os.open("x" * 250, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    snapshot = Vault(root).scan()
    assert "Folder/Note.md" in snapshot.files
    assert any("longer than" in skipped.reason for skipped in snapshot.skipped)


@pytest.mark.parametrize("kind", ["missing", "file", "below a file"])
def test_an_unusable_vault_is_refused_in_one_line(root: Path, kind: str) -> None:
    path = {"missing": root / "no", "file": root / "Folder/Note.md", "below a file": root / "Folder/Note.md/x"}[kind]
    with pytest.raises(VaultUnusable) as caught:
        Vault(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
