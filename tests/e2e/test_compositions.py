"""The same vault, served by one process, by one process on servers, and by every service by itself."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from e2e.clients import call, failing, over_http
from e2e.conftest import making
from e2e.server import EXAMPLE, STANDALONE, START_SECONDS, WEAVE, Server, Services, wait_until
from ports import free_port

everywhere = pytest.mark.compositions("embedded", "servers", "standalone")
standalone = pytest.mark.compositions("standalone")


def git(vault: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=vault, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def serving(
    tmp_path_factory: pytest.TempPathFactory, composition: str, servers: Callable[[ExitStack], dict[str, str]]
) -> Iterator[Server]:
    """One set of processes for all tests here, on a vault in a repository."""
    folder = tmp_path_factory.mktemp(composition)
    vault = folder / "vault"
    shutil.copytree(EXAMPLE, vault)
    git(vault, "init", "-q", "-b", "main")
    git(vault, "add", "-A")
    git(vault, "-c", "user.name=t", "-c", "user.email=t@example.invalid", "commit", "-qm", "as it was")
    with making(folder, composition, servers) as make:
        yield make(WEAVE_GIT_QUIET_SECONDS="0.2", WEAVE_GIT_AUTHOR="Weave <weave@example.invalid>").start()


@pytest.fixture
def services(serving: Server) -> Services:
    assert isinstance(serving, Services)
    return serving


def write(server: Server, name: str) -> None:
    content = f"# {name}\n\nThe word {name.lower()} stands here.\n\n- [ ] look at {name} 📅 2026-12-01\n"
    answer = server.request("PUT", f"/files/Notes/{name}.md", content.encode())
    assert answer.status == 201, answer.body


def found(server: Server, path: str) -> list[Any]:
    answer = server.get(path)
    assert answer.status == 200, answer.body
    return list(next(iter(answer.json.values())))


def reaches_everybody(server: Server, name: str) -> None:
    """A note that was just written is in the index, among the tasks, and in a commit."""
    wait_until(lambda: found(server, f"/search?q={name.lower()}"))
    wait_until(lambda: found(server, f"/tasks?text={name}"))
    wait_until(lambda: f"Notes/{name}.md" in git(server.vault, "log", "--name-only", "--format="))


@everywhere
def test_a_note_that_is_written_reaches_every_service(serving: Server) -> None:
    write(serving, "Albatross")
    reaches_everybody(serving, "Albatross")
    (task,) = found(serving, "/tasks?text=Albatross")
    done = serving.request("POST", f"/tasks/{task['id']}/complete", b"{}", Content_Type="application/json")
    assert done.status == 200, done.body
    note = serving.vault / "Notes/Albatross.md"
    wait_until(lambda: "- [x] look at Albatross" in note.read_text())
    wait_until(lambda: git(serving.vault, "status", "--porcelain") == "")


@everywhere
async def test_tools_of_all_services_answer_over_mcp(serving: Server) -> None:
    async with over_http(serving) as client:
        made = await call(client, "write_note", path="Notes/Bittern.md", content="# Bittern\n\nIn the reeds.\n")
        # What a service refuses arrives as its own words, wherever it runs.
        assert "exists" in await failing(client, "write_note", path="Notes/Bittern.md", content="again")
        stale = await failing(client, "write_note", path="Notes/Bittern.md", content="x", etag="0" * 64)
        assert made["etag"] in stale
        task = await call(client, "create_task", title="wait for the bittern", note="Notes/Bittern.md")
        assert "wait for the bittern" in str(task)
        wait_until(lambda: found(serving, "/search?q=reeds"))
        assert (await call(client, "search_notes", q="reeds"))["hits"][0]["path"] == "Notes/Bittern.md"
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {"read_notes", "search_notes", "create_task", "note_history"} <= names, names


@everywhere
def test_going_back_in_git_writes_through_the_file_service(serving: Server) -> None:
    write(serving, "Curlew")
    wait_until(lambda: "Notes/Curlew.md" in git(serving.vault, "log", "--name-only", "--format="))
    before = (serving.vault / "Notes/Curlew.md").read_text()
    assert serving.request("PUT", "/files/Notes/Curlew.md", b"overwritten").status == 200
    wait_until(lambda: git(serving.vault, "status", "--porcelain") == "")
    body = b'{"path": "Notes/Curlew.md", "revision": "HEAD~1"}'
    restored = serving.request("POST", "/git/restore", body, Content_Type="application/json")
    assert restored.status == 200, restored.body
    assert (serving.vault / "Notes/Curlew.md").read_text() == before


@standalone
def test_the_command_line_works_on_a_running_set(services: Services) -> None:
    def weave(*arguments: str) -> Any:
        command = [str(WEAVE), *arguments, "--json"]
        done = subprocess.run(
            command, env=services.env, check=True, capture_output=True, text=True, timeout=START_SECONDS
        )
        return json.loads(done.stdout)

    vault = str(services.vault)
    parts = {part["part"]: part["ready"] for part in weave("status", vault)["parts"]}
    assert parts == dict.fromkeys(map("+".join, STANDALONE.values()), True)
    assert weave("search", "albatross", "--vault", vault)["hits"]
    assert weave("tasks", "list", vault)["tasks"]
    assert weave("git", "log", "Notes/Albatross.md", "--vault", vault)


@standalone
def test_a_second_process_takes_over_what_is_done_once(services: Services) -> None:
    watcher, writer = free_port(), free_port()
    services.serve("beside", watcher)
    services.serve("git", writer)
    services.wait_ready(watcher, writer)
    services.kill("beside", "git")
    (services.vault / "Notes/Dunlin.md").write_text("# Dunlin\n\nNobody but the dunlin.\n\n- [ ] look at Dunlin\n")
    reaches_everybody(services, "Dunlin")
    services.serve("beside")
    services.serve("git")
    services.wait_ready()
    services.kill(f"beside-{watcher}", f"git-{writer}")


@standalone
@pytest.mark.parametrize("name", STANDALONE)
def test_a_killed_service_comes_back_and_has_missed_nothing(services: Services, name: str) -> None:
    services.kill(name)
    word = f"Egret{name}"
    if name == "files":
        (services.vault / f"Notes/{word}.md").write_text(f"# {word}\n\n- [ ] look at {word}\n")
    else:
        write(services, word)
    for other in {"sync": "/search?q=albatross", "tasks": "/tasks?limit=1", "git": "/git/log?limit=1"}.items():
        assert services.get(other[1]).status == (503 if other[0] == name else 200), other
    services.serve(name)
    services.wait_ready()
    reaches_everybody(services, word)


@standalone
async def test_a_tool_whose_service_is_away_says_which(services: Services) -> None:
    async with over_http(services) as client:
        services.kill("tasks")
        said = await failing(client, "create_task", title="nobody hears this")
        assert "tasks service" in said
        assert "WEAVE_TASKS_URL" in said
        read = await call(client, "read_notes", paths=["Welcome.md"])
        assert read["notes"][0]["path"] == "Welcome.md"
    services.serve("tasks")
    services.wait_ready()


def reading_key(server: Server) -> str:
    command = [str(WEAVE), "keys", "create", "reader", "--scope", "read", "--json"]
    environment = {**server.env, "WEAVE_VAULT": str(server.vault)}
    made = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return str(json.loads(made.stdout)["secret"])


@standalone
async def test_a_reading_key_reads_through_every_service_and_writes_through_none(services: Services) -> None:
    """The MCP face asks the services with the service key, and they hold it to the scopes of whoever asked it."""
    key = reading_key(services)
    async with over_http(services, key=key) as client:
        assert (await call(client, "read_notes", paths=["Welcome.md"]))["notes"]
        assert (await call(client, "find_tasks", query="not done"))["tasks"]
        assert "items" in await call(client, "list_tags")
        assert "may only read" in await failing(client, "write_note", path="Notes/Never.md", content="never")
    bearer = {"Authorization": f"Bearer {key}"}
    assert services.request("PUT", "/files/Notes/Never.md", b"never", **bearer).status == 403
    assert services.request("POST", "/files/-/contract/list_files", b"{}", **bearer).status == 403
    assert not (services.vault / "Notes/Never.md").exists()


@standalone
def test_every_process_ends_in_order(services: Services) -> None:
    door = services.processes.pop("front-door")
    assert services.stop() == 0
    door.kill()
    door.wait()
    assert "Traceback" not in services.log()
