"""One connection to the broker that stays, kept by a thread of its own with the event loop that serves it."""

import contextlib
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pika
import structlog
from pika import exceptions

from weave_nn.shared.bus.rabbitmq.address import Address, explained
from weave_nn.shared.errors import WeaveError

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0
CLOSE_SECONDS = 5.0
GATHERED_BYTES = 64 * 1024
RECEIVED_BYTES = 16 * 1024

_log = structlog.get_logger(__name__)


class Connection(pika.SelectConnection):
    """The library's connection with fewer system calls, each of which costs as much as all else about a message.

    By itself it sends every frame alone, three for each message, and reads at most 4 kB at once; and whoever reads or
    sends lets other threads run first.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._gathered = bytearray()
        self._gathers = False
        super().__init__(*arguments, **options)

    @contextlib.contextmanager
    def gathering(self) -> Iterator[None]:
        """Send together what is sent inside; only in the connection's thread."""
        self._gathers = True
        try:
            yield
        finally:
            self._gathers = False
            self._output_marshaled_frames([])

    def _output_marshaled_frames(self, marshaled_frames: Sequence[bytes]) -> None:
        self._gathered += b"".join(marshaled_frames)
        if self._gathered and (not self._gathers or len(self._gathered) >= GATHERED_BYTES):
            gathered, self._gathered = bytes(self._gathered), bytearray()
            super()._output_marshaled_frames([gathered])

    def _proto_connection_made(self, transport: Any) -> None:
        transport._MAX_RECV_BYTES = RECEIVED_BYTES  # noqa: SLF001 - see the class
        super()._proto_connection_made(transport)


class Wire:
    """Connects when it is first used, and again whenever the connection is lost, until it is closed.

    `opened` is called in the thread of the connection each time there is a new one, `lost` when it has gone. Whatever
    concerns the connection must be done in that thread: see `submit`.
    """

    def __init__(
        self,
        address: Address,
        name: str,
        *,
        opened: Callable[[Connection], None],
        lost: Callable[[WeaveError], None],
    ) -> None:
        self.error: WeaveError | None = None
        """Why there is no connection now."""
        self._address = address
        self._name = name
        self._opened = opened
        self._lost = lost
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._connection: Connection | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._failures = 0

    def start(self) -> None:
        """Begin to connect, if that was not done yet."""
        with self._guard:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._run, name=f"rabbitmq-{self._name}", daemon=True)
                self._thread.start()

    def submit(self, call: Callable[[], None]) -> bool:
        """Have `call` run in the connection's thread, soon; false if there is no connection."""
        with self._guard:
            if self._connection is None or self._closing.is_set():
                return False
            self._connection.ioloop.add_callback_threadsafe(call)
            return True

    def close(self) -> None:
        """End the connection and the thread."""
        with self._guard:
            if not self._closing.is_set() and self._connection is not None:
                self._connection.ioloop.add_callback_threadsafe(self._hang_up)
            self._closing.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def _hang_up(self) -> None:
        if self._connection is not None:
            if self._connection.is_open:
                self._connection.close()
            elif not self._connection.is_closing:
                self._connection.ioloop.stop()

    def _run(self) -> None:
        parameters: list[pika.ConnectionParameters] = []
        while not self._closing.is_set():
            parameters = parameters or self._address.shuffled()
            self._serve(parameters.pop())
            if self._closing.is_set():
                return
            error = explained(self._address, self._failure)
            if self.error is None:
                _log.warning("rabbitmq.lost", connection=self._name, error=str(error))
            self.error = error
            self._lost(error)
            self._failures += 1
            longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 10))
            # Of several hosts the next one is tried at once; jitter, so that processes do not return together.
            self._closing.wait(0 if parameters else random.uniform(longest / 2, longest))  # noqa: S311 - no secret

    def _serve(self, parameters: pika.ConnectionParameters) -> None:
        """Connect and run the event loop until the connection has ended."""
        self._failure = None
        connection = Connection(
            parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_end,
            on_close_callback=self._on_end,
        )
        with self._guard:
            self._connection = connection
        try:
            if not self._closing.is_set():
                connection.ioloop.start()
        except Exception as error:  # noqa: BLE001 - a defect in a callback must not end the thread
            _log.error("rabbitmq.failed", connection=self._name, exc_info=error)
            self._failure = error
        finally:
            with self._guard:
                self._connection = None
            with contextlib.suppress(exceptions.AMQPError):
                if connection.is_open:
                    connection.close()
            connection.ioloop.close()

    def _on_open(self, connection: pika.connection.Connection) -> None:
        if not isinstance(connection, Connection):
            raise TypeError("the library gave another connection than was made")
        if self._failures:
            _log.info("rabbitmq.connected", connection=self._name, attempts=self._failures)
        self._failures = 0
        self.error = None
        self._opened(connection)

    def _on_end(self, connection: object, error: BaseException | str) -> None:
        self._failure = error if isinstance(error, BaseException) else ConnectionError(error)
        if isinstance(connection, pika.SelectConnection):
            connection.ioloop.stop()
