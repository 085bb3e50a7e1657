import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from mcp.client import Client

from e2e.clients import call, over_http
from e2e.server import WEAVE, Server, Services, wait_until


def vault_bytes(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    }


def list_all(server: Server) -> list[str]:
    paths: list[str] = []
    cursor = ""
    while True:
        page = server.get(f"/files?limit=1000{cursor}").json
        paths += [file["path"] for file in page["files"]]
        if page["next_cursor"] is None:
            return paths
        cursor = f"&cursor={quote(page['next_cursor'])}"


def test_every_file_is_listed_and_read_byte_for_byte(server: Server) -> None:
    expected = vault_bytes(server.vault)
    assert set(list_all(server)) == set(expected)
    for path, content in expected.items():
        answer = server.get(f"/files/{quote(path)}")
        assert (answer.status, answer.body) == (200, content), path
        assert server.get(f"/vault/{quote(path)}").body == content


async def test_a_real_vault_is_served_byte_for_byte_and_left_as_it_is(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    source = os.environ.get("WEAVE_BENCH_VAULT")
    if not source:
        pytest.skip("WEAVE_BENCH_VAULT names no real vault")
    shutil.copytree(source, tmp_path / "real")
    before = vault_bytes(tmp_path / "real")
    server = make_server(tmp_path / "real").start()
    assert set(list_all(server)) == set(before)
    for path, content in before.items():
        assert server.get(f"/files/{quote(path)}").body == content, path
    async with over_http(server) as client:
        for path, content in before.items():
            if path.endswith(".md"):
                assert await read_whole(client, path) == content, path
    assert vault_bytes(tmp_path / "real") == before


async def read_whole(client: Client, path: str) -> bytes:
    parts: list[str] = []
    start = 1
    while True:
        note = (await call(client, "read_notes", paths=[path], start_line=start, max_lines=2000))["notes"][0]
        parts.append(note["content"])
        if note["end_line"] >= note["total_lines"]:
            return "".join(parts).encode()
        start = note["end_line"] + 1


def test_what_was_accepted_survives_a_kill(server: Server) -> None:
    accepted: dict[str, bytes] = {}
    for round_number in range(3):
        for number in range(15):
            path, content = f"/files/new/{round_number}-{number}.md", b"text %d" % number
            if server.request("PUT", path, content, Content_Type="text/markdown").status in {200, 201}:
                accepted[path.removeprefix("/files/")] = content
        server.kill()
        server.start()
    assert len(accepted) == 45
    for path, content in accepted.items():
        assert (server.vault / path).read_bytes() == content
        assert server.get(f"/files/{path}").body == content
    # What was not published yet is when the lease of the relay that was killed has ended; what that one had published
    # and not noted is published again.
    wait_until(lambda: announced(server).keys() >= accepted.keys())
    events = announced(server)
    assert {path: events[path] for path in accepted} == dict.fromkeys(accepted, 1)


def announced(server: Server) -> Counter[str]:
    """How many events there are of each file."""
    tail = [str(WEAVE), "events", "tail", "-n", "1000", "--json", str(server.vault)]
    events = subprocess.run(tail, env=server.env, capture_output=True, check=True, text=True).stdout
    return Counter({event["id"]: event["subject"] for event in map(json.loads, events.splitlines())}.values())


def test_a_change_on_disk_shows_over_http(server: Server) -> None:
    (server.vault / "Notes" / "From outside.md").write_text("hello")
    wait_until(lambda: "Notes/From outside.md" in list_all(server))


def test_the_key_is_private_and_required(server: Server) -> None:
    assert (server.data_dir / "api-key").stat().st_mode & 0o777 == 0o600
    assert server.get("/files", Authorization="Bearer wrong").status == 401
    assert server.get("/health", Authorization="").status == 200
    assert server.get("/files", Host="evil.example").status in {400, 421}
    assert server.get("/files", Origin="http://evil.example").status == 403
    assert server.key not in server.log()


def test_a_termination_is_a_clean_end(server: Server) -> None:
    assert server.stop() == 0
    assert "Traceback" not in server.log()


def test_read_only_changes_nothing(make_server: Callable[..., Server]) -> None:
    server = make_server(WEAVE_READ_ONLY="true").start()
    before = vault_bytes(server.vault)
    assert server.request("PUT", "/files/x.md", b"x").status == 403
    assert server.request("DELETE", "/files/Welcome.md").status == 403
    assert server.get("/files/Welcome.md").status == 200
    assert vault_bytes(server.vault) == before


def test_hostile_notes_are_served_and_left_alone(make_server: Callable[..., Server]) -> None:
    server = make_server()
    hostile = {
        "bad-utf8.md": b"\xff\xfe\xfa text [[link]]",
        "zero-byte.md": b"a\x00b",
        "yaml.md": b"---\n: : {[\n---\n# Title\n",
        "links.md": b" ".join(b"[[note %d]]" % number for number in range(10_000)),
        "big.md": b"# Big\n" + b"word " * 10_000_000,
        "empty.md": b"",
    }
    for name, content in hostile.items():
        (server.vault / name).write_bytes(content)
    server.start()
    for name, content in hostile.items():
        answer = server.get(f"/files/{name}")
        assert answer.status == 200, name
        assert answer.body == content
        assert server.get(f"/files/{name}", Accept="application/vnd.olrapi.note+json").status == 200
        assert (server.vault / name).read_bytes() == content


def test_a_second_process_stands_by_and_takes_over(make_server: Callable[..., Server]) -> None:
    first = make_server()
    if isinstance(first, Services):
        pytest.skip("of services that stand alone, each is taken over by itself: see test_compositions")
    first.start()
    second = Server(first.vault, first.data_dir, first.environment).start()
    try:
        assert "stands_by" in second.log()
        first.kill()
        (second.vault / "After.md").write_text("noticed by the second")
        wait_until(lambda: "After.md" in list_all(second))
        assert second.get("/ready").status == 200
    finally:
        second.kill()
