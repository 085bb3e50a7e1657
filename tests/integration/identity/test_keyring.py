"""API keys, on both databases."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from weave_nn.shared.db import Database, upgrade
from weave_nn.shared.db.schema import downgrade
from weave_nn.shared.errors import InvalidInput
from weave_nn.shared.identity import Identity, Scope, scopes_of
from weave_nn.shared.identity.keyring import Keyring
from weave_nn.shared.identity.models import SCHEMA
from weave_nn.shared.identity.repository import KeyExists, KeyNotFound

READ = scopes_of(["read"])
LIMIT_SECONDS = 60


OpenKeyring = Callable[..., Keyring]


@pytest.fixture
def open_keyring(database: Database) -> Iterator[OpenKeyring]:
    """Each call is what another process would open."""
    opened: list[Keyring] = []

    def make(**options: float) -> Keyring:
        opened.append(Keyring(database, **options))
        return opened[-1]

    yield make
    for keyring in opened:
        keyring.close()


async def eventually(look: Callable[[], Awaitable[object]]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not await look():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def backdate(database: Database, column: str, name: str) -> None:
    with database.write() as work:
        past = datetime(2020, 1, 1, tzinfo=UTC)
        work.session.execute(
            text(f"UPDATE identity_api_key SET {column} = :past WHERE name = :name"),  # noqa: S608 - a name of ours
            {
                "past": past if database.url.get_backend_name() != "sqlite" else "2020-01-01 00:00:00.000000",
                "name": name,
            },
        )


async def test_a_key_is_known_by_its_secret_alone(open_keyring: OpenKeyring) -> None:
    keyring = open_keyring()
    made = keyring.create("laptop", scopes_of(["write"]), user="ada")
    expected = Identity("laptop", frozenset({Scope.READ, Scope.WRITE}), "ada", "key")
    assert await keyring.authenticate(made.secret) == expected
    assert await open_keyring().authenticate(made.secret) == expected
    other = keyring.create("other", READ)
    id_, secret = made.secret.removeprefix("weave_").split("_", 1)
    for wrong in (
        "",
        made.secret[:-1],
        made.secret + "A",
        made.secret.upper(),
        f" {made.secret}",
        f"weave_{id_}_{other.secret[-43:]}",
        f"weave_{other.key.id}_{secret}",
        f"weave_{'0' * 16}_{secret}",
        f"weave_{id_}_{made.key.digest[:43]}",
        made.key.digest,
    ):
        assert await keyring.authenticate(wrong) is None
    assert await keyring.authenticate(made.secret) == expected


def test_the_database_does_not_hold_the_secret(database: Database, open_keyring: OpenKeyring) -> None:
    made = open_keyring().create("laptop", READ)
    with database.read() as work:
        row = work.session.execute(text("SELECT * FROM identity_api_key")).one()
    assert made.secret[-43:] not in " ".join(map(str, row))


async def test_a_revoked_key_is_refused_at_once_here_and_soon_elsewhere(open_keyring: OpenKeyring) -> None:
    here, there = open_keyring(fresh_seconds=3600), open_keyring(fresh_seconds=0.05)
    secret = here.create("laptop", READ).secret
    assert await here.authenticate(secret)
    assert await there.authenticate(secret)
    assert [key.name for key in here.revoke("laptop")] == ["laptop"]
    assert await here.authenticate(secret) is None

    async def refused() -> bool:
        return await there.authenticate(secret) is None

    await eventually(refused)
    with pytest.raises(KeyNotFound):
        here.revoke("laptop")
    # The name is free again.
    here.create("laptop", READ)
    assert [key.name for key in here.all_keys()] == ["laptop"]
    assert len(here.all_keys(ended=True)) == 2


async def test_a_look_up_that_a_revocation_overtook_is_not_believed_later(
    open_keyring: OpenKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = open_keyring(fresh_seconds=3600)
    secret = keyring.create("laptop", READ).secret
    read = keyring._read

    def overtaken(id_: str) -> object:
        found = read(id_)
        keyring.revoke("laptop")
        return found

    monkeypatch.setattr(keyring, "_read", overtaken)
    await keyring.authenticate(secret)
    monkeypatch.undo()
    assert await keyring.authenticate(secret) is None


async def test_an_expired_key_is_refused_even_while_it_is_cached(
    database: Database, open_keyring: OpenKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = open_keyring(fresh_seconds=3600)
    secret = keyring.create("laptop", READ, lasts=timedelta(hours=1)).secret
    assert await keyring.authenticate(secret)
    monkeypatch.setattr(time, "time", lambda: datetime.now(UTC).timestamp() + 3600)
    assert await keyring.authenticate(secret) is None
    monkeypatch.undo()
    backdate(database, "expires_at", "laptop")
    assert await open_keyring().authenticate(secret) is None
    assert keyring.all_keys() == []
    with pytest.raises(KeyNotFound):
        keyring.rotate("laptop")


async def test_rotating_changes_the_secret_and_nothing_else(open_keyring: OpenKeyring) -> None:
    keyring = open_keyring()
    old = keyring.create("laptop", READ, user="ada", lasts=timedelta(days=90))
    new = keyring.rotate("laptop")
    assert await keyring.authenticate(old.secret) is None
    identity = await keyring.authenticate(new.secret)
    assert identity == Identity("laptop", READ, "ada", "key")
    assert new.key.expires_at is not None
    assert new.key.expires_at - new.key.created_at == timedelta(days=90)
    newest = keyring.rotate("laptop", overlap=timedelta(hours=1), lasts=timedelta(days=1))
    assert await keyring.authenticate(new.secret) == await keyring.authenticate(newest.secret) == identity
    assert len(keyring.revoke("laptop")) == 2
    assert await keyring.authenticate(newest.secret) is None


def test_a_name_is_of_one_working_key(open_keyring: OpenKeyring) -> None:
    keyring = open_keyring()
    keyring.create("laptop", READ)
    with pytest.raises(KeyExists):
        keyring.create("laptop", READ)
    for name in ("", " a", "a\n", "\x1b[2J", "x" * 101):
        with pytest.raises(InvalidInput):
            keyring.create(name, READ)
    with pytest.raises(InvalidInput):
        keyring.create("nothing", frozenset())
    with pytest.raises(InvalidInput):
        keyring.create("endless", READ, lasts=timedelta(days=999_999_999))
    assert len(keyring.all_keys(ended=True)) == 1


async def test_the_last_use_is_written_beside_requests_and_rarely(
    database: Database, open_keyring: OpenKeyring
) -> None:
    keyring = open_keyring()
    secret = keyring.create("laptop", READ).secret
    commits = []
    database.on_commit(lambda: commits.append(1))
    for _ in range(50):
        await keyring.authenticate(secret)
    keyring.close()
    assert len(commits) == 1
    (key,) = keyring.all_keys()
    assert key.last_used_at is not None
    assert key.last_used_at >= key.created_at


async def test_many_requests_at_once_ask_the_database_once_for_a_stale_key(
    open_keyring: OpenKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = open_keyring(fresh_seconds=3600)
    secret = keyring.create("laptop", READ).secret
    await keyring.authenticate(secret)
    (known,) = keyring._known.values()
    known.checked_at = float("-inf")
    asked = []
    read = keyring._read

    def counted(id_: str) -> object:
        asked.append(id_)
        return read(id_)

    monkeypatch.setattr(keyring, "_read", counted)
    assert all(await asyncio.gather(*(keyring.authenticate(secret) for _ in range(100))))
    assert len(asked) == 1
    keyring.close()


def test_the_table_goes_down_and_up_again_with_keys_in_it(database: Database, open_keyring: OpenKeyring) -> None:
    open_keyring().create("laptop", READ)
    downgrade(database, [SCHEMA], "base")
    assert not [name for name in inspect(database.reader).get_table_names() if name.startswith("identity_")]
    upgrade(database, [SCHEMA])
    open_keyring().create("laptop", READ)


def test_the_migration_leads_to_the_table_of_the_model(database: Database) -> None:
    with database.reader.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or (name or "").startswith("identity_")},
        )
        assert compare_metadata(context, SCHEMA.metadata) == []
