"""The contracts of pyproject.toml catch what they are for: each is tried on a small house with one violation in it.

That the real house keeps them is checked by `lint-imports` in `make test`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = str(Path(sys.executable).with_name("lint-imports"))

SERVICE_ROOMS = ("api", "tools", "subscribers", "service", "repository", "adapters", "models", "contract", "events")
MODULES = (
    "__init__",
    "entrypoints/__init__",
    "vault/__init__",
    "shared/__init__",
    "shared/config/__init__",
    "services/__init__",
    *(f"services/{name}/{room}" for name in ("files", "tasks") for room in ("__init__", *SERVICE_ROOMS)),
)


@pytest.fixture(scope="module")
def sound_house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with the layout of ours, and imports that the contracts allow."""
    house = tmp_path_factory.mktemp("sound")
    for module in MODULES:
        file = house / "weave_nn" / f"{module}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("", encoding="utf-8")
    plant(house, "entrypoints/__init__", "import weave_nn.services.files.api, weave_nn.shared.config")
    plant(house, "services/files/api", "import fastapi\nimport weave_nn.services.files.contract")
    plant(house, "services/files/service", "import weave_nn.services.files.repository, weave_nn.vault")
    plant(house, "services/files/repository", "import weave_nn.services.files.models")
    plant(house, "services/tasks/subscribers", "import weave_nn.services.files.events")
    plant(house, "services/files/subscribers", "import weave_nn.services.tasks.events")
    plant(house, "services/tasks/service", "import weave_nn.services.files.contract")
    plant(house, "vault/__init__", "import weave_nn.shared")
    return house


def plant(house: Path, module: str, code: str) -> None:
    (house / "weave_nn" / f"{module}.py").write_text(code + "\n", encoding="utf-8")


def lint(house: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache", "--config", str(ROOT / "pyproject.toml")],
        cwd=house,
        env=os.environ | {"PYTHONPATH": str(house), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_sound_house_keeps_all_contracts(sound_house: Path) -> None:
    done = lint(sound_house)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "code", "told"),
    [
        ("shared/reading", "import weave_nn.vault", "layers"),
        ("vault/indexing", "import weave_nn.services.files.contract", "layers"),
        ("services/files/service", "import weave_nn.entrypoints", "layers"),
        ("plugins/__init__", "", "plugins"),
        ("services/tasks/service", "import weave_nn.services.files.repository", "doors"),
        ("services/tasks/models", "import weave_nn.services.files.models", "doors"),
        ("services/files/utilities", "", "utilities"),
        ("services/files/repository", "import weave_nn.services.files.service", "rooms"),
        ("services/files/api", "import weave_nn.services.files.models", "thin"),
        ("services/files/subscribers", "import weave_nn.services.files.repository", "thin"),
        ("services/files/service", "import fastapi", "pure"),
        ("services/files/contract", "import mcp", "pure"),
        ("vault/serving", "import starlette", "pure"),
        ("services/files/service", "import weave_nn.shared.config", "settings"),
        ("services/files/contract", "import weave_nn.services.tasks.contract", "acyclic"),
    ],
)
def test_a_violation_is_caught(sound_house: Path, tmp_path: Path, module: str, code: str, told: str) -> None:
    house = tmp_path / "house"
    shutil.copytree(sound_house, house)
    (house / "weave_nn" / module).parent.mkdir(exist_ok=True)
    plant(house, module, code)
    if told == "acyclic":
        plant(house, "services/tasks/contract", "import weave_nn.services.files.contract")
    done = lint(house)
    assert done.returncode == 1, done.stdout + done.stderr
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if "KEPT" not in line]
    assert any(told in line for line in complaints), done.stdout
