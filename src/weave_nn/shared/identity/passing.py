"""An identity on its way from one service to another, in a header that is believed only with the service key."""

import base64
import binascii
import json
from typing import Any

from weave_nn.shared.errors import Unauthenticated
from weave_nn.shared.identity.caller import Identity, Scope

HEADER = "X-Weave-Identity"


def encode(identity: Identity) -> str:
    """The value of the header: ASCII, whatever the names are made of."""
    document = {
        "name": identity.name,
        "user": identity.user,
        "kind": identity.kind,
        "scopes": sorted(identity.scopes),
    }
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode("ascii")


def decode(value: str) -> Identity:
    """The identity again, as passed on by a service. Raises `Unauthenticated` for what `encode` does not make."""
    try:
        document: Any = json.loads(base64.b64decode(value, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _refused() from error
    match document:
        case {
            "name": str(name),
            "user": None | str() as user,
            "kind": "owner" | "key" | "token" | "service" as kind,
            "scopes": list(scopes),
        }:
            try:
                return Identity(name, frozenset(map(Scope, scopes)), user, kind, through_service=True)
            except (ValueError, TypeError) as error:
                raise _refused() from error
        case _:
            raise _refused()


def _refused() -> Unauthenticated:
    return Unauthenticated(f"The header {HEADER} of this request does not hold an identity.")
