"""Events: the envelope on the wire, and the announcements that services make and read.

An event travels as one CloudEvents 1.0 message in JSON format (<https://github.com/cloudevents/spec>):

| attribute | here | meaning |
|---|---|---|
| `specversion` | | always `"1.0"` |
| `id` | `Event.id` | UUID version 7: unique, and sorted by the time of announcing; consumers know duplicates by it |
| `type` | `Event.type` | dot-separated words, such as `vault.file.updated`; the topic by which queues subscribe |
| `source` | `Event.source` | the service that announced it, such as `files` |
| `subject` | `Event.subject` | what it is about, such as the note's path; optional |
| `time` | `Event.time` | when it was announced, RFC 3339 with a zone |
| `datacontenttype` | | `application/json`, or absent |
| `dataschema` | `Event.version` | `urn:weave-nn:event:{type}:{version}`; absent means version 1 |
| `vaultid` | `Event.vault_id` | extension: the vault that it belongs to |
| `requestid` | `Event.request_id` | extension: the request that caused it; optional |
| `data` | `Event.data` | a JSON object: the fields of the `Announcement` |

Within a version, fields are only added, and with a default: readers ignore fields that they do not know. Whatever a
reader could misunderstand is a new version. Other attributes are ignored.
"""

import json
import os
import random
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from weave_nn.shared.errors import InvalidInput, TooLarge

MAX_EVENT_BYTES = 256 * 1024
"""The largest event on the wire: an event says *look here*, it does not carry the thing."""

# Made once: `json.dumps` with arguments makes an encoder for every call.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_WORD = r"[A-Za-z0-9_-]+"
_TYPE = rf"^{_WORD}(\.{_WORD})*$"
_SCHEMA_PREFIX = "urn:weave-nn:event:"


class InvalidEvent(InvalidInput):
    """Not an event, or not of the shape that its type promises. Trying again cannot help: a poison message."""

    code = "invalid_event"
    title = "Invalid event"


class EventTooLarge(TooLarge):
    """An event of more than `MAX_EVENT_BYTES`; it was not announced."""

    code = "event_too_large"
    title = "Event too large"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. The module's table says what each attribute means on the wire."""

    id: str
    type: str
    source: str
    time: datetime
    vault_id: str
    data: Mapping[str, Any]
    subject: str | None = None
    request_id: str | None = None
    version: int = 1

    def to_json(self) -> str:
        """The event on the wire. Raises `EventTooLarge`, or `InvalidEvent` for values that JSON cannot hold."""
        attributes = {
            "specversion": "1.0",
            "id": self.id,
            "type": self.type,
            "source": self.source,
            "subject": self.subject,
            "time": self.time.isoformat(),
            "datacontenttype": "application/json",
            "dataschema": f"{_SCHEMA_PREFIX}{self.type}:{self.version}",
            "vaultid": self.vault_id,
            "requestid": self.request_id,
            "data": self.data,
        }
        present = {name: value for name, value in attributes.items() if value is not None}
        try:
            text = _encode(present)
            size_bytes = len(text.encode())
        except (TypeError, ValueError) as error:
            raise InvalidEvent(f"The event {self.type} cannot be written as JSON: {error}.") from error
        if size_bytes > MAX_EVENT_BYTES:
            raise EventTooLarge(
                f"The event {self.type} has {size_bytes} bytes; {MAX_EVENT_BYTES} are allowed.",
                hint="Announce where the content is (its path and hash), not the content.",
            )
        return text

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Parse an event from the wire; raises `InvalidEvent`, which names every attribute that is wrong."""
        try:
            wire = _Wire.model_validate_json(text)
        except ValidationError as error:
            raise InvalidEvent(f"Not an event: {_summary(error)}.") from error
        return cls(
            id=wire.id,
            type=wire.type,
            source=wire.source,
            time=wire.time,
            vault_id=wire.vaultid,
            data=wire.data,
            subject=wire.subject,
            request_id=wire.requestid,
            version=_version(wire),
        )


class Announcement:
    """Base of the announcements in each service's `events.py`.

    A subclass is a frozen dataclass whose fields are JSON values (or dataclasses, enums, datetimes, tuples of them),
    with the class variables `TYPE` and, once it is not 1 any more, `VERSION`:

        @dataclass(frozen=True, slots=True)
        class FileUpdated(Announcement):
            TYPE = "vault.file.updated"
            path: str

            def subject(self) -> str:
                return self.path

    Announce it with `Outbox.announce`; read it in a handler with `FileUpdated.from_event(event)`.
    """

    __slots__ = ()

    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not re.match(_TYPE, getattr(cls, "TYPE", "")):
            raise TypeError(f"{cls.__name__}.TYPE must be words joined by dots, such as 'vault.file.updated'")

    def subject(self) -> str | None:
        """What the event is about, such as a note's path; `None` where there is no one thing."""
        return None

    def to_event(
        self, *, source: str, vault_id: str, request_id: str | None, announced_at: datetime | None = None
    ) -> Event:
        """Wrap this announcement in a new envelope; it is announced now, unless another time is given."""
        return Event(
            id=new_event_id(),
            type=self.TYPE,
            source=source,
            time=announced_at or datetime.now(UTC),
            vault_id=vault_id,
            data=_adapter(type(self)).dump_python(self, mode="json"),
            subject=self.subject(),
            request_id=request_id,
            version=self.VERSION,
        )

    @classmethod
    def from_event(cls, event: Event) -> Self:
        """Read the announcement out of `event`, ignoring fields that this version does not know.

        Raises `InvalidEvent` when the event is of another type, or a field is missing or of the wrong type.
        """
        if event.type != cls.TYPE:
            raise InvalidEvent(f"The event {event.id} is a {event.type}, not a {cls.TYPE}.")
        try:
            # JSON is validated, not the mapping: only so are lists taken for tuples and strings for dates while
            # everything else stays strict.
            return cast("Self", _adapter(cls).validate_json(json.dumps(event.data), strict=True))
        except ValidationError as error:
            raise InvalidEvent(
                f"The event {event.id} is not a {cls.TYPE} of version {cls.VERSION}: {_summary(error)}.",
            ) from error


