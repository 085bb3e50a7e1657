"""What travels with a request, and with every event and call that it causes."""

from contextvars import ContextVar

request_id: ContextVar[str | None] = ContextVar("weave_request_id", default=None)
"""The id of the request or message being handled; copied into each event that it announces."""

deadline: ContextVar[float | None] = ContextVar("weave_deadline", default=None)
"""When nobody waits for the present call any more, by `time.monotonic`; passed on to every service that it asks."""

caller: ContextVar[str | None] = ContextVar("weave_caller", default=None)
"""The name of whoever makes the request, for log lines; `shared.identity` says what they may do."""
