from typing import Any

import pytest
from fastapi import APIRouter, Request
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from weave_nn.shared.errors import Unavailable
from weave_nn.shared.http import AnyOf, Identity, Security, StaticKey, create_app, current_identity, requires
from weave_nn.shared.http import Scope as KeyScope
from weave_nn.shared.identity.passing import encode

KEY = "a-key-of-the-tests"
FORBIDDEN, UNAUTHORIZED, MISDIRECTED = 403, 401, 421


def who_router() -> APIRouter:
    router = APIRouter()

    @router.get("/")
    @router.get("/who")
    def who(request: Request) -> str | None:
        identity = current_identity()
        assert request.state.identity == identity
        return identity.name if identity else None

    @router.post("/search/")
    @router.post("/write")
    def write() -> str:
        return "done"

    @router.get("/admin", dependencies=[requires(KeyScope.ADMIN)])
    def admin() -> str:
        return "done"

    return router


async def mounted(scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


class Reader:
    async def authenticate(self, credential: str) -> Identity | None:
        return Identity("reader", frozenset({KeyScope.READ})) if credential == "r" else None


@pytest.mark.parametrize(
    "path", ["/who", "/write", "/nothing", "/metrics", "/docs", "/openapi.json", "/mcp", "/mcp/a", "/"]
)
@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {KEY}", KEY, "Bearer \xff"]
)
def test_every_path_but_the_probes_needs_the_key(make_client: Any, path: str, authorization: str | None) -> None:
    client = make_client(who_router(), key=None, mounts={"/mcp": mounted})
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
    for method in ("GET", "POST", "HEAD", "OPTIONS"):
        response = client.request(method, path, headers=headers)
        assert (response.status_code, response.headers["www-authenticate"]) == (UNAUTHORIZED, 'Bearer realm="weave-nn"')
    assert client.get("/health", headers=headers).status_code == 200
    assert client.get("/ready", headers=headers).status_code == 200


def test_the_key_opens_routes_and_mounted_applications(make_client: Any) -> None:
    client = make_client(who_router(), mounts={"/mcp": mounted})
    assert client.get("/who").json() == "owner"
    assert client.get("/who", headers={"Authorization": f"bearer {KEY}"}).json() == "owner"
    assert client.post("/mcp").text == "/mcp"
    assert client.post("/mcp/below").text == "/mcp/below"


def test_a_public_path_knows_who_calls_and_turns_nobody_away(make_client: Any) -> None:
    security = Security(authenticator=StaticKey(KEY), public_paths=frozenset({"/"}))
    client = make_client(who_router(), key=None, security=security)
    assert client.get("/").json() is None
    assert client.get("/", headers={"Authorization": "Bearer wrong"}).json() is None
    assert client.get("/", headers={"Authorization": f"Bearer {KEY}"}).json() == "owner"


class Away:
    async def authenticate(self, credential: str) -> Identity | None:
        raise Unavailable(f"Nobody knows {len(credential)} characters now.", retry_after_seconds=3)


def test_while_nobody_can_tell_a_request_is_to_come_again(make_client: Any) -> None:
    client = make_client(who_router(), security=Security(authenticator=Away(), public_paths=frozenset({"/"})))
    answer = client.get("/who")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    assert client.get("/health").status_code == 200
    assert client.get("/").json() is None


def test_whoever_is_no_service_speaks_for_itself(make_client: Any) -> None:
    passed_on = {"X-Weave-Identity": encode(Identity("ada", frozenset({KeyScope.READ})))}
    security = Security(authenticator=AnyOf(StaticKey(KEY), StaticKey("s" * 20, name="service", kind="service")))
    owner = make_client(who_router(), security=security)
    assert owner.get("/who", headers=passed_on).json() == "owner"
    service = make_client(who_router(), key="s" * 20, security=security)
    assert service.get("/who").json() == "service"
    assert service.get("/who", headers=passed_on).json() == "ada"
    assert service.post("/write", headers=passed_on).status_code == FORBIDDEN
    twice = [*passed_on.items(), ("X-Weave-Identity", encode(Identity("admin", frozenset(KeyScope))))]
    assert service.get("/who", headers=twice).status_code == UNAUTHORIZED


