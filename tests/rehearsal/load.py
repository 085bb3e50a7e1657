"""Users who read and write all the time, and what happened to each of their requests."""

import asyncio
import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

IDLE_SECONDS = 2.0
"""A connection that was not used for so long is not used again, for the server may just be closing it."""

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Sent:
    """One request and its end; `status` 0 is a connection that broke, with the reason in `problem`."""

    at: float
    user: str
    method: str
    path: str
    status: int
    side: str
    seconds: float
    problem: str = ""

    @property
    def failed(self) -> bool:
        return self.status == 0 or self.status >= 500


@dataclass
class Load:
    """`users` are names with their keys. Runs in a thread of its own, from entering the context to leaving it."""

    port: int
    users: Sequence[tuple[str, Sequence[str]]]
    requests_per_second: float
    sent: list[Sent] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    writing: bool = True

    def __enter__(self) -> Self:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load")
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        self._thread.join()

    def since(self, moment: float) -> list[Sent]:
        return [each for each in self.sent if each.at >= moment]

    async def _run(self) -> None:
        users = [asyncio.create_task(self._user(name, keys)) for name, keys in self.users]
        await asyncio.gather(*users)

    async def _user(self, name: str, keys: Sequence[str]) -> None:
        pick = random.Random(name)  # noqa: S311 - whoever rehearses again has the same users
        pause = len(self.users) / self.requests_per_second
        connection = _Connection(self.port)
        mine: list[str] = []
        await asyncio.sleep(pick.uniform(0, pause))
        while not self._stopping.is_set():
            method, path, body = self._choose(pick, name, mine)
            begun, at = time.monotonic(), time.time()
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    status, headers, answer = await connection.ask(method, path, pick.choice(keys), body)
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                connection.close()
                self.sent.append(Sent(at, name, method, path, 0, "", time.monotonic() - begun, repr(error)))
            else:
                side = headers.get("x-weave-side", "")
                problem = answer[:200].decode(errors="replace") if status >= 400 else ""
                self.sent.append(Sent(at, name, method, path, status, side, time.monotonic() - begun, problem))
                if method == "POST" and status == 201:
                    made = json.loads(answer)
                    mine.append(made["id"])
                    self.written[made["id"]] = made["title"]
            await asyncio.sleep(pick.expovariate(1 / pause))
        connection.close()

    def _choose(self, pick: random.Random, name: str, mine: Sequence[str]) -> tuple[str, str, bytes]:
        if self.writing and pick.random() < 0.2:
            return "POST", "/tasks", json.dumps({"title": f"{name} {len(mine)}"}).encode()
        if mine and pick.random() < 0.6:
            return "GET", f"/tasks/{pick.choice(mine)}", b""
        return "GET", f"/tasks?limit=5&text={name}", b""


class _Connection:
    """A connection that is kept, as clients keep them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used_at = 0.0

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None

    async def ask(self, method: str, path: str, key: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {key}"]
        # What users say about themselves has no effect.
        lines += ["X-Weave-User: user:somebody-else", f"Content-Length: {len(body)}", "Content-Type: application/json"]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
        answer = await _body(reader, headers)
        self._used_at = time.monotonic()
        if headers.get("connection") == "close":
            self.close()
        return int(first.split()[1]), headers, answer


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    answer = b""
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        answer += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return answer


def flips(sent: Sequence[Sent]) -> list[str]:
    """The users who were served by the stable side after the candidate had served them."""
    moved: set[str] = set()
    flipped: set[str] = set()
    for each in sorted(sent, key=lambda one: one.at):
        if each.side == "candidate":
            moved.add(each.user)
        elif each.side == "stable" and each.user in moved:
            flipped.add(each.user)
    return sorted(flipped)
