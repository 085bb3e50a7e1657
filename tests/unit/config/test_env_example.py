import itertools
import re
from pathlib import Path

from weave_nn.shared.config import Settings, load, variable

EXAMPLE = Path(__file__).parents[3] / ".env.example"
ASSIGNMENT = re.compile(r"^#([A-Z_]+)=(.*)$", re.MULTILINE)


def test_the_example_names_every_setting_once_and_no_other() -> None:
    named = [name for name, _ in ASSIGNMENT.findall(EXAMPLE.read_text(encoding="utf-8"))]
    assert sorted(named) == sorted(variable(field) for field in Settings.model_fields)


def test_the_example_uncommented_says_the_defaults() -> None:
    defaults = load().settings
    Path(".env").write_text(ASSIGNMENT.sub(r"\1=\2", EXAMPLE.read_text(encoding="utf-8")), encoding="utf-8")
    configuration = load()
    assert configuration.settings == defaults
    assert configuration.origins["port"] == ".env"
    assert not configuration.warnings


def test_every_assignment_is_explained_above_it() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    for before, line in itertools.pairwise(lines):
        if ASSIGNMENT.match(line):
            assert before.startswith("# "), line
