import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from weave_nn.entrypoints import monolith
from weave_nn.entrypoints.cli.search import links, search
from weave_nn.services.sync.contract import QueryRefused

app = typer.Typer()
app.command()(search)
app.command()(links)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("WEAVE_DATA_DIR", str(tmp_path / "state"))
    vault = tmp_path / "vault"
    vault.mkdir()
    monkeypatch.setenv("WEAVE_VAULT", str(vault))
    (vault / "A.md").write_text("# First\nneedle and [[B]]\n")
    (vault / "B.md").write_text("[[Missing]] \x1b[31m needle")

    from weave_nn.entrypoints.cli.options import load_settings, open_instance  # noqa: PLC0415 - reads the environment

    settings = load_settings().settings
    with monolith.offline(settings, open_instance(settings)) as offline:
        assert offline.reindex(lambda _done, _total: None)["notes_indexed"] == 2
    return lambda *arguments: CliRunner().invoke(app, arguments)


def test_search_prints_json_when_piped_and_text_when_asked(run: Any) -> None:
    page = json.loads(run("search", "needle").stdout)
    assert sorted(hit["path"] for hit in page["hits"]) == ["A.md", "B.md"]
    text = run("search", "needle", "first", "--text").stdout
    assert "A.md" in text
    assert "needle and [[B]]" in text
    assert "\x1b" not in run("search", "missing", "--text").stdout
    assert "Nothing" in run("search", "absent", "--text").stdout


def test_a_wrong_query_is_shown_with_a_mark(run: Any) -> None:
    outcome = run("search", "a (b")
    assert isinstance(outcome.exception, QueryRefused)
    assert "a (b\n  ^" in outcome.stderr


def test_links_in_both_directions_and_the_way(run: Any) -> None:
    assert json.loads(run("links", "B.md").stdout)["links"][0]["source"] == "A.md"
    assert "Missing (missing)" in run("links", "B.md", "--from", "--text").stdout
    assert json.loads(run("links", "A.md", "--to", "B.md").stdout) == ["A.md", "B.md"]
