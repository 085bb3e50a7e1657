"""What cannot work is refused: one line that says what and how to mend it, and nothing is made."""

import os
import socket
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from .conftest import WEAVE, Run


def refusal(done: "subprocess.CompletedProcess[str]") -> str:
    """The one line of a refusal."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("weave: ")
    return line


@pytest.mark.parametrize("command", ["up", "mcp", "reindex", "key"])
def test_a_vault_that_is_missing(weave: Run, tmp_path: Path, command: str) -> None:
    assert "does not exist" in refusal(weave(command, tmp_path / "missing"))
    assert list(tmp_path.iterdir()) == []


def test_a_vault_that_is_not_a_folder_or_not_named(weave: Run, tmp_path: Path) -> None:
    (tmp_path / "note.md").write_text("", encoding="utf-8")
    assert "is not a folder" in refusal(weave("up", tmp_path / "note.md"))
    assert "WEAVE_VAULT" in refusal(weave("up"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["note.md"]


def test_a_taken_port(weave: Run, vault: Path, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"Port {port} on 127.0.0.1 is taken" in refusal(weave("up", vault, "--port", str(port)))
    assert not (tmp_path / "user-data").exists()


def test_a_data_folder_in_the_vault(weave: Run, vault: Path) -> None:
    assert "lies inside the vault" in refusal(weave("up", vault, "--port", "0", WEAVE_DATA_DIR=str(vault / ".weave")))
    assert [each.name for each in vault.iterdir()] == ["Hello.md"]


def test_a_database_of_a_newer_version(weave: Run, vault: Path, tmp_path: Path) -> None:
    assert weave("status", vault, "--data-dir", tmp_path / "state").returncode == 3
    assert weave("reindex", vault, "--data-dir", tmp_path / "state").returncode == 0
    with closing(sqlite3.connect(tmp_path / "state" / "weave.db")) as database:
        database.execute("UPDATE alembic_version_bus SET version_num = 'from-the-future'")
        database.commit()
    line = refusal(weave("up", vault, "--port", "0", "--data-dir", tmp_path / "state"))
    assert "newer version" in line
    assert "Upgrade weave-nn" in line


def test_a_bad_setting(weave: Run, vault: Path) -> None:
    line = refusal(weave("up", vault, WEAVE_PORT="eighty"))
    assert "WEAVE_PORT='eighty' (from the environment)" in line


def test_wrong_usage_has_an_exit_code_of_its_own(weave: Run) -> None:
    for arguments in (["frobnicate"], ["up", "--frobnicate"], ["events", "replay"]):
        done = weave(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_the_stack_trace_is_for_those_who_ask(weave: Run, tmp_path: Path) -> None:
    done = weave("up", tmp_path / "missing", WEAVE_LOG_LEVEL="debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_misspelt_variable_is_warned_of(weave: Run) -> None:
    done = weave("config", WEAVE_PROT="9000")
    assert done.returncode == 0
    assert "Did you mean WEAVE_PORT?" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="pipes break differently on Windows")
def test_a_reader_that_goes_away_is_no_error(environment: dict[str, str], tmp_path: Path) -> None:
    command = f"{WEAVE} config --text | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("SETTING")
    assert done.stderr == ""
