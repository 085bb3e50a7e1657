"""What the settings make of credentials, and what is refused before anything is served."""

import os
from pathlib import Path
from typing import Any

import pytest

from weave_nn.entrypoints.authentication import authenticator
from weave_nn.shared.config import InvalidSetting, load, prepare
from weave_nn.shared.db import Database
from weave_nn.shared.errors import InvalidInput

ISSUED = {"jwt_issuer": "https://id.example.org", "jwt_audience": "weave-nn"}


def made(folder: Path, **options: Any) -> Any:
    (folder / "vault").mkdir()
    settings = load({"vault": folder / "vault", "data_dir": folder / "state", **options}).settings
    instance = prepare(settings)
    return authenticator(settings, instance, Database(instance.database_url)), instance


async def test_the_instances_key_and_the_service_key_are_known(tmp_path: Path) -> None:
    known, instance = made(tmp_path, service_key="between-our-services")
    owner = await known.authenticate(instance.api_key.get_secret_value())
    service = await known.authenticate("between-our-services")
    assert (owner.kind, service.kind) == ("owner", "service")
    assert owner.scopes == service.scopes
    assert await known.authenticate("between-our-service") is None
    known.close()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"jwt_issuer": "i"}, "WEAVE_JWT_AUDIENCE"),
        (ISSUED, "exactly one"),
        ({**ISSUED, "jwt_keys": "keys.json", "jwt_secret_file": "secret"}, "exactly one"),
        ({**ISSUED, "jwt_keys": "http://id.example.org/keys"}, "https"),
        ({**ISSUED, "jwt_keys": "keys.json", "jwt_algorithms": "HS256"}, "HS256"),
        ({**ISSUED, "jwt_secret_file": "there-is-none"}, "there-is-none"),
        ({**ISSUED, "jwt_secret_file": os.devnull}, "32"),
        ({"service_key": "short"}, "16"),
        ({"service_key": "a key with spaces in it"}, "spaces"),
    ],
)
def test_settings_that_would_let_others_in_are_refused(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    with pytest.raises((InvalidSetting, InvalidInput), match=told):
        made(tmp_path, **options)
