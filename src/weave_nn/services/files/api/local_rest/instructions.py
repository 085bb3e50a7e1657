"""Turning requests of both patch formats into patches."""

import json
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes

from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import Headers

from weave_nn.services.files.api.local_rest.addressing import Target
from weave_nn.services.files.api.local_rest.errors import ConflictingTarget, refusal
from weave_nn.services.files.api.schemas import MoveDestination, PatchInstruction, refused
from weave_nn.shared.http import ETag
from weave_nn.vault.patch import Operation, Patch, Payload, Scope, Style, TargetType, Value

INSTRUCTION_TYPE = "application/vnd.olrapi.patch-instruction+json"
_Choice = TypeVar("_Choice", Operation, Scope, TargetType)


class Instruction(PatchInstruction):
    """The whole instruction as a JSON body."""

    if_match: str | None = None


class PatchCall(NamedTuple):
    """A patch, and the version that it is meant for if the client said one."""

    patch: Patch
    if_match: str | None


def read_call(target: Target | None, headers: Headers, body: bytes) -> PatchCall:
    """What a PATCH request asks for; `target` is the one in its URL. Raises `InvalidInput` with the plugin's codes."""
    version = version_of(headers)
    named = names_target(headers)
    kind = content_type(headers)
    if (target is not None and named) or (kind == INSTRUCTION_TYPE and (target is not None or named)):
        raise conflicting()
    if kind == INSTRUCTION_TYPE:
        return _instruction(body)
    if version == "1" or (named and version is None):
        return PatchCall(_version_1(target or header_target(headers), headers, body), version_match(headers))
    if target is None and named:
        target = _json_target(headers)
    if target is None:
        return _instruction(body)
    return PatchCall(_version_2(target, headers, body), version_match(headers))


def version_of(headers: Headers) -> str | None:
    """The patch format that the client asks for; None if it does not say."""
    version = headers.get("Markdown-Patch-Version")
    if version not in {None, "1", "2"}:
        raise refusal(40082, f"The header Markdown-Patch-Version is {version!r}; it must be 1 or 2.")
    return version


def names_target(headers: Headers) -> bool:
    """Whether headers name a target."""
    return "Target-Type" in headers or "Target" in headers


def conflicting() -> ConflictingTarget:
    """The failure of a request with two targets."""
    return ConflictingTarget("The target is named in more than one place.", hint="Name it in the URL, or in headers.")


def header_target(headers: Headers) -> Target:
    """The target in the headers of version 1: headings are joined by `::`, or by what `Target-Delimiter` says."""
    target_type = _chosen(TargetType, headers.get("Target-Type"), "Target-Type", missing=40053, invalid=40054)
    if "Target" not in headers:
        raise refusal(40055, "The header Target is missing.", hint="Name the heading, the block or the key.")
    name = _decoded(headers["Target"], "Target", 40058)
    if target_type is not TargetType.HEADING:
        return Target(target_type, (name,))
    return Target(target_type, tuple(name.split(headers.get("Target-Delimiter") or "::")))


def scope_of(headers: Headers, *, with_parent: bool = False) -> Scope:
    """The scope that `Target-Scope` names."""
    scope = _chosen(Scope, headers.get("Target-Scope", Scope.CONTENT), "Target-Scope", missing=40059, invalid=40059)
    if scope is Scope.PARENT and not with_parent:
        raise refusal(40059, "The scope 'parent' is for moving a section with version 2.", hint="Use 'content'.")
    return scope


def payload_of(target: Target, headers: Headers, body: bytes) -> str | Value:
    """The body as text or, if it is JSON, as a value."""
    kind = content_type(headers)
    if kind is None:
        raise refusal(40011, "The header Content-Type is missing.", hint="Send text/markdown or application/json.")
    if kind == "application/json":
        value = read_json(body, 40015)
        # Version 1 takes text for a heading as a JSON string too.
        return value if isinstance(value, str) and target.type is not TargetType.FRONTMATTER else Value(value)
    if not kind.startswith("text/"):
        raise refusal(
            40012, f"The content type {kind!r} is not taken here.", hint="Send text/markdown or application/json."
        )
    return text_of(body)


def text_of(body: bytes) -> str:
    """A body as text."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise refusal(40015, "The body is not UTF-8.", hint="Send text in UTF-8.") from None


def read_json(body: bytes | str, error_code: int) -> Any:
    """A JSON value; raises `InvalidInput` with the code given."""
    try:
        value = json.loads(body)
        # A half of a surrogate pair is valid JSON and no text.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise refusal(error_code, "What was sent is not valid JSON.") from None
    return value


def content_type(headers: Headers) -> str | None:
    """The media type of the body, without parameters."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() or None


def flag(headers: Headers, name: str) -> bool:
    """Whether a header says true."""
    return headers.get(name, "").strip().lower() == "true"


