"""The shape of a contract's calls on the wire, derived from the Protocol's signatures.

A call is `POST …/-/contract/METHOD`, an answer is its response. Both are one JSON object, without newlines: the
arguments by name, or `{"value": result}`. Where the method has content (bytes, or an iterable of them: one parameter,
one field of the result), it follows behind a newline, raw, to the end of the body. Other bytes are base64 in the JSON.

Arguments that are left at their defaults are not sent, so that a newer caller is understood by an older service unless
it asks for what that does not know: an unknown argument is refused, for ignoring an `if_match` would be dangerous.
"""

import dataclasses
import functools
import inspect
import typing
from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import PydanticSerializationError, to_json

from weave_nn.shared.contracts.marks import Kind, methods
from weave_nn.shared.errors import InvalidInput

CONTRACT_SEGMENT = "/-/contract/"
CONTENT_TYPE = "application/json"
CONTENT_TYPE_WITH_CONTENT = "application/vnd.weave-nn.call"
SEPARATOR = b"\n"
CHUNK_BYTES = 256 * 1024

Content = bytes | Iterable[bytes]


class Unreadable(ValueError):
    """What came over the wire does not have the shape that this version knows; `str` says where it differs."""


class Method:
    """How one method is called and answered.

    `content_parameter` names the parameter that travels behind the JSON, `content_field` the field of the result; the
    content `streams` in that direction if it may be an iterable. Raises `TypeError` for what cannot be carried.
    """

    def __init__(self, declared: Any, name: str, kind: Kind) -> None:
        self.name = name
        self.kind = kind
        self._hints = typing.get_type_hints(declared)
        whole = inspect.signature(declared)
        parameters = [each for each in whole.parameters.values() if each.name != "self"]
        self.signature = whole.replace(parameters=parameters)
        if any(each.kind in {each.VAR_POSITIONAL, each.VAR_KEYWORD} for each in parameters):
            raise TypeError(f"{declared.__qualname__} takes any number of arguments, which cannot be carried")
        contents = [each.name for each in parameters if _is_content(self._hints[each.name])]
        if len(contents) > 1:
            raise TypeError(f"{declared.__qualname__} has several parameters of bytes; one can be carried")
        self.content_parameter = contents[0] if contents else None
        self.streams_in = bool(contents) and self._hints[contents[0]] is not bytes
        self._result_type = self._hints["return"]
        self.content_field, self.streams_out = _content_field(self._result_type)

    @functools.cached_property
    def _arguments(self) -> type[BaseModel]:
        # Made with the first call: what is never called from outside costs a start nothing.
        fields: dict[str, Any] = {
            each.name: (self._hints[each.name], ... if each.default is each.empty else each.default)
            for each in self.signature.parameters.values()
            if each.name != self.content_parameter
        }
        return create_model(f"{self.name}_arguments", __config__=_ARGUMENTS, **fields)

    @functools.cached_property
    def _result(self) -> type[BaseModel]:
        value = self._result_type
        if self.content_field is not None:
            hints = typing.get_type_hints(value)
            rest: dict[str, Any] = {
                each.name: (hints[each.name], ... if _is_required(each) else None)
                for each in dataclasses.fields(value)
                if each.name != self.content_field
            }
            value = create_model(f"{value.__name__}_fields", __config__=_RESULT, **rest)
        return create_model(f"{self.name}_result", __config__=_RESULT, value=(value, ...))

    def encode_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bytes, Content | None]:
        """The JSON of a call and its content. Raises `TypeError` as a plain call would, and `InvalidInput`."""
        bound = self.signature.bind(*args, **kwargs).arguments
        content = bound.pop(self.content_parameter, None) if self.content_parameter else None
        parameters = self.signature.parameters
        given = {name: value for name, value in bound.items() if value is not parameters[name].default}
        return _encoded(given, f"the arguments of {self.name}"), content

    def decode_arguments(self, head: bytes) -> dict[str, Any]:
        """The arguments without the content. Raises `InvalidInput` that names what is wrong."""
        try:
            read = self._arguments.model_validate_json(head or b"{}")
        except ValidationError as error:
            raise InvalidInput(
                f"{self.name} does not take these arguments: {_explained(error)}.",
                hint="The services may be of different versions.",
            ) from error
        return {name: getattr(read, name) for name in read.model_fields_set}

    def encode_result(self, result: Any) -> tuple[bytes, Content | None]:
        """The JSON of an answer and its content."""
        if self.content_field is None:
            return _encoded({"value": result}, f"the result of {self.name}"), None
        fields = {each.name: getattr(result, each.name) for each in dataclasses.fields(result)}
        content = fields.pop(self.content_field)
        return _encoded({"value": fields}, f"the result of {self.name}"), content

    def decode_result(self, head: bytes, content: Content) -> Any:
        """The result. Raises `Unreadable`."""
        try:
            value = self._result.model_validate_json(head).value  # type: ignore[attr-defined]  # made with that field
        except ValidationError as error:
            raise Unreadable(_explained(error)) from error
        if self.content_field is None:
            return value
        known = {name: getattr(value, name) for name in value.model_fields_set}
        return self._result_type(**known, **{self.content_field: content})


def methods_of(contract: type) -> dict[str, Method]:
    """Every method of a contract by name; raises `TypeError` for one that cannot be carried."""
    return {name: Method(getattr(contract, name), name, kind) for name, kind in methods(contract).items()}


def in_chunks(content: Content) -> Iterator[bytes]:
    """Content piece by piece, none of them empty."""
    for chunk in (content,) if isinstance(content, bytes) else content:
        if chunk:
            yield chunk


# `extra` is refused in arguments and ignored elsewhere; bytes that are no content are base64.
_ARGUMENTS = ConfigDict(extra="forbid", val_json_bytes="base64", arbitrary_types_allowed=True)
_RESULT = ConfigDict(extra="ignore", val_json_bytes="base64", arbitrary_types_allowed=True)


def _content_field(result: Any) -> tuple[str | None, bool]:
    """The one field of a result that is content, and whether it streams."""
    if not (isinstance(result, type) and dataclasses.is_dataclass(result)):
        return None, False
    hints = typing.get_type_hints(result)
    contents = [each.name for each in dataclasses.fields(result) if _is_content(hints[each.name])]
    return (contents[0], hints[contents[0]] is not bytes) if len(contents) == 1 else (None, False)


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _is_content(annotation: Any) -> bool:
    members = typing.get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return all(member is bytes or member == Iterable[bytes] for member in members)


def _encoded(value: dict[str, Any], what: str) -> bytes:
    try:
        return to_json(value, bytes_mode="base64", inf_nan_mode="constants")
    except PydanticSerializationError as error:
        raise InvalidInput(f"Not everything in {what} can be written as JSON: {error}.") from error


def _explained(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]
