import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from .conftest import Run, Up


def test_the_version_is_told(weave: Run) -> None:
    assert weave("--version").stdout.startswith("weave 0.")


@pytest.mark.parametrize(
    "command",
    [["up"], ["mcp"], ["status"], ["reindex"], ["config"], ["key"], ["events", "tail"], ["events", "dead"]],
)
def test_every_command_explains_itself_with_an_example(weave: Run, command: list[str]) -> None:
    done = weave(*command, "--help")
    assert done.returncode == 0
    assert f"weave {' '.join(command)} ~/Notes" in done.stdout


def test_shell_completion_is_offered(weave: Run) -> None:
    # Else the shell is looked for among the parents of the process.
    done = weave("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_WEAVE_COMPLETE" in done.stdout


def test_config_shows_value_and_origin_and_masks_the_key(weave: Run, vault: Path) -> None:
    done = weave("config", vault, WEAVE_PORT="9000", WEAVE_API_KEY="hunter2")
    settings = {each["variable"]: (each["value"], each["origin"]) for each in json.loads(done.stdout)}
    assert settings["WEAVE_PORT"] == ("9000", "environment")
    assert settings["WEAVE_VAULT"] == (str(vault), "option")
    assert "hunter2" not in done.stdout
    assert "WEAVE_PORT" in weave("config", "--text").stdout


def test_the_key_is_the_one_that_the_file_holds(weave: Run, vault: Path, tmp_path: Path) -> None:
    printed = weave("key", vault).stdout
    (kept,) = (tmp_path / "user-data").rglob("api-key")
    assert kept.read_text(encoding="ascii") == printed


def test_up_serves_until_it_is_interrupted(weave: Run, up: Up, vault: Path, tmp_path: Path) -> None:
    assert weave("status", vault).returncode == 3
    with up(vault) as server:
        status = weave("status", vault)
        assert status.returncode == 0, status
        running = json.loads(status.stdout)["server"]
        assert (running["state"], running["address"]) == ("running", server.address)
        assert server.stop(signal.SIGINT) == 0
    assert "Traceback" not in (tmp_path / "up.stderr").read_text(encoding="utf-8")
    after = weave("status", vault, "--text")
    assert after.returncode == 3
    assert "not running" in after.stdout


def test_a_vault_whose_name_is_not_unicode_is_served(up: Up, tmp_path: Path) -> None:
    vault = tmp_path / "Notes \udcff"
    vault.mkdir()
    with up(vault) as server:
        assert "Notes \\udcff" in server.banner


def test_being_asked_to_stop_is_a_success_and_frees_the_port(up: Up, vault: Path, tmp_path: Path) -> None:
    with up(vault) as server:
        assert server.stop(signal.SIGTERM) == 0
    port = int(server.address.rpartition(":")[2])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert "Traceback" not in (tmp_path / "up.stderr").read_text(encoding="utf-8")


def test_the_server_of_another_vault_is_not_taken_for_ours(weave: Run, up: Up, vault: Path, tmp_path: Path) -> None:
    (tmp_path / "Other").mkdir()
    with up(tmp_path / "Other") as server:
        status = weave("status", vault, WEAVE_PORT=server.address.rpartition(":")[2])
        assert json.loads(status.stdout)["server"]["note"] == "another program answers there"
        assert status.returncode == 3


def test_a_vault_is_left_as_it_is(weave: Run, up: Up, vault: Path) -> None:
    weave("reindex", vault)
    with up(vault) as server:
        server.stop(signal.SIGTERM)
    assert {each.name: each.read_text(encoding="utf-8") for each in vault.iterdir()} == {"Hello.md": "# Hello\n"}


def test_reindex_counts_what_it_read(weave: Run, vault: Path) -> None:
    done = weave("reindex", vault)
    assert done.returncode == 0, done
    assert sum(json.loads(done.stdout).values()) >= 1


def test_events_of_a_new_vault(weave: Run, vault: Path) -> None:
    tail = weave("events", "tail", vault)
    assert tail.returncode == 0, tail
    assert all("specversion" in json.loads(line) for line in tail.stdout.splitlines())
    assert weave("events", "dead", vault, "--text").stdout == "There are no dead letters.\n"
    assert json.loads(weave("events", "replay", "--all", "--vault", vault).stdout) == {"replayed": 0}


def test_a_bad_topic_is_refused(weave: Run, vault: Path) -> None:
    done: subprocess.CompletedProcess[str] = weave("events", "tail", vault, "--topic", "vault.*x")
    assert done.returncode == 1
    assert "is not a topic pattern" in done.stderr
