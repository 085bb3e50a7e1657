"""A contract over a real connection: what a caller sees when the service is there, and when it is not."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

import pytest

from served import served
from weave_nn.services.sync.contract import QueryRefused
from weave_nn.services.tasks.contract import QueryRefused as TaskQueryRefused
from weave_nn.services.tasks.contract import StaleTask
from weave_nn.shared import context
from weave_nn.shared.contracts import command, failures, query
from weave_nn.shared.contracts.breaker import FAILURES
from weave_nn.shared.contracts.client import Client, DeadlineExceeded, IncompatibleService, Target
from weave_nn.shared.contracts.remote import remote
from weave_nn.shared.contracts.serving import contract_router
from weave_nn.shared.errors import NotFound, Unavailable, WeaveError

MIB = 2**20


@dataclass(frozen=True)
class Stream:
    name: str
    chunks: Iterable[bytes]


class Shelf(Protocol):
    @query
    def count(self, *, wait_seconds: float = 0) -> int: ...

    @query
    def facts(self) -> dict[str, str | float | None]: ...

    @query
    def read(self, name: str) -> Stream: ...

    @query
    def fail(self, how: str) -> None: ...

    @command
    def put(self, name: str, content: bytes | Iterable[bytes]) -> int: ...

    @command
    def clear(self) -> None: ...


class ShelfService:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def count(self, *, wait_seconds: float = 0) -> int:
        threading.Event().wait(wait_seconds)
        return len(self.kept)

    def facts(self) -> dict[str, str | float | None]:
        deadline = context.deadline.get()
        left = None if deadline is None else deadline - time.monotonic()
        return {"request_id": context.request_id.get(), "seconds_left": left}

    def read(self, name: str) -> Stream:
        content = self.kept[name]

        def chunks() -> Iterator[bytes]:
            for start in range(0, len(content), MIB // 2):
                yield content[start : start + MIB // 2]
            if name == "broken":
                raise OSError("the disk is gone")

        return Stream(name, chunks())

    def fail(self, how: str) -> None:
        match how:
            case "sync":
                raise QueryRefused("a b c", 2, 1, "No b", hint="Leave it out.")
            case "tasks":
                raise TaskQueryRefused(3, "due when", "no such word")
            case "stale":
                raise StaleTask("t1", 4)
            case _:
                raise ZeroDivisionError

    def put(self, name: str, content: bytes | Iterable[bytes]) -> int:
        self.kept[name] = content if isinstance(content, bytes) else b"".join(content)
        return len(self.kept[name])

    def clear(self) -> None:
        self.kept.clear()


def client(url: str, *, key: str = "secret", timeout_seconds: float = 60) -> Client:
    return Client(
        Target("shelf", url, "WEAVE_SHELF_URL"),
        headers=lambda: {"Authorization": f"Bearer {key}"},
        timeout_seconds=timeout_seconds,
    )


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(contract_router(Shelf, ShelfService(), prefix="/shelf")) as address:
        yield address


@pytest.fixture
def shelf(url: str) -> Shelf:
    return remote(Shelf, client(url), prefix="/shelf")


def test_calls_have_results_and_effects(shelf: Shelf) -> None:
    shelf.clear()
    assert shelf.put("a", b"one\ntwo") == 7
    assert shelf.put("empty", b"") == 0
    assert shelf.count() == 2
    assert b"".join(shelf.read("a").chunks) == b"one\ntwo"
    assert b"".join(shelf.read("empty").chunks) == b""


def test_large_content_goes_both_ways_in_pieces(shelf: Shelf) -> None:
    piece = bytes(range(256)) * 1024
    assert shelf.put("big", (piece for _ in range(12))) == 3 * MIB
    stream = shelf.read("big")
    assert stream.name == "big"
    assert b"".join(stream.chunks) == piece * 12


def test_content_that_is_not_read_to_its_end_does_no_harm(shelf: Shelf) -> None:
    shelf.put("big", bytes(3 * MIB))
    for _ in range(5):
        assert next(iter(shelf.read("big").chunks))
    assert shelf.count() >= 1


def test_content_that_breaks_off_is_no_content(shelf: Shelf) -> None:
    shelf.put("broken", bytes(3 * MIB))
    with pytest.raises(Unavailable, match="shelf"):
        b"".join(shelf.read("broken").chunks)


def test_errors_arrive_as_the_type_that_was_raised(shelf: Shelf) -> None:
    with pytest.raises(QueryRefused) as refused:
        shelf.fail("sync")
    assert refused.value.fields == {"field": "q", "position": 2, "length": 1}
    assert refused.value.hint == "Leave it out."
    assert refused.value.caret == "a b c\n  ^"
    with pytest.raises(StaleTask, match="version 4"):
        shelf.fail("stale")


def test_of_errors_with_one_name_that_of_the_asked_service_arrives() -> None:
    class TasksShelf(Shelf, Protocol): ...

    TasksShelf.__module__ = "weave_nn.services.tasks.contract"
    with served(contract_router(TasksShelf, ShelfService(), prefix="/shelf")) as address:
        shelf = remote(TasksShelf, client(address), prefix="/shelf")
        with pytest.raises(TaskQueryRefused):
            shelf.fail("tasks")


def test_an_error_that_is_not_known_here_is_one_of_its_kind() -> None:
    error = NotFound("There is no odd.", hint="Ask evenly.", parity="odd")
    document = json.loads(failures.encode(error))
    document["error"] |= {"name": "NoSuchOdd", "code": "no_such_odd", "title": "Odd"}
    arrived = failures.decode(json.dumps(document).encode(), Shelf)
    assert isinstance(arrived, NotFound)
    assert (arrived.code, arrived.title, arrived.status) == ("no_such_odd", "Odd", HTTPStatus.NOT_FOUND)
    assert (arrived.fields, str(arrived)) == ({"parity": "odd"}, "There is no odd. Ask evenly.")


def test_a_defect_over_there_says_where_it_was(shelf: Shelf) -> None:
    with pytest.raises(WeaveError, match="shelf") as raised:
        shelf.fail("unexpectedly")
    assert not isinstance(raised.value, Unavailable)


def test_request_id_and_deadline_travel_with_the_call(shelf: Shelf) -> None:
    names, deadlines = context.request_id.set("abc"), context.deadline.set(time.monotonic() + 50)
    try:
        facts = shelf.facts()
    finally:
        context.request_id.reset(names)
        context.deadline.reset(deadlines)
    assert facts["request_id"] == "abc"
    assert 0 < float(facts["seconds_left"] or 0) <= 50


def test_what_takes_longer_than_the_caller_waits_ends_for_him(url: str) -> None:
    slow = remote(Shelf, client(url, timeout_seconds=0.2), prefix="/shelf")
    with pytest.raises(DeadlineExceeded):
        slow.count(wait_seconds=3)


def test_a_deadline_that_has_passed_is_not_asked_for(shelf: Shelf) -> None:
    deadlines = context.deadline.set(time.monotonic() - 1)
    try:
        with pytest.raises(DeadlineExceeded):
            shelf.clear()
    finally:
        context.deadline.reset(deadlines)


def test_a_wrong_key_is_a_matter_of_settings(url: str) -> None:
    with pytest.raises(IncompatibleService, match="WEAVE_SERVICE_KEY"):
        remote(Shelf, client(url, key="wrong"), prefix="/shelf").count()


def test_who_answers_wrongly_is_not_away(url: str) -> None:
    asked = client(url, key="wrong")
    for _ in range(FAILURES):
        asked._breaker.failed()
    asked._breaker._retry_at = 0.0
    for _ in range(2):
        with pytest.raises(IncompatibleService, match="WEAVE_SERVICE_KEY"):
            remote(Shelf, asked, prefix="/shelf").count()
    asked.close()


def test_another_service_at_the_address_is_a_matter_of_settings(url: str) -> None:
    with pytest.raises(IncompatibleService, match="WEAVE_SHELF_URL"):
        remote(Shelf, client(url), prefix="/other").count()


def test_a_service_that_is_away_is_named_with_the_setting_and_then_left_alone() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        away = remote(Shelf, client(f"http://127.0.0.1:{taken.getsockname()[1]}"), prefix="/shelf")
        with pytest.raises(Unavailable, match="WEAVE_SHELF_URL") as raised:
            away.count()
        assert raised.value.fields["service"] == "shelf"
        with pytest.raises(Unavailable, match="cannot be reached"):
            away.clear()
        with pytest.raises(Unavailable, match="left alone"):
            away.count()


@contextmanager
def flaky(answers: list[bytes]) -> Iterator[tuple[str, Callable[[], int]]]:
    """A service that answers each connection with the next of `answers` and then breaks it off; none: at once."""
    asked: list[bytes] = []
    with ExitStack() as stack:
        door = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def answer() -> None:
            for each in answers:
                connection, _ = door.accept()
                with connection:
                    asked.append(connection.recv(65536))
                    connection.sendall(each)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}", lambda: len(asked)
        thread.join(60)


def reply(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


@pytest.mark.parametrize(
    "first",
    [b"", reply("503 Service Unavailable", b"no healthy upstream"), b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"],
)
def test_a_query_without_an_answer_is_asked_again(first: bytes) -> None:
    with flaky([first, reply("200 OK", b'{"value":5}')]) as (address, asked):
        assert remote(Shelf, client(address), prefix="/shelf").count() == 5
        assert asked() == 2


@pytest.mark.parametrize("first", [b"", reply("503 Service Unavailable", b"no healthy upstream")])
def test_a_command_without_an_answer_is_not(first: bytes) -> None:
    with flaky([first]) as (address, asked):
        with pytest.raises(Unavailable, match="Look whether the change was made"):
            remote(Shelf, client(address), prefix="/shelf").clear()
        assert asked() == 1
