"""A message as it travels: the event as the body, and beside it what a broker and its tools show without parsing it."""

import hashlib
import time
from typing import Any

from pika.spec import BasicProperties

from weave_nn.shared.bus.port import Message

CONTENT_TYPE = "application/cloudevents+json"
AGAIN_HEADER = "weave-again"
"""Of a message that was tried before: how often is noted in the database."""

_PERSISTENT = 2


def properties_of(message: Message, headers: dict[str, Any] | None = None, **more: Any) -> BasicProperties:
    """How a message is published."""
    return BasicProperties(  # type: ignore[no-untyped-call]  # the library's own oversight
        content_type=CONTENT_TYPE,
        delivery_mode=_PERSISTENT,
        message_id=message.event_id,
        type=message.type,
        timestamp=more.pop("timestamp", None) or int(time.time()),
        app_id="weave-nn",
        headers=headers,
        **more,
    )


def message_of(properties: BasicProperties, routing_key: str, body: bytes) -> Message:
    """The message that was received, also one that another program published without what we add."""
    event_id = properties.message_id or f"sha256-{hashlib.sha256(body).hexdigest()[:32]}"
    # What is no text is no event either; whoever reads it will say so.
    return Message(event_id[:255], properties.type or routing_key, body.decode(errors="replace"))


def was_tried(properties: BasicProperties, *, redelivered: bool) -> bool:
    """Whether someone may have tried this message before, by what all versions of the broker tell."""
    return redelivered or bool(properties.headers and AGAIN_HEADER in properties.headers)