def test_two_credentials_are_none(make_client: Any) -> None:
    client = make_client(who_router(), key=None)
    twice = [("Authorization", f"Bearer {KEY}"), ("Authorization", "Bearer other")]
    assert client.get("/who", headers=twice).status_code == UNAUTHORIZED


def test_scopes_bound_what_a_key_may_do(make_client: Any) -> None:
    security = Security(authenticator=Reader(), reading_paths=frozenset({"/search"}))
    client = make_client(who_router(), key="r", security=security)
    assert client.get("/who").json() == "reader"
    assert client.post("/search/").status_code == 200
    refused = client.post("/write")
    assert (refused.status_code, refused.json()["required_scope"]) == (FORBIDDEN, "write")
    assert client.get("/admin").status_code == FORBIDDEN


@given(st.text(max_size=60))
@settings(max_examples=60)
def test_no_other_text_is_the_key(credential: str) -> None:
    app = create_app(title="t", version="1", routers=[who_router()], security=Security(authenticator=StaticKey(KEY)))
    header = b"Bearer " + credential.encode("utf-8", "surrogatepass").replace(b"\n", b"").replace(b"\r", b"")
    response = TestClient(app, base_url="http://localhost").get("/who", headers={b"Authorization": header})
    assert (response.status_code == 200) == (credential.strip() == KEY)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]", "[::1]:8000", "notes.test", "a.b.lan:80", "[fe80::1]:9"],
)
def test_known_hosts_are_answered(make_client: Any, host: str) -> None:
    hosts = frozenset({"Notes.test", "*.lan", "fe80::1"})
    client = make_client(who_router(), security=Security(authenticator=StaticKey(KEY), allowed_hosts=hosts))
    assert client.get("/who", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["", "evil.test", "localhost.evil.test", "127.0.0.1.evil.test:80", "lan", "xlan", "::1", "localhost:80:80", "[::1"],
)
def test_foreign_hosts_are_misdirected_even_with_the_key(make_client: Any, host: str) -> None:
    security = Security(authenticator=StaticKey(KEY), allowed_hosts=frozenset({"*.lan"}))
    client = make_client(who_router(), security=security)
    response = client.get("/who", headers={"Host": host})
    assert (response.status_code, response.json()["title"]) == (MISDIRECTED, "Misdirected request")
    assert client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8000", 200),
        ("https://127.0.0.1:8000", 200),
        ("https://notes.test", 200),
        ("http://notes.test", FORBIDDEN),
        ("http://127.0.0.1:3000", FORBIDDEN),
        ("http://127.0.0.1", FORBIDDEN),
        ("http://evil.test", FORBIDDEN),
        ("app://127.0.0.1:8000", FORBIDDEN),
        ("null", FORBIDDEN),
        ("", FORBIDDEN),
    ],
)
def test_only_own_and_allowed_origins_may_call(make_client: Any, origin: str, status: int) -> None:
    security = Security(authenticator=StaticKey(KEY), allowed_origins=frozenset({"https://notes.test"}))
    client = make_client(who_router(), security=security)
    headers = {"Host": "127.0.0.1:8000", "Origin": origin}
    assert client.get("/who", headers=headers).status_code == status
    assert client.post("/write", headers=headers).status_code == status


def test_cors_is_off_unless_an_origin_is_allowed(make_client: Any) -> None:
    preflight = {"Origin": "https://notes.test", "Access-Control-Request-Method": "PUT"}
    closed = make_client(who_router(), key=None).options("/who", headers=preflight)
    assert closed.status_code == FORBIDDEN
    assert "access-control-allow-origin" not in closed.headers
    security = Security(authenticator=StaticKey(KEY), allowed_origins=frozenset({"https://notes.test"}))
    opened = make_client(who_router(), key=None, security=security).options("/who", headers=preflight)
    assert (opened.status_code, opened.headers["access-control-allow-origin"]) == (200, "https://notes.test")
