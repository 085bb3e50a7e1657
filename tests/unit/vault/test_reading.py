"""Reading many notes in a process beside this one: what comes back is what reading here gives."""

import os
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from unit.vault import fatal
from weave_nn.vault import reading
from weave_nn.vault.errors import NoteNotFound
from weave_nn.vault.reading import read_many
from weave_nn.vault.store import FileContent, Vault

TESTS = Path(__file__).parents[2]
PATHS = [f"{number}.md" for number in range(50)]

Read = Callable[..., Generator[FileContent]]


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    for path in PATHS:
        (tmp_path / path).write_text(f"# Note {path}\n")
    return Vault(tmp_path)


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The notes of these tests are many."""
    monkeypatch.setattr(reading, "MANY", 1)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list["subprocess.Popen[bytes]"]:
    """The processes that reading has started."""
    processes: list[subprocess.Popen[bytes]] = []

    class Kept(subprocess.Popen[bytes]):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[call-overload]  # handed on as they come
            processes.append(self)

    monkeypatch.setattr("subprocess.Popen", Kept)
    return processes


def test_another_process_reads_what_is_read_here(
    vault: Vault, started: list["subprocess.Popen[bytes]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = [vault.read(path) for path in PATHS]
    assert list(read_many(vault, PATHS, Vault.read)) == here
    assert not started
    monkeypatch.setattr(reading, "MANY", len(PATHS))
    assert list(read_many(vault, PATHS, Vault.read)) == here
    assert [process.returncode is not None for process in started] == [True]


@pytest.mark.usefixtures("beside")
def test_what_is_raised_is_raised_where_its_path_is_due(vault: Vault) -> None:
    found = read_many(vault, [*PATHS[:3], "gone.md", *PATHS[3:]], Vault.read)
    assert [next(found).stat.path for _ in range(3)] == PATHS[:3]
    with pytest.raises(NoteNotFound):
        next(found)


@pytest.mark.usefixtures("beside")
def test_a_process_that_dies_costs_no_note(
    vault: Vault, started: list["subprocess.Popen[bytes]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(fatal.ASKING, str(os.getpid()))
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    found = list(read_many(vault, PATHS, fatal.read_or_die))
    assert [content.stat.path for content in found] == PATHS
    assert [process.returncode for process in started] == [9]


@pytest.mark.usefixtures("beside")
def test_a_process_that_cannot_be_started_costs_no_note(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert len(list(read_many(vault, PATHS, Vault.read))) == len(PATHS)


@pytest.mark.usefixtures("beside")
def test_who_stops_early_leaves_no_process_behind(vault: Vault, started: list["subprocess.Popen[bytes]"]) -> None:
    found = read_many(vault, PATHS, Vault.read)
    assert next(found).stat.path == PATHS[0]
    found.close()
    assert [process.returncode is not None for process in started] == [True]
