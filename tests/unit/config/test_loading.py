from pathlib import Path

import pytest
from sqlalchemy import make_url

from weave_nn.shared.config import Configuration, InvalidSetting, load


def described(configuration: Configuration, variable: str) -> tuple[str | None, str]:
    found = next(each for each in configuration.describe() if each.variable == variable)
    return found.value, found.origin


def test_without_settings_it_listens_on_this_machine_only() -> None:
    settings = load().settings
    assert (settings.host, settings.port, settings.read_only) == ("127.0.0.1", 8000, False)


def test_options_go_before_the_environment_before_the_file_before_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("WEAVE_PORT=1\nWEAVE_HOST=file\nWEAVE_LOG_LEVEL=DEBUG\n", encoding="utf-8")
    monkeypatch.setenv("WEAVE_PORT", "2")
    monkeypatch.setenv("WEAVE_HOST", "environment")
    configuration = load({"port": 3, "host": None})
    assert described(configuration, "WEAVE_PORT") == ("3", "option")
    assert described(configuration, "WEAVE_HOST") == ("environment", "environment")
    assert described(configuration, "WEAVE_LOG_LEVEL") == ("debug", ".env")
    assert described(configuration, "WEAVE_WATCH") == ("auto", "default")


def test_an_empty_value_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVE_PORT", "")
    Path(".env").write_text("WEAVE_API_KEY=\n", encoding="utf-8")
    configuration = load()
    assert described(configuration, "WEAVE_PORT") == ("8000", "default")
    assert described(configuration, "WEAVE_API_KEY") == (None, "default")


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("WEAVE_PORT", "eighty", "valid integer"),
        ("WEAVE_PORT", "65536", "less than or equal to 65535"),
        ("WEAVE_READ_ONLY", "perhaps", "valid boolean"),
        ("WEAVE_WATCH", "sometimes", "'auto', 'poll' or 'off'"),
        ("WEAVE_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("WEAVE_VAULT_ID", "a/b", "match pattern"),
        ("WEAVE_WATCH_POLL_SECONDS", "0", "greater than or equal to 0.1"),
        ("WEAVE_DATA_DIR", "~no-such-user-here/x", "not a path"),
    ],
)
def test_a_bad_value_is_named_with_its_origin_and_the_reason_on_one_line(
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    reason: str,
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidSetting) as caught:
        load()
    message = str(caught.value)
    assert f"{variable}={value!r} (from the environment)" in message
    assert reason in message
    assert "\n" not in message
    assert "PydanticUndefined" not in message


def test_bad_values_are_told_all_at_once_with_where_each_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("WEAVE_WATCH=no\n", encoding="utf-8")
    monkeypatch.setenv("WEAVE_READ_ONLY", "perhaps")
    with pytest.raises(InvalidSetting, match=r"--port='-1' \(an option\)") as caught:
        load({"port": -1})
    assert "WEAVE_WATCH='no' (from .env)" in str(caught.value)
    assert "WEAVE_READ_ONLY='perhaps' (from the environment)" in str(caught.value)


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVE_API_KEY", "hunter2")
    monkeypatch.setenv("DATABASE_URL", "postgresql://weave:hunter2@db/weave")
    configuration = load()
    assert "hunter2" not in repr(configuration)
    assert "hunter2" not in repr(configuration.describe())
    assert described(configuration, "DATABASE_URL") == ("postgresql://weave:********@db/weave", "environment")
    monkeypatch.setenv("WEAVE_API_KEY", "hunter2 hunter2")
    with pytest.raises(InvalidSetting, match="WEAVE_API_KEY=") as caught:
        load()
    assert "hunter2" not in str(caught.value)


def test_a_misspelt_variable_is_reported_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("WEAVE_READONLY=true\nOTHER_PROGRAM=1\n", encoding="utf-8")
    monkeypatch.setenv("WEAVE_PROT", "9000")
    assert load().warnings == (
        "WEAVE_PROT (in the environment) is not a setting and is ignored. Did you mean WEAVE_PORT?",
        "WEAVE_READONLY (in .env) is not a setting and is ignored. Did you mean WEAVE_READ_ONLY?",
    )


def test_a_file_that_is_not_text_is_refused() -> None:
    Path(".env").write_bytes(b"WEAVE_HOST=\xff\xfe\n")
    with pytest.raises(InvalidSetting, match=r"\.env cannot be read"):
        load()


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVE_ALLOWED_HOSTS", " notes.example.org, ,other.example.org")
    assert load().settings.allowed_hosts == ("notes.example.org", "other.example.org")


def test_each_vault_has_a_data_folder_of_its_own_and_a_link_to_it_shares_it(tmp_path: Path, vault: Path) -> None:
    other = tmp_path / "elsewhere" / vault.name
    other.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(vault)
    first, second, linked = (load({"vault": each}).settings.data_dir for each in (vault, other, link))
    assert first is not None
    assert first == linked
    assert first != second
    assert first.parent == tmp_path / "user-data" / "weave-nn"
    assert first.name.startswith("my-notes-")
    assert not first.exists()


def test_a_data_folder_with_awkward_characters_still_makes_a_database_url(tmp_path: Path, vault: Path) -> None:
    data_dir = tmp_path / "what? 100% #1"
    url = load({"vault": vault, "data_dir": data_dir}).settings.database_url
    assert url is not None
    assert make_url(url).database == str(data_dir / "weave.db")
