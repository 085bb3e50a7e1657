import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of whoever runs the tests, no `.env` of the folder that they run in, no state left in their home."""
    for name in list(os.environ):
        if name.upper().startswith("WEAVE_") or name.upper() == "DATABASE_URL":
            monkeypatch.delenv(name)
    working_folder = tmp_path / "working-folder"
    working_folder.mkdir()
    monkeypatch.chdir(working_folder)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user-data"))


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    folder = tmp_path / "My Nötes"
    folder.mkdir()
    return folder