def new_event_id() -> str:
    """A new UUID of version 7 (RFC 9562, method 3): within one process every id is greater than the last."""
    global _last_tick  # noqa: PLW0603 - the order of ids within the process is process-wide state
    with _tick_lock:
        # 48 bits of milliseconds and 12 bits of their fraction; a clock that stands still or goes back is counted on.
        nanoseconds = time.time_ns()
        tick = (nanoseconds // 1_000_000 << 12) | (nanoseconds % 1_000_000 * 4096 // 1_000_000)
        _last_tick = tick = max(tick, _last_tick + 1)
    chance = _chance.getrandbits(62)
    digits = f"{(tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | chance:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


# Ids are no secrets: they have to differ, also between processes that were forked from one another.
_chance = random.Random()  # noqa: S311 - see above
os.register_at_fork(after_in_child=_chance.seed)
_tick_lock = threading.Lock()
_last_tick = 0

_Attribute = Annotated[str, Field(min_length=1, max_length=1024)]


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    specversion: Literal["1.0"]
    id: Annotated[str, Field(min_length=1, max_length=255)]
    type: Annotated[str, Field(pattern=_TYPE, max_length=255)]
    source: _Attribute
    time: AwareDatetime
    vaultid: _Attribute
    data: dict[str, Any]
    # A path may be as long as the file system takes it.
    subject: Annotated[str, Field(max_length=8192)] | None = None
    requestid: _Attribute | None = None
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Annotated[str, Field(pattern=rf"^{_SCHEMA_PREFIX}.+:[1-9][0-9]{{0,8}}$")] | None = None


def _version(wire: _Wire) -> int:
    if wire.dataschema is None:
        return 1
    described, _, version = wire.dataschema.removeprefix(_SCHEMA_PREFIX).rpartition(":")
    if described != wire.type:
        raise InvalidEvent(f"Not an event: dataschema describes {described}, type is {wire.type}.")
    return int(version)


def _summary(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'body'}: {problem['msg']}" for problem in error.errors()[:5]
    )


_adapters: dict[type, TypeAdapter[Any]] = {}


def _adapter(announcement: type[Announcement]) -> TypeAdapter[Any]:
    if announcement not in _adapters:
        _adapters[announcement] = TypeAdapter(announcement)
    return _adapters[announcement]
