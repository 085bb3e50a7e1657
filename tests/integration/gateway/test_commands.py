"""The commands about rollouts, as a person without a gateway runs them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ports import free_port
from weave_nn.gateway.rollout import Policy
from weave_nn.gateway.rollouts import Rollouts
from weave_nn.shared.db import Database

Weave = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def weave(tmp_path: Path) -> Weave:
    (tmp_path / "vault").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WEAVE_", "DATABASE_URL"))}
    settings = {
        "WEAVE_VAULT": str(tmp_path / "vault"),
        "WEAVE_DATA_DIR": str(tmp_path / "state"),
        "WEAVE_VAULT_ID": "vault",
        "WEAVE_PORT": str(free_port()),
        "WEAVE_MONOLITH_URL": f"http://127.0.0.1:{free_port()}",
    }

    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        command: list[str | Path] = [Path(sys.executable).with_name("weave"), *arguments]
        given = {**kept, **settings, **environment}
        return subprocess.run(command, env=given, capture_output=True, text=True, timeout=120, check=False)

    return run


def test_nonsense_is_refused_in_one_line_and_nothing_is_started(weave: Weave, tmp_path: Path) -> None:
    for arguments, wanted in (
        (("extract", "bakery"), "There is no service 'bakery'"),
        (("rollout", "tasks", "--to", "10"), "tasks has never been extracted"),
        (("extract", "tasks", "--candidate", f"http://127.0.0.1:{free_port()}"), "the candidate is ready"),
        (("extract", "tasks", "--ignore", "items"), "names nothing in a JSON answer"),
    ):
        done = weave(*arguments)
        assert done.returncode == 1, done
        assert wanted in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert "--soak goes with --auto" in weave("rollout", "tasks", "--to", "10", "--soak", "1").stderr
    missing = weave("extract", "tasks", WEAVE_ENVOY="/nowhere/envoy")
    assert "which is no program" in missing.stderr
    assert not list((tmp_path / "state").glob("*.log"))
    assert json.loads(weave("where", "alice").stdout) == []
    assert "Nothing has been extracted" in weave("rollout", "status", "--text").stdout


def test_a_rollout_is_commanded_and_shown_before_any_gateway_runs(weave: Weave, tmp_path: Path) -> None:
    weave("where", "alice")
    database = Database(f"sqlite:///{tmp_path / 'state' / 'weave.db'}")
    Rollouts(database, "vault").plan(
        "tasks", candidate="http://127.0.0.1:9", monolith="http://127.0.0.1:8", policy=Policy(), who="ann", why="try"
    )
    database.close()
    assert "A rollout of tasks is under way" in weave("extract", "tasks").stderr
    assert not list((tmp_path / "state").glob("*.log"))
    too_far = weave("rollout", "tasks", "--to", "50")
    assert "the next step of tasks is 10 %, not 50 %" in too_far.stderr
    assert "no percentage" in weave("rollout", "tasks", "--to", "101", "--force").stderr
    forced = weave("rollout", "tasks", "--to", "100", "--force", "--json")
    assert "No gateway runs" in forced.stderr
    assert json.loads(forced.stdout)["percent"] == 100
    shown = weave("rollout", "status", "--text").stdout
    assert "tasks: rolling" in shown
    assert "step (forced), 0 % -> 100 %" in shown
    assert json.loads(weave("where", "alice").stdout)[0]["side"] == "candidate"
    assert json.loads(weave("where", "alice", ROLLOUT_PERCENTAGE="0").stdout)[0]["side"] == "stable"
    assert json.loads(weave("rollback", "tasks").stdout)["state"] == "rolled_back"
    assert "rolled_back: asked for at the terminal" in weave("rollout", "tasks", "--to", "10", "--force").stderr
