"""JSON Web Tokens: what is believed, and everything that must not be."""

import base64
import hashlib
import hmac
import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import get_default_algorithms

from weave_nn.shared.errors import InvalidInput, Unavailable
from weave_nn.shared.identity import Identity, Scope, key_sets, scopes_of
from weave_nn.shared.identity.key_sets import FileKeySet, UrlKeySet, open_key_set
from weave_nn.shared.identity.tokens import TokenAuthenticator

ISSUER, AUDIENCE = "https://id.example.org", "weave-nn"
KEYS: dict[str, Any] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
STRANGER = ec.generate_private_key(ec.SECP256R1())


def public(**keys: tuple[str, Any]) -> str:
    """A key set: by key id, the algorithm and the private key."""
    algorithms = get_default_algorithms()
    found = []
    for key_id, (algorithm, key) in keys.items():
        document = algorithms[algorithm].to_jwk(key.public_key(), as_dict=True)
        found.append({**document, "kid": key_id, "use": "sig"})
    return json.dumps({"keys": found})


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    document = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": now + 600, "iat": now, "scope": "openid read"}
    return {name: value for name, value in (document | changed).items() if value is not None}


def signed(algorithm: str = "ES256", *, key: Any = None, kid: str | None = None, **changed: Any) -> str:
    headers = {"kid": kid or algorithm}
    return jwt.encode(claims(**changed), key or KEYS[algorithm], algorithm=algorithm, headers=headers)


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_text(public(**{name: (name, key) for name, key in KEYS.items()}))
    return file


@pytest.fixture
def key_set(key_file: Path) -> bytes:
    return key_file.read_bytes()


@pytest.fixture(scope="module")
def authenticator(key_file: Path) -> TokenAuthenticator:
    return TokenAuthenticator(issuer=ISSUER, audience=AUDIENCE, keys=FileKeySet(key_file))


@pytest.mark.parametrize("algorithm", KEYS)
async def test_a_token_of_the_issuer_is_its_subject(authenticator: TokenAuthenticator, algorithm: str) -> None:
    token = signed(algorithm)
    for _ in range(2):
        identity = await authenticator.authenticate(token)
        assert identity == Identity("ada", frozenset({Scope.READ}), "ada", "token")


@pytest.mark.parametrize(
    ("claim", "scopes"),
    [
        ("write", "write"),
        (["weave:read", "weave:admin"], "admin"),
        ("weave:write offline_access", "write"),
        ("administrator reader", ""),
        ({"admin": True}, ""),
        (["read", 1, None], "read"),
        (None, ""),
    ],
)
async def test_scopes_come_from_the_claim(authenticator: TokenAuthenticator, claim: Any, scopes: str) -> None:
    identity = await authenticator.authenticate(signed(scope=claim))
    assert identity is not None
    assert identity.scopes == scopes_of(scopes.split())


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://other.example.org"},
        {"iss": None},
        {"aud": "another application"},
        {"aud": None},
        {"exp": int(time.time()) - 31},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": int(time.time()) + 600},
        {"sub": None},
        {"sub": 5},
        {"iat": int(time.time()) + 600},
    ],
)
async def test_a_token_that_says_something_else_is_refused(
    authenticator: TokenAuthenticator, changed: dict[str, Any]
) -> None:
    try:
        token = signed(**changed)
    except TypeError:
        # The library makes no token with a wrong type, an attacker's does.
        token = jwt.api_jws.encode(json.dumps(claims(**changed)).encode(), KEYS["ES256"], "ES256", {"kid": "ES256"})
    assert await authenticator.authenticate(token) is None


async def test_a_little_of_the_clock_is_forgiven(authenticator: TokenAuthenticator) -> None:
    assert await authenticator.authenticate(signed(exp=int(time.time()) - 5))


