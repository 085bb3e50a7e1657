"""Versions in headers: entity tags and the conditions on them (RFC 9110, sections 8.8.3 and 13).

A route that reads takes `IfNoneMatch` and returns `not_modified(...)` when there is nothing new; a route that writes
takes `IfMatch` and hands it to the contract, which compares inside its transaction.
"""

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header
from starlette.responses import Response

from weave_nn.shared.errors import InvalidInput, PreconditionFailed

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_LIST = re.compile(rf"[ \t,]*(?:{_TAG.pattern}[ \t]*(?:,[ \t,]*|$))+")


@dataclass(frozen=True, slots=True)
class ETag:
    """One version of one resource; `str` gives the header's form, quoted."""

    value: str
    weak: bool = False

    def __str__(self) -> str:
        return f'{"W/" if self.weak else ""}"{self.value}"'

    @classmethod
    def from_text(cls, text: str) -> "ETag":
        """Read an entity tag; a bare value (such as a content hash) is taken as the strong tag of that value."""
        if found := _TAG.fullmatch(text):
            return cls(found[2], weak=found[1] is not None)
        return cls(text)


@dataclass(frozen=True, slots=True)
class ETagCondition:
    """The value of `If-Match` or `If-None-Match`: `*`, or a list of tags."""

    tags: tuple[ETag, ...] = ()
    any: bool = False

    @classmethod
    def parse(cls, header: str, field: str) -> "ETagCondition":
        """Parse the header named `field`; raises `InvalidInput` for what is neither `*` nor a list of quoted tags."""
        if header.strip() == "*":
            return cls(any=True)
        if not _LIST.fullmatch(header):
            raise InvalidInput(
                f"The header {field} has the value {header[:200]!r}, which is not a list of entity tags.",
                hint="Send the ETag of the last read as it was, with its quotes.",
                field=field,
                value=header[:200],
            )
        return cls(tuple(ETag(value, weak=bool(weak)) for weak, value in _TAG.findall(header)))

    def allows(self, current: ETag | None) -> bool:
        """Whether `If-Match` holds (strong comparison) for the present version, `None` if there is no resource."""
        if current is None or current.weak:
            return self.any and current is not None
        return self.any or current in self.tags

    def knows(self, current: ETag | None) -> bool:
        """Whether the client of `If-None-Match` has the present version already (weak comparison)."""
        return current is not None and (self.any or current.value in {tag.value for tag in self.tags})

    def require(self, current: ETag | None) -> None:
        """Raise `PreconditionFailed`, with the present version, unless `If-Match` holds for it."""
        if self.allows(current):
            return
        if current is None:
            raise PreconditionFailed("If-Match asks for a version, but there is nothing here.", current_etag=None)
        raise PreconditionFailed(
            f"The version that you saw is not the present one, which is {current}. Nothing was changed.",
            hint="Read it again, apply your change to what you get, and send that with its ETag.",
            current_etag=str(current),
        )


async def _if_match(
    if_match: Annotated[str | None, Header(description="Change only this version.")] = None,
) -> ETagCondition | None:
    return None if if_match is None else ETagCondition.parse(if_match, "If-Match")


async def _if_none_match(
    if_none_match: Annotated[str | None, Header(description="Answer 304 if this is the version.")] = None,
) -> ETagCondition | None:
    return None if if_none_match is None else ETagCondition.parse(if_none_match, "If-None-Match")


# These are coroutines, because FastAPI sends each plain function through a thread of the pool.
IfMatch = Annotated[ETagCondition | None, Depends(_if_match)]
"""A route's parameter: the parsed `If-Match`, `None` if the client sent none."""

IfNoneMatch = Annotated[ETagCondition | None, Depends(_if_none_match)]
"""A route's parameter: the parsed `If-None-Match`, `None` if the client sent none."""


def not_modified(condition: ETagCondition | None, current: ETag) -> Response | None:
    """The 304 response if the client has `current` already, else `None`: then send the content with its `ETag`."""
    if condition is None or not condition.knows(current):
        return None
    return Response(status_code=304, headers={"ETag": str(current)})
