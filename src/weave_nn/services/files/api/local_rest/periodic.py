"""The periodic notes of the dialect, as the plugin had them until 5.0: by period, for today or for a day."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from weave_nn.services.files.api.content import bounded_body, path_header
from weave_nn.services.files.api.local_rest.addressing import Address, segments_of, target_of
from weave_nn.services.files.api.local_rest.errors import refusal
from weave_nn.services.files.api.local_rest.notes import Notes, json_response, unknown_note
from weave_nn.shared.errors import NotFound
from weave_nn.shared.http import SpooledBody
from weave_nn.vault.errors import NoteNotFound
from weave_nn.vault.periodic import Period

_MOST_RECENT = 100
_LOOKED_AT = 400


def add_periodic(routes: APIRouter, writes: APIRouter, notes: Notes, today: Callable[[], date]) -> None:
    """Add the routes below `/periodic`."""
    body = Depends(bounded_body(notes.note_limit_bytes))
    url = "/periodic/{rest:path}"

    def address(request: Request, *, create: bool) -> Address:
        return _address(notes, segments_of(request, 1), today(), create=create)

    @routes.get("/periodic/{period}/recent")
    @routes.get("/periodic/{period}/recent/")
    def recent_notes(
        period: str,
        limit: Annotated[int, Query(ge=1, le=_MOST_RECENT)] = 5,
        include_content: Annotated[bool, Query(alias="includeContent")] = False,  # noqa: FBT002 - a query
    ) -> Response:
        return json_response(_recent(notes, _period(period), today(), limit, with_content=include_content))

    @routes.get(url)
    def get_periodic(request: Request) -> Response:
        place = address(request, create=False)
        try:
            return _located(notes.get(place, request.headers), place)
        except NoteNotFound as error:
            raise unknown_note(place.path) from error

    @writes.put(url)
    def put_periodic(request: Request, content: SpooledBody) -> Response:
        place = address(request, create=True)
        return _located(notes.put(place, request.headers, content), place)

    @writes.post(url)
    def post_periodic(request: Request, content: Annotated[bytes, body]) -> Response:
        place = address(request, create=True)
        return _located(notes.post(place, request.headers, content), place)

    @writes.patch(url)
    def patch_periodic(request: Request, content: Annotated[bytes, body]) -> Response:
        place = address(request, create=True)
        return _located(notes.patch(place, request.headers, content), place)

    @writes.delete(url)
    def delete_periodic(request: Request) -> Response:
        place = address(request, create=False)
        try:
            return _located(notes.delete(place, request.headers, permanent=False), place)
        except NoteNotFound as error:
            raise unknown_note(place.path) from error


def _address(notes: Notes, segments: list[str], present: date, *, create: bool) -> Address:
    """The note that `{period}/[{year}/{month}/{day}/]` names, with a target behind it; made if `create`."""
    period, rest = _period(segments[0]), segments[1:]
    day = present
    if len(rest) >= 3 and all(part.isdecimal() and part.isascii() for part in rest[:3]):
        day, rest = _day(rest[:3]), rest[3:]
    target = target_of(rest)
    if target is None and any(rest):
        raise NotFound(f"{'/'.join(rest)!r} is neither a day nor a target.", hint="As in /periodic/daily/2026/11/23/.")
    path = notes.contract.open_periodic(period, day).path if create else notes.contract.periodic_path(period, day)
    return Address(path, is_folder=False, target=target)


def _period(name: str) -> Period:
    try:
        return Period(name)
    except ValueError:
        raise NotFound(
            f"There is no period {name!r}.", hint=f"Use one of: {', '.join(Period)}.", error_code=40460
        ) from None


def _day(parts: list[str]) -> date:
    try:
        year, month, day = (int(part[:8]) for part in parts)
        return date(year, month, day)
    except ValueError:
        raise refusal(40000, f"{'/'.join(parts)!r} is no day.", hint="Give year, month and day.") from None


def _recent(notes: Notes, period: Period, day: date, limit: int, *, with_content: bool) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for _ in range(_LOOKED_AT):
        path = notes.contract.periodic_path(period, day)
        if notes.exists(path):
            note = notes.note_json(notes.contract.view_note(path))
            found.append(note if with_content else {name: value for name, value in note.items() if name != "content"})
        if len(found) == limit or day.year == 1:
            break
        day = _before(period, day)
    return found


def _before(period: Period, day: date) -> date:
    """A day of the period before."""
    match period:
        case Period.DAILY:
            return day - timedelta(days=1)
        case Period.WEEKLY:
            return day - timedelta(days=7)
        case Period.MONTHLY:
            first = day.replace(day=1)
        case Period.QUARTERLY:
            first = day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case Period.YEARLY:
            first = day.replace(month=1, day=1)
    return first - timedelta(days=1)


def _located(response: Response, place: Address) -> Response:
    response.headers["Content-Location"] = path_header(place.path)
    return response