def version_match(headers: Headers) -> str | None:
    """The version in `If-Match`, bare or quoted; None if any is meant."""
    value = headers.get("If-Match", "*").strip()
    return None if value == "*" else ETag.from_text(value).value


def header_path(headers: Headers, name: str) -> str:
    """A vault path in a header."""
    return _decoded(headers[name], name, 40022)


def _version_1(target: Target, headers: Headers, body: bytes) -> Patch:
    operation = _operation(headers)
    if operation is Operation.DELETE:
        raise refusal(40057, "Version 1 has no operation 'delete'.", hint="Send Markdown-Patch-Version: 2.")
    creates = flag(headers, "Create-Target-If-Missing")
    return Patch(
        target_type=target.type,
        target=target.address,
        operation=operation,
        payload=payload_of(target, headers, body),
        scope=scope_of(headers),
        style=Style.LITERAL,
        # With the name alone a heading is found if it is the only one; where it may be made, the name must be exact.
        loose=not creates,
        create_target_if_missing=creates,
        reject_if_content_preexists=flag(headers, "Reject-If-Content-Preexists"),
        trim_target_whitespace=flag(headers, "Trim-Target-Whitespace"),
    )


def _version_2(target: Target, headers: Headers, body: bytes) -> Patch:
    for name in ("Target-Delimiter", "Trim-Target-Whitespace"):
        if name in headers:
            raise refusal(40081, f"The header {name} belongs to version 1.", hint="Leave it out.")
    operation = _operation(headers)
    payload = _raw_payload(target, headers, body)
    if payload is None and operation is not Operation.DELETE:
        raise refusal(40081, f"To {operation} needs content.", hint="Send it as the body.")
    return Patch(
        target_type=target.type,
        target=target.address,
        operation=operation,
        payload=payload,
        scope=scope_of(headers, with_parent=True),
        within=_within(headers),
        create_target_if_missing=flag(headers, "Create-Target-If-Missing"),
        reject_if_content_preexists=flag(headers, "Reject-If-Content-Preexists"),
    )


def _raw_payload(target: Target, headers: Headers, body: bytes) -> Payload:
    if "Destination" not in headers:
        return payload_of(target, headers, body) if body else None
    if body:
        raise refusal(40081, "A move takes its Destination and no body.")
    try:
        return _DESTINATION.validate_json(_decoded(headers["Destination"], "Destination", 40022)).parsed()
    except ValidationError as error:
        raise refusal(40022, "The header Destination is no destination.", hint=refused(error).detail) from error


def _instruction(body: bytes) -> PatchCall:
    try:
        instruction = Instruction.model_validate_json(body)
    except ValidationError as error:
        raise refusal(
            40081, refused(error).detail, hint="The body is one JSON object, as the API describes it."
        ) from error
    seen = None if instruction.if_match is None else ETag.from_text(instruction.if_match).value
    return PatchCall(instruction.patch(), seen)


_DESTINATION = TypeAdapter(MoveDestination)


def _json_target(headers: Headers) -> Target:
    target_type = _chosen(TargetType, headers.get("Target-Type"), "Target-Type", missing=40053, invalid=40054)
    if "Target" not in headers:
        raise refusal(40055, "The header Target is missing.", hint="Name the heading, the block or the key.")
    name = _decoded(headers["Target"], "Target", 40058)
    if target_type is not TargetType.HEADING:
        return Target(target_type, (name,))
    address = read_json(name, 40058)
    if address is not None and not (isinstance(address, list) and all(isinstance(part, str) for part in address)):
        raise refusal(40058, "The Target of a heading is a JSON list of texts, or null for the whole text.")
    return Target(target_type, tuple(address or ()))


def _operation(headers: Headers) -> Operation:
    return _chosen(Operation, headers.get("Operation"), "Operation", missing=40056, invalid=40057)


def _within(headers: Headers) -> int | None:
    if "Within" not in headers:
        return None
    try:
        return int(headers["Within"][:10])
    except ValueError:
        raise refusal(40023, f"The header Within is {headers['Within']!r}; it must be a whole number.") from None


def _chosen(choices: type[_Choice], value: str | None, name: str, *, missing: int, invalid: int) -> _Choice:
    if value is None:
        raise refusal(missing, f"The header {name} is missing.", hint=f"Send one of: {', '.join(choices)}.")
    try:
        return choices(value)
    except ValueError:
        raise refusal(invalid, f"The header {name} is {value!r}.", hint=f"Send one of: {', '.join(choices)}.") from None


def _decoded(value: str, name: str, error_code: int) -> str:
    # Starlette reads headers as Latin-1; some clients send UTF-8 there as it is.
    try:
        return unquote_to_bytes(value.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise refusal(error_code, f"The header {name} is not percent-encoded UTF-8.") from None