async def test_forged_signatures_are_refused(authenticator: TokenAuthenticator, key_set: bytes) -> None:
    head, body, signature = signed().split(".")
    raised = base64.urlsafe_b64encode(json.dumps(claims(scope="admin")).encode()).decode().rstrip("=")
    public_pem = KEYS["RS256"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forged = [
        f"{head}.{raised}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-4]}AAAA",
        jwt.encode(claims(), "", algorithm="none", headers={"kid": "ES256"}),
        signed(key=STRANGER),
        signed(key=STRANGER, kid="unknown"),
        jwt.encode(claims(), STRANGER, algorithm="ES256", headers={"jwk": json.loads(public(x=("ES256", STRANGER)))}),
        _hmac_token(public_pem, "RS256"),
        _hmac_token(key_set, "ES256"),
        signed("RS256", kid="ES256"),
    ]
    for token in forged:
        assert await authenticator.authenticate(token) is None


def _hmac_token(secret: bytes, kid: str) -> str:
    """A token that is signed with a public key as if that were a secret; the library itself refuses to make one."""

    def encoded(value: Any) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    message = encoded({"alg": "HS256", "typ": "JWT", "kid": kid}) + b"." + encoded(claims())
    signature = base64.urlsafe_b64encode(hmac.new(secret, message, hashlib.sha256).digest()).rstrip(b"=")
    return (message + b"." + signature).decode()


async def test_an_expired_token_is_refused_though_it_was_believed(
    authenticator: TokenAuthenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signed(exp=int(time.time()) + 600)
    assert await authenticator.authenticate(token)
    later = time.time() + 700
    monkeypatch.setattr(time, "time", lambda: later)
    assert await authenticator.authenticate(token) is None


@given(st.text(max_size=80) | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
async def test_no_other_text_is_a_token(authenticator: TokenAuthenticator, text: str) -> None:
    assert await authenticator.authenticate(text) is None


def test_public_keys_go_with_asymmetric_signatures_only(key_file: Path) -> None:
    for algorithms in (["HS256"], ["none"], ["RS256", "HS512"], []):
        with pytest.raises(InvalidInput):
            TokenAuthenticator(issuer=ISSUER, audience=AUDIENCE, keys=FileKeySet(key_file), algorithms=algorithms)


async def test_a_secret_is_taken_for_its_own_signatures_only() -> None:
    secret = os.urandom(32)
    authenticator = TokenAuthenticator(issuer=ISSUER, audience=AUDIENCE, keys=secret)
    assert await authenticator.authenticate(jwt.encode(claims(), secret, algorithm="HS256"))
    assert await authenticator.authenticate(jwt.encode(claims(), os.urandom(32), algorithm="HS256")) is None
    assert await authenticator.authenticate(signed()) is None
    with pytest.raises(InvalidInput):
        TokenAuthenticator(issuer=ISSUER, audience=AUDIENCE, keys=b"short")


async def test_a_secret_in_a_public_set_is_no_key(tmp_path: Path) -> None:
    secret = os.urandom(32)
    document = {"kty": "oct", "kid": "s", "k": base64.urlsafe_b64encode(secret).decode().rstrip("=")}
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [document, *json.loads(public(e=("ES256", KEYS["ES256"])))["keys"]]}))
    authenticator = TokenAuthenticator(issuer=ISSUER, audience=AUDIENCE, keys=FileKeySet(file))
    assert (
        await authenticator.authenticate(jwt.encode(claims(), secret, algorithm="HS256", headers={"kid": "s"})) is None
    )
    # Where there is one key only, a token need not name it.
    assert await authenticator.authenticate(jwt.encode(claims(), KEYS["ES256"], algorithm="ES256"))


async def test_keys_in_a_file_change_when_the_file_does(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(public(old=("ES256", KEYS["ES256"])))
    authenticator = TokenAuthenticator(issuer=ISSUER, audience=AUDIENCE, keys=FileKeySet(file))
    assert await authenticator.authenticate(signed(kid="old"))
    file.write_text(public(old=("ES256", KEYS["ES256"]), new=("ES256", STRANGER)))
    assert await authenticator.authenticate(signed(kid="new", key=STRANGER))
    file.write_text("{")
    with pytest.raises(Unavailable):
        await authenticator.authenticate(signed(kid="new", key=STRANGER, jti="another"))
    file.unlink()
    with pytest.raises(Unavailable):
        await authenticator.authenticate(signed(kid="new", key=STRANGER, jti="yet another"))


class Issuer:
    """An issuer's server: what it answers, and how often it was asked."""

    def __init__(self) -> None:
        self.body = public(old=("ES256", KEYS["ES256"]))
        self.moved_to: str | None = None
        self.asked = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                self.send_response(302 if issuer.moved_to else 200 if issuer.body else 500)
                if issuer.moved_to:
                    self.send_header("Location", issuer.moved_to)
                self.end_headers()
                self.wfile.write(issuer.body.encode())

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/jwks"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    thread = threading.Thread(target=issuer.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield issuer
    issuer.server.shutdown()
    thread.join()
    issuer.server.server_close()


async def test_keys_behind_a_url_are_asked_for_rarely_and_may_change(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator = TokenAuthenticator(issuer=ISSUER, audience=AUDIENCE, keys=UrlKeySet(issuer.url))
    for number in range(20):
        assert await authenticator.authenticate(signed(kid="old", jti=str(number)))
        assert await authenticator.authenticate(signed(kid=f"unknown {number}", key=STRANGER)) is None
    assert issuer.asked == 1
    monkeypatch.setattr(key_sets, "BETWEEN_FETCHES_SECONDS", -1.0)
    issuer.body = public(new=("ES256", STRANGER))
    assert await authenticator.authenticate(signed(kid="new", key=STRANGER))
    assert await authenticator.authenticate(signed(kid="old", jti="after the change")) is None
    # While it does not answer, what it said last holds.
    issuer.body = ""
    monkeypatch.setattr(key_sets, "FRESH_SECONDS", -1.0)
    assert await authenticator.authenticate(signed(kid="new", key=STRANGER, jti="during an outage"))


async def test_without_keys_nobody_can_tell(issuer: Issuer) -> None:
    for body, moved_to in (("", None), ("[]", None), ("{}", None), ("no JSON", None), ("", "http://example.org/keys")):
        issuer.body, issuer.moved_to = body, moved_to
        authenticator = TokenAuthenticator(issuer=ISSUER, audience=AUDIENCE, keys=UrlKeySet(issuer.url))
        with pytest.raises(Unavailable):
            await authenticator.authenticate(signed())


@pytest.mark.parametrize("url", ["http://example.org/jwks", "ftp://example.org/jwks", "file:///etc/keys", "HTTP://x/"])
def test_keys_come_over_tls_only(url: str) -> None:
    with pytest.raises(InvalidInput):
        open_key_set(url)
