"""Which credentials a process takes: the instance's key, the service key, keys of the database, JSON Web Tokens."""

from collections.abc import Iterator
from contextlib import contextmanager

from weave_nn.entrypoints.composition import server_limits
from weave_nn.shared.config import Instance, InvalidSetting, Settings
from weave_nn.shared.db import Database, upgrade
from weave_nn.shared.http import AnyOf, Authenticator, StaticKey
from weave_nn.shared.identity import Identity
from weave_nn.shared.identity.keyring import Keyring
from weave_nn.shared.identity.models import SCHEMA


class Credentials:
    """Knows every credential that the settings allow; `close` it when nothing is served any more."""

    def __init__(self, keyring: Keyring, *others: Authenticator) -> None:
        self._keyring = keyring
        self._known = AnyOf(*others, keyring)

    async def authenticate(self, credential: str) -> Identity | None:
        """See `Authenticator.authenticate`."""
        return await self._known.authenticate(credential)

    def close(self) -> None:
        """Finish writing when keys were last used."""
        self._keyring.close()


def authenticator(settings: Settings, instance: Instance, database: Database) -> Credentials:
    """What the HTTP edge of a process asks. Raises `InvalidSetting` and `InvalidInput`."""
    asked: list[Authenticator] = [StaticKey(instance.api_key.get_secret_value())]
    if settings.service_key is not None:
        asked.append(StaticKey(settings.service_key.get_secret_value(), name="service", kind="service"))
    if settings.jwt_issuer is not None:
        asked.append(_tokens(settings, settings.jwt_issuer))
    return Credentials(Keyring(database), *asked)


@contextmanager
def keyring(settings: Settings, instance: Instance) -> Iterator[Keyring]:
    """The keys of an instance without its server, which may run beside it."""
    database = Database(instance.database_url, limits=server_limits(settings, "keys"))
    try:
        upgrade(database, [SCHEMA])
        yield Keyring(database)
    finally:
        database.close()


def _tokens(settings: Settings, issuer: str) -> Authenticator:
    from weave_nn.shared.identity.key_sets import open_key_set  # noqa: PLC0415 - only where tokens are used
    from weave_nn.shared.identity.tokens import TokenAuthenticator  # noqa: PLC0415 - the same

    if settings.jwt_audience is None:
        raise InvalidSetting(
            "WEAVE_JWT_ISSUER is set and WEAVE_JWT_AUDIENCE is not: tokens for other applications would be good here.",
            hint="Set it to what the issuer writes into tokens for this server, such as weave-nn.",
            field="jwt_audience",
        )
    if (settings.jwt_keys is None) == (settings.jwt_secret_file is None):
        raise InvalidSetting(
            "Tokens are checked either with the issuer's public keys or with a secret.",
            hint="Set exactly one of WEAVE_JWT_KEYS and WEAVE_JWT_SECRET_FILE.",
            field="jwt_keys",
        )
    return TokenAuthenticator(
        issuer=issuer,
        audience=settings.jwt_audience,
        keys=open_key_set(settings.jwt_keys) if settings.jwt_keys is not None else _secret(settings),
        algorithms=settings.jwt_algorithms,
        leeway_seconds=settings.jwt_leeway_seconds,
        scope_claim=settings.jwt_scope_claim,
    )


def _secret(settings: Settings) -> bytes:
    try:
        return settings.jwt_secret_file.read_bytes().strip() if settings.jwt_secret_file else b""
    except OSError as error:
        raise InvalidSetting(
            f"WEAVE_JWT_SECRET_FILE={settings.jwt_secret_file} cannot be read: {error.strerror}.",
            hint="Check the path and its permissions.",
            field="jwt_secret_file",
        ) from error
