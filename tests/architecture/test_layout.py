"""What the layout promises and import contracts cannot see."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "weave_nn"
SERVICES = sorted(each for each in (SOURCE / "services").iterdir() if (each / "__init__.py").exists())
ROOMS = {
    "events",
    "contract",
    "models",
    "migrations",
    "repository",
    "adapters",
    "service",
    "api",
    "tools",
    "subscribers",
}
LONGEST_FILE_LINES = 440
LONGEST_FUNCTION_LINES = 60
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "base", "manager"}


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("service", SERVICES, ids=lambda folder: folder.name)
def test_a_service_has_only_the_fixed_rooms(service: Path) -> None:
    present = {each.stem for each in service.iterdir() if not each.name.startswith("__")}
    assert present <= ROOMS


@pytest.mark.parametrize("service", SERVICES, ids=lambda folder: folder.name)
def test_a_service_says_what_it_owns(service: Path) -> None:
    tree = ast.parse((service / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)


def test_no_file_is_so_long_that_it_is_two() -> None:
    lengths = {each: len(each.read_text(encoding="utf-8").splitlines()) for each in modules()}
    assert not {str(file): lines for file, lines in lengths.items() if lines > LONGEST_FILE_LINES}


def test_a_function_fits_on_a_screen() -> None:
    long = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}"
        for file in modules()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno > LONGEST_FUNCTION_LINES
    ]
    assert not long


def test_every_module_says_what_it_is_for() -> None:
    silent = [file for file in modules() if not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))]
    assert not silent


def test_no_module_has_a_vague_name() -> None:
    assert not [file for file in modules() if file.stem in VAGUE_NAMES]


def test_only_the_configuration_reads_the_environment() -> None:
    # The command line looks at one variable before any setting can be read: whether stack traces are wanted.
    allowed = {"entrypoints", "shared/config"}
    readers = [
        file.relative_to(SOURCE).as_posix()
        for file in modules()
        if re.search(r"\bos\.(environ|getenv)\b", file.read_text(encoding="utf-8"))
    ]
    assert not [reader for reader in readers if not any(reader.startswith(place) for place in allowed)]


def test_every_suppression_has_a_reason() -> None:
    bare = re.compile(r"# noqa(?!: [A-Z0-9, ]+ - \w)|# type: ignore(?!\[[a-z, -]+\] +# \w)")
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for folder in (SOURCE, ROOT / "tests")
        for file in sorted(folder.rglob("*.py"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if bare.search(line) and "re.compile" not in line
    ]
    assert not found


def test_both_commands_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"run", "test", "bench", "fmt", "help"} <= targets
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"make ([a-z-]+)", readme)) <= targets
