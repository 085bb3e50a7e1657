"""What travels with a request, and with every event that it causes."""

from contextvars import ContextVar

request_id: ContextVar[str | None] = ContextVar("weave_request_id", default=None)
"""The id of the request or message being handled; copied into each event that it announces."""
