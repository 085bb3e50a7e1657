"""Calling another service over HTTP: connections, deadlines, retries, and what to say when it does not answer.

`urllib3` rather than the `httpx2` that comes with MCP: its connections are looked at before they are used again, so
that a call is not lost on one that the other side has closed, and it costs half as much time.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import structlog
import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError
from urllib3.util import Timeout

from weave_nn.shared import context
from weave_nn.shared.contracts import failures
from weave_nn.shared.contracts.breaker import CircuitBreaker
from weave_nn.shared.contracts.wire import (
    CHUNK_BYTES,
    CONTENT_TYPE,
    CONTENT_TYPE_WITH_CONTENT,
    SEPARATOR,
    Content,
    in_chunks,
)
from weave_nn.shared.errors import TooLarge, Unavailable, WeaveError

DEADLINE_HEADER = "X-Weave-Deadline-Ms"
ATTEMPTS = 3
CONNECTIONS = 40
CONNECT_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 0.03
# The service is to say itself that the time is over; we only end what does not come at all.
_GRACE_SECONDS = 0.5
_FROM_IN_BETWEEN = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})

log = structlog.get_logger(__name__)


class DeadlineExceeded(Unavailable):
    """Nobody waits for the answer any more; of a command it is not known whether it was done."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    code = "deadline_exceeded"
    title = "Too late"


class IncompatibleService(WeaveError):
    """The service answers, but not in a way that this version understands."""

    status = HTTPStatus.BAD_GATEWAY
    code = "incompatible_service"
    title = "Service of another version"


@dataclass(frozen=True, slots=True)
class Target:
    """A service that runs elsewhere: its name, where it is reached, and the setting that says so (for messages)."""

    name: str
    url: str
    setting: str


@dataclass(slots=True)
class Answer:
    """A whole answer, or the beginning of one with the `content` that follows; `status` 200, or a contract's error."""

    status: int
    head: bytes
    content: Content


