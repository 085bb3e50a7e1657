"""API keys in the database: made, listed, revoked, rotated, and known again within microseconds.

A key is `weave_ID_SECRET`. The id is no secret and finds the row; the secret has 256 random bits, of which only the
SHA-256 digest is kept. A slow, salted hash is for passwords, which people choose and others can guess; nobody guesses
one of 2^256, and a fast hash does not let anybody keep the server busy by sending wrong ones.

What was looked up is believed for `FRESH_SECONDS`: a key that was revoked by another process is refused here after
that time at the latest, one that was revoked through the same `Keyring` at once.
"""

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio
import anyio.to_thread
from sqlalchemy.orm import Session

from weave_nn.shared.db import Database
from weave_nn.shared.errors import InvalidInput
from weave_nn.shared.identity import repository
from weave_nn.shared.identity.caller import Identity, Scope, scopes_of
from weave_nn.shared.identity.repository import ApiKey
from weave_nn.shared.identity.usage import Usage

FRESH_SECONDS = 2.0
KNOWN_KEYS = 10_000
LOOK_UPS_AT_ONCE = 4
LONGEST_NAME = 100

_CREDENTIAL = re.compile(r"weave_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[^\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made, with its `secret`: the whole credential, which cannot be had again."""

    key: ApiKey
    secret: str


@dataclass(slots=True)
class _Known:
    """What a look-up found; `digest` is that of nothing if there is no such key."""

    checked_at: float
    digest: str = ""
    identity: Identity | None = None
    ends_at: float = 0.0


class Keyring:
    """The keys of `database`; as an authenticator it may be asked by any number of requests at once."""

    def __init__(self, database: Database, *, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._database = database
        self._fresh_seconds = fresh_seconds
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._generation = 0
        self._guard = threading.Lock()
        self._usage = Usage(database)
        self._looking_up = anyio.CapacityLimiter(LOOK_UPS_AT_ONCE)

    def create(
        self, name: str, scopes: frozenset[Scope], *, user: str | None = None, lasts: timedelta | None = None
    ) -> NewKey:
        """Make a key that ends after `lasts`, or never. Raises `InvalidInput`, and `KeyExists` if one has that name."""
        _check(name, "name")
        if user is not None:
            _check(user, "user")
        if not scopes:
            raise InvalidInput("A key without a scope could do nothing.", hint="Give read, write or admin.")
        with self._database.write() as work:
            repository.refuse_taken(work.session, name, _now())
            return self._insert(work.session, name, user, scopes, lasts)

    def all_keys(self, *, ended: bool = False) -> list[ApiKey]:
        """Every key that works, the oldest first; with `ended` also those that were revoked or have expired."""
        with self._database.read() as work:
            keys = repository.every(work.session)
        now = _now()
        return [key for key in keys if ended or key.works(now)]

    def revoke(self, name_or_id: str) -> list[ApiKey]:
        """Make the working keys of that name (after a rotation there may be two), or the one of that id, worthless.

        Raises `KeyNotFound` if none works.
        """
        now = _now()
        with self._database.write() as work:
            found = repository.working(work.session, name_or_id, now)
            repository.end(work.session, found, revoked_at=now)
        self._forget()
        return found

    def rotate(self, name_or_id: str, *, overlap: timedelta = timedelta(), lasts: timedelta | None = None) -> NewKey:
        """Make a key that takes the place of another, which goes on working for `overlap`.

        It has the name, user and scopes of the old one, and its length of life unless `lasts` gives another. Raises
        `KeyNotFound`.
        """
        now = _now()
        with self._database.write() as work:
            found = repository.working(work.session, name_or_id, now)
            old = found[-1]
            if overlap:
                until = now + overlap
                repository.end(work.session, [key for key in found if key.works(until)], expires_at=until)
            else:
                repository.end(work.session, found, revoked_at=now)
            if lasts is None and old.expires_at is not None:
                lasts = old.expires_at - old.created_at
            made = self._insert(work.session, old.name, old.user, old.scopes, lasts)
        self._forget()
        return made

    async def authenticate(self, credential: str) -> Identity | None:
        """The identity behind a key, `None` if it is unknown, expired or revoked; raises `Unavailable`.

        What it costs to refuse tells whether an id is known, which is no secret, and nothing of the secret.
        """
        parts = _CREDENTIAL.fullmatch(credential)
        if parts is None:
            return None
        id_, secret = parts.groups()
        known = self._known.get(id_)
        if known is None or time.monotonic() - known.checked_at > self._fresh_seconds:
            known = await self._look_up(id_, known)
        if not hmac.compare_digest(_digest(secret), known.digest) or time.time() >= known.ends_at:
            return None
        self._usage.note(id_)
        return known.identity

    def close(self) -> None:
        """Finish writing when keys were last used."""
        self._usage.close()

    def _forget(self) -> None:
        with self._guard:
            self._generation += 1
            self._known.clear()

    def _insert(
        self, session: Session, name: str, user: str | None, scopes: frozenset[Scope], lasts: timedelta | None
    ) -> NewKey:
        id_, secret, now = secrets.token_hex(8), secrets.token_urlsafe(32), _now()
        try:
            expires_at = now + lasts if lasts is not None else None
        except OverflowError as error:
            raise InvalidInput(f"A key cannot last for {lasts}.", field="expires") from error
        key = ApiKey(id_, name, user, scopes, _digest(secret), now, expires_at)
        repository.insert_key(session, key)
        return NewKey(key, f"weave_{id_}_{secret}")

    async def _look_up(self, id_: str, stale: _Known | None) -> _Known:
        if stale is not None:
            # While this request asks, the others need not ask as well.
            stale.checked_at = time.monotonic()
        generation = self._generation
        try:
            known = await anyio.to_thread.run_sync(self._read, id_, limiter=self._looking_up)
        except BaseException:
            if stale is not None:
                stale.checked_at = -self._fresh_seconds
            raise
        with self._guard:
            # What was read before a key was revoked here must not be believed after it.
            if self._generation == generation:
                self._known.pop(id_, None)
                self._known[id_] = known
                while len(self._known) > KNOWN_KEYS:
                    self._known.popitem(last=False)
        return known

    def _read(self, id_: str) -> _Known:
        asked = time.monotonic()
        with self._database.read() as work:
            key = repository.find(work.session, id_)
        if key is None or key.revoked_at is not None:
            return _Known(asked)
        ends_at = key.expires_at.timestamp() if key.expires_at else float("inf")
        return _Known(asked, key.digest, Identity(key.name, scopes_of(key.scopes), key.user, "key"), ends_at)


def _check(value: str, field: str) -> None:
    if not _NAME.fullmatch(value) or len(value) > LONGEST_NAME or value != value.strip():
        raise InvalidInput(
            f"The {field} {value[:LONGEST_NAME]!r} cannot be used.",
            hint=f"Give 1 to {LONGEST_NAME} characters, without control characters or spaces around them.",
            field=field,
        )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)
