"""Where the public keys of an issuer come from: a JSON Web Key Set in a file or behind an https URL."""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import structlog

from weave_nn.shared.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from jwt import PyJWK

FRESH_SECONDS = 300.0
BETWEEN_FETCHES_SECONDS = 10.0
FETCH_TIMEOUT_SECONDS = 5.0
LARGEST_SET_BYTES = 1024 * 1024
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

log = structlog.get_logger(__name__)


class KeySet(Protocol):
    """An issuer's keys."""

    def find(self, key_id: str | None) -> "Sequence[PyJWK]":
        """The keys that a token which names `key_id` may be signed with; called in a thread.

        Raises `Unavailable` when they cannot be read.
        """


def open_key_set(place: str) -> KeySet:
    """The key set at `place`, an https URL or a file; nothing is read yet. Raises `InvalidInput` for other URLs."""
    if "://" not in place:
        return FileKeySet(Path(place).expanduser())
    if not _is_trustworthy(place):
        raise InvalidInput(
            f"WEAVE_JWT_KEYS={place} cannot be used: whoever sits in between could put in keys of their own.",
            hint="Give an https URL, or a file.",
            field="jwt_keys",
        )
    return UrlKeySet(place)


class FileKeySet:
    """Keys in a file, which is read again when it has changed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._keys: Sequence[PyJWK] = ()

    def find(self, key_id: str | None) -> "Sequence[PyJWK]":
        """See `KeySet.find`."""
        try:
            status = self._file.stat()
            seen = status.st_mtime_ns, status.st_size, status.st_ino
            if seen != self._seen:
                self._keys = _parse(self._file.read_bytes())
                self._seen = seen
        except (OSError, ValueError) as error:
            raise Unavailable(f"The keys of WEAVE_JWT_KEYS={self._file} cannot be read: {error}.") from error
        return _chosen(self._keys, key_id)


class UrlKeySet:
    """Keys behind a URL: read every five minutes, and when a token names one that is not there.

    So issuers may change their keys at any moment. However many such tokens come, it is asked once in ten seconds.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._guard = threading.Lock()
        self._keys: Sequence[PyJWK] | None = None
        self._fetched_at = 0.0
        self._tried_at = float("-inf")

    def find(self, key_id: str | None) -> "Sequence[PyJWK]":
        """See `KeySet.find`. While the URL does not answer, the keys that it gave last go on being good."""
        with self._guard:
            now = time.monotonic()
            wanted = self._keys is None or now - self._fetched_at > FRESH_SECONDS or not _chosen(self._keys, key_id)
            if wanted and now - self._tried_at > BETWEEN_FETCHES_SECONDS:
                self._tried_at = now
                self._fetch()
            if self._keys is None:
                raise Unavailable(
                    f"The keys of WEAVE_JWT_KEYS={self._url} cannot be had now.", hint="Try again, or use an API key."
                )
            return _chosen(self._keys, key_id)

    def _fetch(self) -> None:
        opener = urllib.request.build_opener(_OnlyTrustworthy())
        try:
            with opener.open(self._url, timeout=FETCH_TIMEOUT_SECONDS) as answer:
                self._keys = _parse(answer.read(LARGEST_SET_BYTES))
            self._fetched_at = time.monotonic()
        except (OSError, ValueError) as error:
            log.warning("tokens.keys_not_read", url=self._url, error=str(error))


class _OnlyTrustworthy(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: object, **named: object) -> urllib.request.Request | None:
        request = super().redirect_request(*arguments, **named)  # type: ignore[arg-type]  # handed on as they came
        if request is not None and not _is_trustworthy(request.full_url):
            raise urllib.error.URLError(f"it redirects to {request.full_url}")
        return request


def _is_trustworthy(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def _parse(body: bytes) -> "Sequence[PyJWK]":
    """The keys that sign; one with a secret has no business in a public set. Raises `ValueError`."""
    import jwt  # noqa: PLC0415 - an optional library
    from jwt.exceptions import PyJWTError  # noqa: PLC0415 - the same

    try:
        keys = jwt.PyJWKSet.from_json(body.decode()).keys
    except (PyJWTError, AttributeError, TypeError) as error:
        raise ValueError(f"it is no JSON Web Key Set: {error}") from error
    return [key for key in keys if key.key_type != "oct" and key.public_key_use in {None, "sig"}]


def _chosen(keys: "Sequence[PyJWK]", key_id: str | None) -> "Sequence[PyJWK]":
    if key_id is None:
        # A token need not name its key where there is no choice.
        return keys if len(keys) == 1 else ()
    return [key for key in keys if key.key_id == key_id]
