import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from weave_nn.shared.config import InvalidSetting, Settings, VaultUnusable, check_vault, load, prepare, saved_api_key

POSIX_ONLY = pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
NOT_ROOT = pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read and write everything")


def settings(vault: Path, **options: object) -> Settings:
    return load({"vault": vault, **options}).settings


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@POSIX_ONLY
def test_the_first_start_makes_a_private_key_and_an_identity_which_later_starts_keep(vault: Path) -> None:
    first, second = prepare(settings(vault)), prepare(settings(vault))
    assert first == second
    assert first.api_key_file is not None
    assert mode(first.api_key_file) == 0o600
    assert mode(first.data_dir) == 0o700
    assert len(first.api_key.get_secret_value()) >= 43
    assert first.vault_id.startswith("my-notes-")
    assert sorted(each.name for each in first.data_dir.iterdir()) == ["api-key", "vault-id", "vault-path"]


def test_processes_that_start_together_agree_on_the_key(vault: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: prepare(settings(vault)), range(64)))
    assert len({each.api_key.get_secret_value() for each in made}) == 1
    assert len({each.vault_id for each in made}) == 1


def test_on_a_file_system_without_hard_links_the_key_is_made_all_the_same(
    vault: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unsupported(*_: object) -> None:
        raise PermissionError("hard links are not supported")

    monkeypatch.setattr(os, "link", unsupported)
    assert prepare(settings(vault)) == prepare(settings(vault))


def test_a_key_from_the_settings_is_used_and_not_kept(vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVE_API_KEY", "from-outside")
    monkeypatch.setenv("WEAVE_VAULT_ID", "team-notes")
    instance = prepare(settings(vault))
    assert instance.api_key.get_secret_value() == "from-outside"
    assert instance.api_key_file is None
    assert instance.vault_id == "team-notes"
    assert [each.name for each in instance.data_dir.iterdir()] == ["vault-path"]


def test_the_key_does_not_show_in_the_instance(vault: Path) -> None:
    instance = prepare(settings(vault))
    assert instance.api_key.get_secret_value() not in repr(instance)


def test_the_saved_key_is_found_without_making_one(vault: Path) -> None:
    assert saved_api_key(settings(vault)) is None
    assert saved_api_key(load().settings) is None
    instance = prepare(settings(vault))
    assert saved_api_key(settings(vault)) == instance.api_key


@POSIX_ONLY
def test_a_key_that_others_can_read_is_closed_and_reported(vault: Path) -> None:
    key_file = prepare(settings(vault)).api_key_file
    assert key_file is not None
    key_file.chmod(0o644)
    instance = prepare(settings(vault))
    assert mode(key_file) == 0o600
    assert len(instance.warnings) == 1
    assert "mode 644" in instance.warnings[0]


@pytest.mark.parametrize("content", [b"", b"\n", b"two words\n", b"\xff\xfe"])
def test_a_damaged_key_file_is_refused_not_replaced(vault: Path, content: bytes) -> None:
    key_file = prepare(settings(vault)).api_key_file
    assert key_file is not None
    key_file.write_bytes(content)
    with pytest.raises(InvalidSetting, match="api-key does not hold one word"):
        prepare(settings(vault))
    assert key_file.read_bytes() == content


@pytest.mark.parametrize("inside", ["", ".weave", "deep/er/state"])
def test_a_data_folder_inside_the_vault_is_refused_and_not_made(vault: Path, inside: str) -> None:
    with pytest.raises(InvalidSetting, match=r"WEAVE_DATA_DIR \(.*lies inside the vault"):
        prepare(settings(vault, data_dir=vault / inside))
    assert list(vault.iterdir()) == []


def test_a_data_folder_that_reaches_the_vault_by_a_link_is_refused(vault: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(vault)
    with pytest.raises(InvalidSetting, match="lies inside the vault"):
        prepare(settings(vault, data_dir=tmp_path / "link" / "state"))
    assert list(vault.iterdir()) == []


def test_a_database_inside_the_vault_is_refused(vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{vault}/notes.db")
    instance_settings = settings(vault)
    with pytest.raises(InvalidSetting, match=r"DATABASE_URL .*lies inside the vault"):
        prepare(instance_settings)
    assert instance_settings.data_dir is not None
    assert not instance_settings.data_dir.exists()


def test_serving_a_folder_that_holds_the_default_data_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="lies inside the vault"):
        prepare(settings(tmp_path))
    assert not (tmp_path / "user-data").exists()


def test_the_data_folder_of_another_vault_is_refused(vault: Path, tmp_path: Path) -> None:
    other, state = tmp_path / "other", tmp_path / "state"
    other.mkdir()
    first = prepare(settings(vault, data_dir=state))
    with pytest.raises(InvalidSetting, match=r"is that of another vault, .*My Nötes"):
        prepare(settings(other, data_dir=state))
    assert prepare(settings(vault, data_dir=state)) == first


def test_a_vault_that_was_moved_keeps_its_state(vault: Path, tmp_path: Path) -> None:
    state, moved = tmp_path / "state", tmp_path / "Moved \udcff"
    first = prepare(settings(vault, data_dir=state))
    vault.rename(moved)
    assert prepare(settings(moved, data_dir=state)).vault_id == first.vault_id
    vault.mkdir()
    with pytest.raises(InvalidSetting, match="is that of another vault"):
        prepare(settings(vault, data_dir=state))


def test_a_data_folder_that_is_a_file_is_refused(vault: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(InvalidSetting, match="cannot be used"):
        prepare(settings(vault, data_dir=tmp_path / "taken"))


def test_a_vault_that_cannot_be_served_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "note.md").write_text("", encoding="utf-8")
    for vault, reason in (
        (tmp_path / "missing", "does not exist"),
        (tmp_path / "note.md", "is not a folder"),
        (tmp_path / ("x" * 300), "cannot be read"),
    ):
        with pytest.raises(VaultUnusable, match=reason):
            prepare(settings(vault))
    with pytest.raises(VaultUnusable, match="No vault is given"):
        check_vault(load().settings)
    assert not (tmp_path / "user-data").exists()


@POSIX_ONLY
@NOT_ROOT
def test_a_vault_without_permissions_is_refused_or_served_read_only(vault: Path) -> None:
    vault.chmod(0o500)
    try:
        with pytest.raises(VaultUnusable, match="cannot be written to"):
            check_vault(settings(vault))
        assert check_vault(settings(vault, read_only=True)) == vault
        vault.chmod(0o000)
        with pytest.raises(VaultUnusable, match="cannot be read"):
            check_vault(settings(vault))
    finally:
        vault.chmod(0o700)
