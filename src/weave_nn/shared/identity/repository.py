"""The SQL of API keys."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.orm import Session

from weave_nn.shared.db import lock
from weave_nn.shared.errors import Conflict, NotFound
from weave_nn.shared.identity.caller import Scope, scopes_of
from weave_nn.shared.identity.models import api_key


class KeyExists(Conflict):
    """A working key has that name already."""

    code = "key_exists"
    title = "Key exists"


class KeyNotFound(NotFound):
    """No working key has that name or id."""

    code = "key_not_found"
    title = "Key not found"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept: everything but the secret, of which there is the digest only."""

    id: str
    name: str
    user: str | None
    scopes: frozenset[Scope]
    digest: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def works(self, at: datetime) -> bool:
        """Whether it is neither revoked nor, at that time, expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > at)


_COLUMNS = select(api_key)
_USED = (
    update(api_key)
    .where(
        api_key.c.id == bindparam("key"),
        or_(api_key.c.last_used_at.is_(None), api_key.c.last_used_at < bindparam("used")),
    )
    .values(last_used_at=bindparam("used"))
)


def find(session: Session, id_: str) -> ApiKey | None:
    """The key of that id, whether it works or not."""
    row = session.execute(_COLUMNS.where(api_key.c.id == id_)).one_or_none()
    return None if row is None else _key(row)


def every(session: Session) -> list[ApiKey]:
    """All keys that were ever made, the oldest first."""
    return [_key(row) for row in session.execute(_COLUMNS.order_by(api_key.c.created_at, api_key.c.id))]


def working(session: Session, name_or_id: str, now: datetime) -> list[ApiKey]:
    """The working keys of that name, else the one of that id, the oldest first; raises `KeyNotFound`.

    Until the transaction ends, nobody else changes keys.
    """
    lock(session, "identity.keys")
    keys = [key for key in every(session) if key.works(now)]
    found = [key for key in keys if key.name == name_or_id] or [key for key in keys if key.id == name_or_id]
    if not found:
        raise KeyNotFound(f"No working key is named {name_or_id!r}.", hint="`weave keys list` shows them.")
    return found


def refuse_taken(session: Session, name: str, now: datetime) -> None:
    """Raise `KeyExists` if a working key has that name."""
    lock(session, "identity.keys")
    if any(key.works(now) for key in every(session) if key.name == name):
        raise KeyExists(
            f"A key named {name!r} exists already.",
            hint="Give another name, or make it anew with `weave keys rotate`.",
        )


def insert_key(session: Session, key: ApiKey) -> None:
    """Keep a new key."""
    session.execute(
        insert(api_key).values(
            id=key.id,
            name=key.name,
            user_name=key.user,
            scopes=",".join(sorted(key.scopes)),
            digest=key.digest,
            created_at=key.created_at,
            expires_at=key.expires_at,
        )
    )


def end(
    session: Session, keys: Iterable[ApiKey], *, revoked_at: datetime | None = None, expires_at: datetime | None = None
) -> None:
    """Revoke keys, or let them expire then."""
    values = {"revoked_at": revoked_at} if revoked_at is not None else {"expires_at": expires_at}
    session.execute(update(api_key).where(api_key.c.id.in_([key.id for key in keys])).values(values))


def note_use(session: Session, used: dict[str, datetime]) -> None:
    """Keep when keys were last used, by id; a later time that another process has written stays."""
    session.connection().execute(_USED, [{"key": id_, "used": at} for id_, at in used.items()])


def _key(row: Any) -> ApiKey:
    return ApiKey(
        row.id,
        row.name,
        row.user_name,
        scopes_of(row.scopes.split(",")),
        row.digest,
        row.created_at,
        row.expires_at,
        row.revoked_at,
        row.last_used_at,
    )
