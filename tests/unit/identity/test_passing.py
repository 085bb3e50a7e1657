import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.shared.errors import Forbidden, Unauthenticated
from weave_nn.shared.identity import Identity, Scope, acting_as, require_scope, require_service, scopes_of
from weave_nn.shared.identity.passing import decode, encode

identities = st.builds(
    Identity,
    st.text(),
    st.frozensets(st.sampled_from(Scope)),
    st.none() | st.text(),
    st.sampled_from(["owner", "key", "token", "service"]),
    st.just(value=True),
)


@given(identities)
def test_an_identity_arrives_as_it_was_sent(identity: Identity) -> None:
    value = encode(identity)
    assert value.isascii()
    assert value.isprintable()
    assert decode(value) == identity


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_anything_else_is_refused(value: str) -> None:
    with pytest.raises(Unauthenticated):
        decode(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["name", "user", "kind", "scopes"]), inner),
    )
)
def test_other_json_is_refused(document: object) -> None:
    with pytest.raises(Unauthenticated):
        decode(base64.urlsafe_b64encode(json.dumps(document).encode()).decode())


@given(st.lists(st.sampled_from(["read", "write", "admin", "Admin", "*", ""])))
def test_wider_scopes_hold_the_narrower_ones(names: list[str]) -> None:
    scopes = scopes_of(names)
    assert (Scope.ADMIN in scopes) == ("admin" in names)
    assert (Scope.WRITE in scopes) == ("admin" in names or "write" in names)
    assert (Scope.READ in scopes) == bool({"admin", "write", "read"} & set(names))


def test_only_services_and_administrators_pass_as_services() -> None:
    with pytest.raises(Unauthenticated):
        require_service(Scope.READ)
    with acting_as(Identity("a", scopes_of(["write"]))), pytest.raises(Forbidden):
        require_service(Scope.READ)
    with acting_as(Identity("a", scopes_of(["read"]), through_service=True)):
        require_service(Scope.READ)
        with pytest.raises(Forbidden):
            require_service(Scope.WRITE)
    with acting_as(Identity("a", scopes_of(["admin"]))):
        require_service(Scope.WRITE)
    with pytest.raises(Unauthenticated):
        require_scope(Scope.READ)
