"""JSON Web Tokens as credentials, for installations whose people and programs are known elsewhere.

Only what the settings name is believed: one issuer, one audience, its keys, and signatures of the configured kinds,
never `none` and never a shared secret where public keys are configured. A token that was checked is believed for a
minute, or until it expires.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import structlog

from weave_nn.shared.errors import InvalidInput
from weave_nn.shared.identity.caller import Identity, scopes_of
from weave_nn.shared.identity.key_sets import KeySet

if TYPE_CHECKING:
    from jwt import PyJWK

FRESH_SECONDS = 60.0
KNOWN_TOKENS = 10_000
CHECKS_AT_ONCE = 4
LONGEST_TOKEN = 8192
SHORTEST_SECRET_BYTES = 32
SCOPE_PREFIX = "weave:"
BY_KEY_TYPE = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
ASYMMETRIC = frozenset().union(*BY_KEY_TYPE.values())

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    identity: Identity
    believed_until: float
    expires_at: float


class TokenAuthenticator:
    """Knows the tokens of `issuer` for `audience`, signed with `keys`: its public ones, or the bytes of a secret.

    Raises `InvalidInput` when the extra is missing, when an algorithm is not asymmetric, or a secret is short.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        keys: KeySet | bytes,
        algorithms: Collection[str] = ("RS256", "ES256", "EdDSA"),
        leeway_seconds: float = 30.0,
        scope_claim: str = "scope",
    ) -> None:
        _require_library()
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._algorithms = ["HS256"] if isinstance(keys, bytes) else _asymmetric(algorithms)
        if isinstance(keys, bytes) and len(keys) < SHORTEST_SECRET_BYTES:
            raise InvalidInput(
                f"The secret of WEAVE_JWT_SECRET_FILE has {len(keys)} bytes.",
                hint=f"Use at least {SHORTEST_SECRET_BYTES} random bytes.",
                field="jwt_secret_file",
            )
        self._leeway_seconds = leeway_seconds
        self._scope_claim = scope_claim
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._checking = anyio.CapacityLimiter(CHECKS_AT_ONCE)

    async def authenticate(self, credential: str) -> Identity | None:
        """The identity that a token proves, `None` for any other text; raises `Unavailable` without the keys."""
        if credential.count(".") != 2 or len(credential) > LONGEST_TOKEN or not credential.isascii():
            return None
        # Whoever can send this digest has the token.
        digest = hashlib.sha256(credential.encode()).digest()
        known = self._known.get(digest)
        if known is None or time.monotonic() >= known.believed_until:
            known = await anyio.to_thread.run_sync(self._check, credential, limiter=self._checking)
            if known is None:
                return None
            self._known.pop(digest, None)
            self._known[digest] = known
            if len(self._known) > KNOWN_TOKENS:
                self._known.popitem(last=False)
        return known.identity if time.time() < known.expires_at else None

    def _check(self, token: str) -> _Known | None:
        from jwt.exceptions import PyJWTError  # noqa: PLC0415 - an optional library, there since we are

        try:
            claims = self._claims(token)
        except PyJWTError as error:
            log.info("token.refused", reason=str(error))
            return None
        name = claims["sub"]
        identity = Identity(name, scopes_of(_words(claims.get(self._scope_claim))), name, "token")
        return _Known(identity, time.monotonic() + FRESH_SECONDS, float(claims["exp"]) + self._leeway_seconds)

    def _claims(self, token: str) -> dict[str, Any]:
        import jwt  # noqa: PLC0415 - an optional library, there since we are

        if isinstance(self._keys, bytes):
            return self._decode(token, self._keys, self._algorithms)
        key_id = jwt.get_unverified_header(token).get("kid")
        found = self._keys.find(key_id)
        if not found:
            raise jwt.InvalidKeyError(f"The issuer has no key {key_id!r}")
        return self._decode(token, found[0].key, _fitting(found[0], self._algorithms))

    def _decode(self, token: str, key: Any, algorithms: Sequence[str]) -> dict[str, Any]:
        import jwt  # noqa: PLC0415 - an optional library, there since we are

        return jwt.decode(
            token,
            key,
            algorithms=algorithms,
            issuer=self._issuer,
            audience=self._audience,
            leeway=self._leeway_seconds,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )


def _fitting(key: "PyJWK", algorithms: Sequence[str]) -> list[str]:
    """Those of the accepted algorithms that the key is for: of its type, and the one that it names, if it does."""
    named = key._jwk_data.get("alg")  # noqa: SLF001 - the public name gives a default where none is named
    return [each for each in algorithms if each in BY_KEY_TYPE.get(key.key_type or "", ()) and named in {None, each}]


def _words(claim: object) -> list[str]:
    """The names of scopes in a claim: words in a text, or a list of them."""
    words = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return [word.removeprefix(SCOPE_PREFIX) for word in words if isinstance(word, str)]


def _asymmetric(algorithms: Collection[str]) -> list[str]:
    refused = sorted(set(algorithms) - ASYMMETRIC)
    if refused or not algorithms:
        raise InvalidInput(
            f"WEAVE_JWT_ALGORITHMS names {', '.join(refused) or 'nothing'}.",
            hint=f"Public keys go with {', '.join(sorted(ASYMMETRIC))}; for a secret set WEAVE_JWT_SECRET_FILE.",
            field="jwt_algorithms",
        )
    return list(algorithms)


def _require_library() -> None:
    try:
        import cryptography  # noqa: F401, PLC0415 - an optional library; only whether it is there matters here
        import jwt  # noqa: F401, PLC0415 - the same
    except ImportError as error:
        raise InvalidInput(
            "WEAVE_JWT_ISSUER is set, but the library for JSON Web Tokens is not installed.",
            hint="Install the extra: pip install 'weave-nn[jwt]'.",
            field="jwt_issuer",
        ) from error
