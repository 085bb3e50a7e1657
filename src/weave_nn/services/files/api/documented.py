"""What the OpenAPI document says of answers beyond those that follow from the operation itself."""

from typing import Any, TypeAlias

from weave_nn.services.files.contract import Written

Responses: TypeAlias = dict[int | str, dict[str, Any]]

PROBLEM: dict[str, Any] = {
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
NOT_A_FILE: Responses = {409: {"description": "It is a folder", **PROBLEM}}
NOT_FOUND: Responses = {404: {"description": "A file that it is about is not there", **PROBLEM}}
WRITTEN: Responses = {507: {"description": "No space is left; nothing was changed", **PROBLEM}}
CREATED: Responses = {201: {"description": "It was not there before", "model": Written}}
STALE: Responses = {412: {"description": "Stale version; nothing was changed", **PROBLEM}}
