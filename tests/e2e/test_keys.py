"""Keys from the command line, used over HTTP and MCP against a server that runs."""

import json
import subprocess
from typing import Any

import httpx2
import pytest

from e2e.clients import MODES, call, failing, over_http
from e2e.server import START_SECONDS, WEAVE, Server, wait_until

NOT_FOUND, UNAUTHORIZED = 404, 401
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
CALL = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "list_notes", "arguments": {}}}


def keys(server: Server, *arguments: str) -> Any:
    command = [str(WEAVE), "keys", *arguments]
    environment = {**server.env, "WEAVE_VAULT": str(server.vault)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=START_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def secrets(shared_server: Server) -> dict[str, str]:
    return {
        scope: keys(shared_server, "create", f"{scope}er", "--scope", scope, "--user", "ada")["secret"]
        for scope in ("read", "write")
    }


@pytest.mark.parametrize("mode", MODES)
async def test_a_reading_key_has_the_reading_tools(shared_server: Server, secrets: dict[str, str], mode: str) -> None:
    async with over_http(shared_server, mode, key=secrets["read"]) as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        assert {"read_notes", "get_links", "diff"} <= listed
        assert "write_note" not in listed
        assert (await call(client, "read_notes", paths=["Welcome.md"]))["notes"]
        told = await failing(client, "write_note", path="Notes/Never.md", content="never")
        assert "may only read" in told
        assert "--scope write" in told
        assert (await client.list_resources()).resources
    async with over_http(shared_server, mode, key=secrets["write"]) as client:
        assert "write_note" in {tool.name for tool in (await client.list_tools()).tools}
        await call(client, "write_note", path=f"Notes/Written {mode}.md", content="# Written")
    assert not (shared_server.vault / "Notes/Never.md").exists()
    assert (shared_server.vault / f"Notes/Written {mode}.md").exists()


async def test_a_session_is_of_whoever_began_it(shared_server: Server, secrets: dict[str, str]) -> None:
    accept = {"Accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient(base_url=shared_server.url, headers=accept, timeout=30) as http:
        writer, reader = ({"Authorization": f"Bearer {secrets[scope]}"} for scope in ("write", "read"))
        begun = await http.post("/mcp", json=INITIALIZE, headers=writer)
        session = {"Mcp-Session-Id": begun.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}
        assert (await http.post("/mcp", json=CALL, headers=reader | session)).status_code == NOT_FOUND
        assert (await http.get("/mcp", headers=reader | session)).status_code == NOT_FOUND
        assert (await http.post("/mcp", json=CALL, headers=writer | session)).status_code == 200
        assert (await http.post("/mcp", json=CALL, headers=session)).status_code == UNAUTHORIZED


def test_a_key_is_rotated_and_revoked_under_a_running_server(shared_server: Server) -> None:
    def status(secret: str) -> int:
        return shared_server.get("/files", Authorization=f"Bearer {secret}").status

    old = keys(shared_server, "create", "laptop", "--scope", "read", "--expires", "90d")
    assert status(old["secret"]) == 200
    new = keys(shared_server, "rotate", "laptop")
    assert status(new["secret"]) == 200
    wait_until(lambda: status(old["secret"]) == UNAUTHORIZED)
    assert keys(shared_server, "revoke", "laptop") == {"revoked": [{"name": "laptop", "id": new["id"]}]}
    wait_until(lambda: status(new["secret"]) == UNAUTHORIZED)
    listed = {(each["name"], each["state"]) for each in keys(shared_server, "list", "--all")}
    assert ("laptop", "revoked") in listed
    assert status(shared_server.key) == 200


def test_the_log_names_callers_and_no_key(shared_server: Server, secrets: dict[str, str]) -> None:
    assert shared_server.get("/files", Authorization=f"Bearer {secrets['read']}").status == 200
    assert shared_server.get("/files", Authorization=f"Bearer {secrets['read']}x").status == UNAUTHORIZED
    log = shared_server.log()
    assert not [secret for secret in secrets.values() if secret[-43:] in log]
    assert "reader" in log
