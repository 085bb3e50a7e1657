"""An application is fuzzed from its own OpenAPI document: whatever comes is answered as documented."""

from typing import Annotated, Any

import schemathesis
from fastapi import APIRouter, Path, Query
from hypothesis import HealthCheck, settings
from pydantic import BaseModel, Field
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from weave_nn.shared.errors import Conflict, InvalidInput, NotFound, UnsupportedMedia
from weave_nn.shared.http import ETag, IfMatch, Security, StaticKey, create_app

KEY = "a-key-of-the-tests"


class Note(BaseModel):
    """A note."""

    title: Annotated[str, Field(min_length=1, max_length=20)]
    rank: Annotated[int, Field(ge=0, le=100)] = 0


router = APIRouter(prefix="/notes", tags=["notes"])


@router.get("/{name}")
def read(name: Annotated[str, Path(max_length=20)], limit: Annotated[int, Query(ge=1, le=10)] = 1) -> Note:
    """Read a note."""
    if name == "0":
        raise NotFound(f"There is no note {name!r}.")
    return Note(title="a", rank=limit)


@router.put("/{name}")
def update(name: str, note: Note, if_match: IfMatch = None) -> Note:
    """Write a note."""
    if if_match is not None:
        if_match.require(ETag("present"))
    for rank, error in enumerate((InvalidInput, NotFound, Conflict, UnsupportedMedia)):
        if note.rank == rank:
            raise error(f"{name!r} is refused.")
    return note


app = create_app(title="Test", version="1", routers=[router], security=Security(authenticator=StaticKey(KEY)))
headers = {"Authorization": f"Bearer {KEY}", "Host": "localhost"}
schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=headers)


@schema.parametrize()
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_documented(case: schemathesis.Case[Any]) -> None:
    # A value of the right shape may be refused for what it means (a stale version, a note that exists), and parameters
    # that nobody knows are ignored, as everywhere in HTTP; schemathesis by itself takes both for faults.
    case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance, negative_data_rejection])