class Client:
    """Calls one service; made once for a process, used from all threads.

    `headers` gives what is sent with every call (who calls, and the key by which services trust each other). A call
    takes at most `timeout_seconds`, or less where the present request has a deadline.
    """

    def __init__(
        self,
        target: Target,
        *,
        headers: Callable[[], Mapping[str, str]] = dict,
        timeout_seconds: float = 30.0,
        attempts: int = ATTEMPTS,
        connections: int = CONNECTIONS,
    ) -> None:
        self.target = target
        self._headers = headers
        self._timeout_seconds = timeout_seconds
        self._attempts = attempts
        self._breaker = CircuitBreaker()
        self._base = target.url.rstrip("/")
        # Connections above the number that is kept are closed after their call; no proxy of the environment is asked.
        self._pool = urllib3.connectionpool.connection_from_url(self._base, maxsize=connections, retries=False)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._pool.close()

    def call(self, path: str, head: bytes, content: Content | None, *, repeat: bool, stream: bool) -> Answer:
        """Make one call. With `repeat` it is tried again when no answer comes; one that was never sent always is.

        With `stream` the content of the answer comes piece by piece, and has to be consumed or dropped.
        Raises `Unavailable`, `DeadlineExceeded`, `IncompatibleService`.
        """
        began = time.monotonic()
        until = min(began + self._timeout_seconds, context.deadline.get() or began + self._timeout_seconds)
        once = content is not None and not isinstance(content, bytes)
        attempt = 0
        while True:
            attempt += 1
            self._admit(until)
            failure: HTTPError | None = None
            try:
                answer = self._ask(path, head, content, until, stream=stream)
            except HTTPError as error:
                answer, failure = None, error
            if answer is not None:
                self._breaker.succeeded()
                return answer
            # A caller who waits shorter than usual learns nothing about the service by giving up.
            if time.monotonic() < until or until >= began + self._timeout_seconds:
                self._breaker.failed()
            harmless = repeat or isinstance(failure, NewConnectionError | ConnectTimeoutError)
            if attempt >= self._attempts or once or not harmless or self._breaker.is_open:
                raise self._away(failure, harmless=harmless) from failure
            log.info("call_repeated", service=self.target.name, path=path, attempt=attempt, error=repr(failure))
            pause = FIRST_PAUSE_SECONDS * 4 ** (attempt - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, no secret
            time.sleep(max(0.0, min(pause, until - time.monotonic())))

    def _admit(self, until: float) -> None:
        if time.monotonic() >= until:
            raise self._late()
        if wait := self._breaker.wait_seconds():
            raise Unavailable(
                f"The {self.target.name} service at {self._base} did not answer the last calls, and is left alone now.",
                hint="Try again in a moment.",
                service=self.target.name,
                retry_after_seconds=wait,
            )

    def _ask(self, path: str, head: bytes, content: Content | None, until: float, *, stream: bool) -> Answer | None:
        """One attempt; None for an answer that is not the service's own but tells that it is away."""
        left = max(0.001, until - time.monotonic())
        headers = {
            **self._headers(),
            DEADLINE_HEADER: str(int(left * 1000)),
            "Content-Type": CONTENT_TYPE if content is None else CONTENT_TYPE_WITH_CONTENT,
        }
        if (request_id := context.request_id.get()) is not None:
            headers["X-Request-ID"] = request_id
        response = self._pool.urlopen(
            "POST",
            path,
            body=_body(head, content),
            headers=headers,
            timeout=Timeout(connect=min(CONNECT_SECONDS, left), read=left + _GRACE_SECONDS),
            redirect=False,
            preload_content=not stream,
            decode_content=False,
        )
        if response.status == HTTPStatus.OK:
            if not stream:
                return Answer(response.status, *_split(response.data))
            return _streamed(response, self._away)
        body = response.data
        if failures.HEADER in response.headers:
            return Answer(response.status, body, b"")
        if response.status in _FROM_IN_BETWEEN:
            return None
        # It is there, though it does not answer as it should.
        self._breaker.succeeded()
        raise self._refused(response.status)

    def _away(self, failure: HTTPError | None, *, harmless: bool) -> WeaveError:
        """What to raise when no answer came; unless `harmless`, nobody knows whether a change was made."""
        if isinstance(failure, ReadTimeoutError):
            return self._late()
        name = self.target.name
        if harmless:
            detail = f"The {name} service cannot be reached at {self._base}."
            hint = f"Start it, as with `weave serve {name}`, or set {self.target.setting} to where it is."
        else:
            detail = f"The {name} service at {self._base} broke off before it answered."
            hint = "Look whether the change was made before you repeat it."
        return Unavailable(detail, hint=hint, service=name, retry_after_seconds=1)

    def _late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"The {self.target.name} service did not answer in time.",
            hint="Try again, or ask for less; look first whether a change was made all the same.",
            service=self.target.name,
        )

    def _refused(self, status: int) -> WeaveError:
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return TooLarge(f"The content is larger than the {self.target.name} service takes.")
        known = {
            HTTPStatus.UNAUTHORIZED: "does not know our key; give all services the same WEAVE_SERVICE_KEY",
            HTTPStatus.FORBIDDEN: "does not let our key call; give all services the same WEAVE_SERVICE_KEY",
            HTTPStatus.NOT_FOUND: f"has no such call; see whether {self.target.setting} is right, and the versions",
        }
        reason = known.get(HTTPStatus(status), f"answered with the status {status}")
        return IncompatibleService(
            f"The {self.target.name} service at {self._base} {reason}.", service=self.target.name
        )


def _body(head: bytes, content: Content | None) -> bytes | Iterable[bytes]:
    if content is None:
        return head
    if isinstance(content, bytes):
        return head + SEPARATOR + content
    return _chained(head, content)


def _chained(head: bytes, content: Iterable[bytes]) -> Iterator[bytes]:
    yield head + SEPARATOR
    yield from in_chunks(content)


def _split(body: bytes) -> tuple[bytes, bytes]:
    head, _, content = body.partition(SEPARATOR)
    return head, content


def _streamed(response: urllib3.BaseHTTPResponse, away: Callable[..., WeaveError]) -> Answer:
    head = b""
    while SEPARATOR not in head:
        more = response.read(CHUNK_BYTES)
        if not more:
            break
        head += more
    head, first = _split(head)
    return Answer(response.status, head, ResponseContent(response, first, away))


class ResponseContent:
    """The content of an answer that is still coming: iterate over it once, or close it."""

    def __init__(self, response: urllib3.BaseHTTPResponse, first: bytes, away: Callable[..., WeaveError]) -> None:
        self._response = response
        self._first = first
        self._away = away

    def __iter__(self) -> Iterator[bytes]:
        """Give what is there, then read on; raises `Unavailable` if the service breaks off."""
        try:
            if self._first:
                yield self._first
            while chunk := self._response.read(CHUNK_BYTES):
                yield chunk
        except HTTPError as error:
            raise self._away(error, harmless=True) from error
        else:
            self._response.release_conn()
        finally:
            # A connection on which an answer is left unread cannot be used again.
            self._response.close()

    def close(self) -> None:
        """Give the connection up without the rest."""
        self._response.close()

    def __del__(self) -> None:
        """Whoever never began to read holds no connection."""
        self._response.close()
