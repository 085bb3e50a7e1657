"""`weave git …`, as a person at a terminal or a script uses it."""

import json
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-c", "from weave_nn.entrypoints.cli.git import app; app()"]


def test_a_history_from_the_command_line(tmp_path: Path, environment: dict[str, str]) -> None:
    vault = tmp_path / "Notes"
    vault.mkdir()
    note = vault / "Plan.md"
    note.write_text("one\n")
    settings = {"WEAVE_VAULT": str(vault), "WEAVE_DATA_DIR": str(tmp_path / "data")}

    def run(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env={**environment, **settings, **more},
            capture_output=True,
            text=True,
            check=False,
        )

    def weave(*arguments: str) -> str:
        ran = run(*arguments)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert json.loads(weave("init", "--json"))["files"] == 2
    note.write_text("two\n")
    assert "-one" in weave("diff", "Plan.md")
    assert "not committed" in weave("status", "--text")
    assert json.loads(weave("checkpoint", "Second", "--tag", "v2", "--json"))["created"]
    assert [entry["subject"] for entry in json.loads(weave("log", "Plan.md"))] == ["Second", "notes: begin history"]
    assert weave("show", "Plan.md", "HEAD~1") == "one\n"
    assert "1 restored" in weave("restore", "Plan.md", "HEAD~1", "--text")
    assert note.read_text() == "one\n"
    refused = run("restore", "Plan.md", "v2", WEAVE_READ_ONLY="true")
    assert refused.returncode == 1
    assert "read-only" in refused.stderr
