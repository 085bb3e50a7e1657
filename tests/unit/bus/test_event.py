import json
import threading
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.shared.bus import MAX_EVENT_BYTES, Announcement, Event, EventTooLarge, InvalidEvent
from weave_nn.shared.bus.event import new_event_id


class Mood(StrEnum):
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Noted(Announcement):
    TYPE = "vault.note.noted"
    VERSION = 2

    path: str
    lines: tuple[Line, ...]
    mood: Mood
    at: datetime
    author: str | None = None

    def subject(self) -> str:
        return self.path


NOTED = Noted("a.md", (Line(1, "x"),), Mood.GOOD, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))

texts = st.text(st.characters(codec="utf-8"), max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
events = st.builds(
    Event,
    id=texts.filter(bool),
    type=st.from_regex(r"[a-z_]{1,8}(\.[a-z_]{1,8}){0,3}", fullmatch=True),
    source=texts.filter(bool),
    time=st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone is added
    vault_id=texts.filter(bool),
    data=st.dictionaries(texts, json_values, max_size=4),
    subject=st.none() | texts,
    request_id=st.none() | texts.filter(bool),
    version=st.integers(1, 999),
)


@given(events)
def test_what_is_written_is_what_is_read(event: Event) -> None:
    assert Event.from_json(event.to_json()) == event


@given(st.text(max_size=30) | st.binary(max_size=30))
def test_anything_else_is_an_invalid_event(text: str | bytes) -> None:
    with pytest.raises(InvalidEvent, match="Not an event"):
        Event.from_json(text)


def _wire(**changes: Any) -> str:
    attributes = json.loads(NOTED.to_event(source="files", vault_id="v", request_id=None).to_json()) | changes
    return json.dumps({name: value for name, value in attributes.items() if value != "absent"})


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("specversion", "0.3"),
        ("specversion", "absent"),
        ("id", ""),
        ("id", 7),
        ("type", "a..b"),
        ("type", "a.*"),
        ("source", "absent"),
        ("time", "2026-01-02T03:04:05"),
        ("time", 1767323045),
        ("vaultid", "absent"),
        ("datacontenttype", "text/plain"),
        ("dataschema", "urn:weave-nn:event:something.else:2"),
        ("dataschema", "urn:weave-nn:event:vault.note.noted:0"),
        ("data", [1]),
        ("data", "absent"),
        ("requestid", 5),
    ],
)
def test_a_wrong_attribute_is_named(attribute: str, value: object) -> None:
    with pytest.raises(InvalidEvent, match=attribute):
        Event.from_json(_wire(**{attribute: value}))


def test_what_other_producers_add_or_leave_out_is_no_fault() -> None:
    event = Event.from_json(_wire(traceparent="00-1", dataschema="absent", datacontenttype="absent", subject=None))
    assert (event.version, event.subject) == (1, None)


def test_an_announcement_travels_whole() -> None:
    event = NOTED.to_event(source="files", vault_id="v", request_id="r")
    received = Event.from_json(event.to_json())
    assert Noted.from_event(received) == NOTED
    assert (received.subject, received.version, received.request_id, received.vault_id) == ("a.md", 2, "r", "v")


def _received(**changes: Any) -> Event:
    event = NOTED.to_event(source="files", vault_id="v", request_id=None)
    data = {name: value for name, value in (dict(event.data) | changes).items() if value != "absent"}
    return Event(event.id, event.type, event.source, event.time, event.vault_id, data)


def test_fields_of_a_newer_version_are_ignored_and_defaults_fill_in_for_an_older_one() -> None:
    assert Noted.from_event(_received(novelty=1, author="absent")) == NOTED


@pytest.mark.parametrize(("name", "value"), [("path", "absent"), ("path", 1), ("mood", "so so"), ("lines", [{}])])
def test_a_missing_or_wrong_field_is_named(name: str, value: object) -> None:
    with pytest.raises(InvalidEvent, match=name):
        Noted.from_event(_received(**{name: value}))


def test_an_event_of_another_type_is_not_read_as_this_one() -> None:
    event = NOTED.to_event(source="files", vault_id="v", request_id=None)
    other = Event(event.id, "vault.note.other", event.source, event.time, event.vault_id, event.data)
    with pytest.raises(InvalidEvent, match=r"is a vault\.note\.other"):
        Noted.from_event(other)


@pytest.mark.parametrize("data", [{"x": float("nan")}, {"x": object()}, {"x": "\ud800"}])
def test_what_json_cannot_hold_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent, match="cannot be written as JSON"):
        Event("i", "a.b", "s", datetime.now(UTC), "v", data).to_json()


def test_an_event_that_is_too_large_is_refused_with_the_limit() -> None:
    event = Event("i", "a.b", "s", datetime.now(UTC), "v", {"x": "ü" * (MAX_EVENT_BYTES // 2)})
    with pytest.raises(EventTooLarge, match=str(MAX_EVENT_BYTES)):
        event.to_json()


def test_an_announcement_without_a_proper_type_is_a_defect() -> None:
    with pytest.raises(TypeError, match="TYPE"):
        type("Nameless", (Announcement,), {"TYPE": "not a type"})


def test_ids_are_unique_and_sorted_within_a_process() -> None:
    ids: list[list[str]] = [[], [], []]

    def make(into: list[str]) -> None:
        into.extend(new_event_id() for _ in range(2000))

    threads = [threading.Thread(target=make, args=(into,)) for into in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each for made in ids for each in made}) == 6000
    assert all(made == sorted(made) for made in ids)
    assert {(uuid.UUID(each).version, uuid.UUID(each).variant) for each in ids[0]} == {(7, uuid.RFC_4122)}
