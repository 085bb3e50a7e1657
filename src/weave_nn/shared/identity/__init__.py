"""Who calls, and what they may do: identities, their scopes, API keys in the database, JSON Web Tokens.

Services and edges need only what this module exports. `keyring` keeps the API keys, `tokens` knows JSON Web Tokens,
`passing` hands an identity from service to service, and composition puts them together.
"""

from weave_nn.shared.identity.caller import (
    Identity,
    Kind,
    Scope,
    acting_as,
    current_identity,
    require_scope,
    require_service,
    scopes_of,
)

__all__ = [
    "Identity",
    "Kind",
    "Scope",
    "acting_as",
    "current_identity",
    "require_scope",
    "require_service",
    "scopes_of",
]
