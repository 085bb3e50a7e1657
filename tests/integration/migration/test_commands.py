"""`weave db` as it is used: from the precheck to the retirement, and backups."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Weave = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def weave(tmp_path: Path) -> Weave:
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "note.md").write_text("# Zebra\n\n- [ ] a task\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WEAVE_")}
    environment |= {"WEAVE_VAULT": str(tmp_path / "vault"), "WEAVE_DATA_DIR": str(tmp_path / "state")}
    environment["WEAVE_SEMANTIC"] = "off"

    def run(*arguments: str, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("weave")), *arguments]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == exit_code, done.stderr
        return done

    return run


def told(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_a_move_by_commands_there_and_back_and_to_its_end(weave: Weave, postgres_url: str, tmp_path: Path) -> None:
    weave("reindex")
    set_version(tmp_path, "many")
    shown = weave("db", "migrate", "--to", postgres_url, "--text", exit_code=4).stdout
    assert "task.version" in shown
    assert "no integer" in shown
    set_version(tmp_path, 1)
    assert told(weave("db", "migrate", "--to", postgres_url, "--cutover"))["home"] == "postgresql"
    status = told(weave("db", "status"))
    assert (status["phase"], status["home"], status["lag_rows"]) == ("reversible", "postgresql", 0)
    assert told(weave("db", "rollback"))["home"] == "sqlite"
    assert told(weave("db", "cutover"))["home"] == "postgresql"
    assert Path(told(weave("db", "retire", "--yes"))["backup"]).exists()
    assert "Zebra" in weave("search", "zebra").stdout


def set_version(folder: Path, version: object) -> None:
    with sqlite3.connect(folder / "state" / "weave.db") as raw:
        raw.execute("UPDATE task SET version = ?", (version,))
    raw.close()
