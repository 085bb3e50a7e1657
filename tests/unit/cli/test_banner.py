"""What `weave up` tells people to paste."""

import json
from pathlib import Path

import pytest

from weave_nn.entrypoints.cli.up import PASSWORD, _banner
from weave_nn.shared.config import load, prepare


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user-data"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / 'My "Nötes"'
    folder.mkdir()
    return folder


def pasted(banner: str) -> dict[str, dict[str, object]]:
    servers = json.loads(banner[banner.index("{") : banner.rindex("}") + 1])["mcpServers"]
    assert isinstance(servers, dict)
    return servers


def test_the_client_starts_this_installation_on_this_vault(vault: Path) -> None:
    configuration = load({"vault": vault})
    banner = _banner(configuration, prepare(configuration.settings), "http://127.0.0.1:8000")
    (name, client), *others = pasted(banner).items()
    assert not others
    assert name == "weave-my-notes"
    assert Path(str(client["command"])).is_absolute()
    assert client["args"] == ["mcp", str(vault)]
    assert "env" not in client
    assert "http://127.0.0.1:8000" in banner


def test_the_client_is_told_what_it_cannot_inherit(vault: Path, tmp_path: Path) -> None:
    configuration = load({"vault": vault, "data_dir": tmp_path / "state", "read_only": True})
    banner = _banner(configuration, prepare(configuration.settings), "http://127.0.0.1:8000")
    (client,) = pasted(banner).values()
    assert client["env"] == {"WEAVE_DATA_DIR": str(tmp_path / "state"), "WEAVE_READ_ONLY": "true"}


def test_the_key_is_not_printed_but_where_it_is(vault: Path) -> None:
    configuration = load({"vault": vault})
    instance = prepare(configuration.settings)
    banner = _banner(configuration, instance, "http://127.0.0.1:8000")
    assert instance.api_key.get_secret_value() not in banner
    assert str(instance.api_key_file) in banner


def test_no_password_is_printed_and_where_it_belongs_is_said(vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, scheme in (("DATABASE_URL", "postgresql"), ("RABBITMQ_URL", "amqp"), ("REDIS_URL", "redis")):
        monkeypatch.setenv(name, f"{scheme}://ada:hunter2@db.example.org/weave")
    configuration = load({"vault": vault})
    banner = _banner(configuration, prepare(configuration.settings), "http://127.0.0.1:8000")
    assert "hunter2" not in banner
    (client,) = pasted(banner).values()
    environment = client["env"]
    assert isinstance(environment, dict)
    assert environment["DATABASE_URL"] == f"postgresql://ada:{PASSWORD}@db.example.org/weave"
    assert {"RABBITMQ_URL", "REDIS_URL"} <= environment.keys()
    assert f"in place of {PASSWORD}" in banner
