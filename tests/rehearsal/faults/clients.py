"""The clients: each writes what it alone writes, notes in the ledger how that ended, and finds out what is unknown.

A client whose write got no answer asks what became of it before it goes on, as a careful program does: it reads the
note, or repeats the creation under the same key. So what may be there at the end is known for each of its marks.
"""

import json
import os
import random
import threading
from pathlib import Path
from typing import Any

from rehearsal.faults.asking import Answer, Asker
from rehearsal.faults.ledger import Ledger, Outcome

SETTLE_SECONDS = 60.0


class Client(threading.Thread):
    """Does one `step` after another until `stopping` is set, then settles what is open."""

    def __init__(self, name: str, asker: Asker, ledger: Ledger, seed: int, stopping: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.asker, self.ledger, self.stopping = asker, ledger, stopping
        self.choose = random.Random(f"{name}-{seed}")  # noqa: S311 - no secret
        self.number = 0
        self.failed: BaseException | None = None
        self.pause_seconds = 0.9

    def run(self) -> None:
        try:
            while not self.stopping.wait(self.choose.uniform(0, 2 * self.pause_seconds)):
                self.number += 1
                self.step()
            self.settle()
        except BaseException as error:  # the thread has nobody to raise to
            self.failed = error
            raise

    def step(self) -> None:
        raise NotImplementedError

    def settle(self) -> None:
        """After the faults: find out what is still unknown."""

    def mark(self) -> str:
        return f"{self.name}x{self.number}z"

    def note(self, kind: str, what: str, answer: Answer | Outcome, mark: str | None = None) -> None:
        outcome = answer.outcome if isinstance(answer, Answer) else answer
        self.ledger.note(self.name, kind, what, mark or self.mark(), outcome)


class Writer(Client):
    """Replaces whole notes of its own, each time with a line more, and only over the version that it has seen."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._known: dict[str, tuple[str, str]] = {}
        self._unsure: dict[str, list[str]] = {}

    def step(self) -> None:
        path = f"Notes/{self.name} {self.choose.randrange(4)}.md"
        if self._unsure.get(path) and not self._look(path):
            return
        text, etag = self._known.get(path, ("", ""))
        text = text or f"# {path}\n\nsee [[Inbox]] #rehearsal\n\n"
        condition = {"If-Match": etag} if etag else {"If-None-Match": "*"}
        line = f"- {self.mark()} {self.choose.getrandbits(64):x}\n"
        answer = self.asker.ask("files", "PUT", f"/files/{path}", (text + line).encode(), condition)
        self.note("write", path, answer)
        if answer.outcome == "acknowledged":
            self._known[path] = (text + line, answer.etag)
        else:
            # Refused is a write of ours that was taken to be lost, and came later.
            self._unsure.setdefault(path, []).append(self.mark())

    def _look(self, path: str, seconds: float = 0) -> bool:
        answer = self.asker.ask_until(seconds, "files", "GET", f"/files/{path}")
        if answer.outcome == "unknown":
            return False
        if answer.status == 200:
            self._known[path] = (answer.body.decode(), answer.etag)
            for mark in self._unsure[path]:
                if mark in answer.body.decode():
                    self.note("write", path, "acknowledged", mark)
        self._unsure.pop(path)
        return True

    def settle(self) -> None:
        for path in list(self._unsure):
            self._look(path, SETTLE_SECONDS)


class Appender(Client):
    """Adds lines to notes that several clients add to; an addition without an answer is not repeated."""

    def step(self) -> None:
        path = f"Shared/log {self.choose.randrange(2)}.md"
        answer = self.asker.ask("files", "POST", f"/files/{path}", f"- {self.mark()}\n".encode())
        self.note("append", path, answer)


class Mover(Client):
    """Renames one note again and again; another note links to it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._at = ""
        self._perhaps: list[str] = []
        """Where it may be as well: a move that was not answered may still be made a while later."""

    def step(self) -> None:
        if not self._at:
            path = f"Moving/{self.name} 0.md"
            made = self.asker.ask("files", "PUT", f"/files/{path}", f"moved by {self.name}\n".encode())
            hub = f"Moving/hub of {self.name}.md"
            linked = self.asker.ask("files", "PUT", f"/files/{hub}", f"to [[{self.name} 0]]\n".encode())
            if made.outcome == linked.outcome == "acknowledged":
                self._at = path
                self.note("move", path, made)
            return
        if self._perhaps and not self._look():
            return
        target = f"Moving/{self.name} {self.number}.md"
        body = json.dumps({"path": self._at, "destination": target}).encode()
        answer = self.asker.ask("files", "POST", "/files/.move", body)
        self.note("move", target, answer)
        if answer.outcome == "acknowledged":
            self._at, self._perhaps = target, []
        elif answer.outcome == "unknown":
            self._perhaps.append(target)

    def _look(self, seconds: float = 0) -> bool:
        """Whether it was found; it may be moved between two looks."""
        for path in (self._at, *self._perhaps):
            if self.asker.ask_until(seconds, "files", "GET", f"/files/{path}").status == 200:
                if path != self._at:
                    self._at, self._perhaps = path, []
                    self.note("move", path, "acknowledged", path)
                return True
        return False

    def settle(self) -> None:
        pause = threading.Event()
        # Where an unanswered move may still bring it later, the ledger allows it to be.
        while self._perhaps and not self._look(SETTLE_SECONDS):
            pause.wait(0.1)


class Tasker(Client):
    """Makes tasks, each under a key that it is repeated with, changes and completes them over the version it knows."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._making: list[tuple[str, bytes]] = []
        self._open: dict[str, tuple[str, str]] = {}
        self._tasks: dict[str, str] = {}

    def step(self) -> None:
        if self._making:
            self._make(0)
        elif not self._tasks or self.choose.random() < 0.4:
            recurrence = "every day" if self.choose.random() < 0.3 else None
            note = self.choose.choice((f"Tasks/{self.name}.md", "Tasks/all.md", None))
            task = {"title": f"task {self.mark()}", "recurrence": recurrence, "note_path": note}
            body = {**task, "due_date": "2026-11-23" if recurrence else None}
            self._making.append((self.mark(), json.dumps(body).encode()))
            self._make(0)
        else:
            self._change(self.choose.choice(sorted(self._tasks)))

    def _make(self, seconds: float) -> None:
        mark, body = self._making[-1]
        answer = self.asker.ask_until(seconds, "tasks", "POST", "/tasks", body, {"Idempotency-Key": mark})
        recurring = json.loads(body)["recurrence"] is not None
        self.note("make recurring" if recurring else "make", mark, answer, mark)
        if answer.outcome != "unknown":
            self._making.pop()
        if answer.outcome == "acknowledged":
            self._tasks[mark] = answer.json["id"]

    def _change(self, mark: str) -> None:
        """Complete it, or give it another title; both only once for each version."""
        task = self.asker.ask("tasks", "GET", f"/tasks/{self._tasks[mark]}")
        if task.status != 200:
            self._lose(mark, task)
            return
        if (opened := self._open.pop(mark, None)) is not None:
            self._find_out(mark, opened, task)
        if task.json["status"] == "DONE":
            del self._tasks[mark]
            return
        version = {"If-Match": f'"{task.json["version"]}"'}
        if self.choose.random() < 0.5:
            answer = self.asker.ask("tasks", "POST", f"/tasks/{self._tasks[mark]}/complete", b"", version)
            self.note("complete", mark, answer)
            self._open_unless_known(mark, answer, ("complete", self.mark()))
            if answer.outcome == "acknowledged":
                following = answer.json.get("next")
                if following is None:
                    del self._tasks[mark]
                else:
                    self._tasks[mark] = following["id"]
        else:
            title = f"task {mark} with {self.mark()}"
            answer = self.asker.ask(
                "tasks", "PATCH", f"/tasks/{self._tasks[mark]}", json.dumps({"title": title}).encode(), version
            )
            self.note("retitle", mark, answer)
            self._open_unless_known(mark, answer, ("retitle", self.mark()))

    def _open_unless_known(self, mark: str, answer: Answer, change: tuple[str, str]) -> None:
        if answer.outcome == "unknown":
            self._open[mark] = change

    def _find_out(self, mark: str, opened: tuple[str, str], task: Answer) -> None:
        kind, change = opened
        done = task.json["status"] == "DONE" if kind == "complete" else change in task.json["title"]
        if done:
            self.note(kind, mark, "acknowledged", change)

    def _lose(self, mark: str, answer: Answer) -> None:
        if answer.outcome == "refused":
            self.note("lost", mark, "acknowledged")
            del self._tasks[mark]

    def settle(self) -> None:
        while self._making:
            self._make(SETTLE_SECONDS)
        for mark, opened in self._open.items():
            task = self.asker.ask_until(SETTLE_SECONDS, "tasks", "GET", f"/tasks/{self._tasks[mark]}")
            if task.status == 200:
                self._find_out(mark, opened, task)
            else:
                self._lose(mark, task)


class Reader(Client):
    """Reads, lists and searches; its answers are only counted."""

    def step(self) -> None:
        service, path = self.choose.choice((
            ("sync", "/search?q=rehearsal"),
            ("sync", f"/search?q=w1x{self.number}z"),
            ("sync", "/graph/unresolved"),
            ("tasks", "/tasks?limit=20"),
            ("tasks", "/tasks/counts?by=status"),
            ("files", "/files?limit=20"),
            ("git", "/git/status"),
        ))  # fmt: skip
        self.asker.ask(service, "GET", path)


class Editor(Client):
    """Somebody who edits notes with an editor of their own, past all services, and whose disk may be full."""

    def __init__(self, name: str, asker: Asker, ledger: Ledger, seed: int, stopping: threading.Event) -> None:
        super().__init__(name, asker, ledger, seed, stopping)
        self.vault = Path()
        self.pause_seconds = 0.9

    def step(self) -> None:
        path = f"Edited/{self.name} {self.choose.randrange(3)}.md"
        place = self.vault / path
        place.parent.mkdir(exist_ok=True)
        try:
            present = place.read_text() if place.exists() else ""
            beside = place.with_name(f".{place.name}.editor")
            with beside.open("w") as file:
                file.write(f"{present}- {self.mark()} #edited\n")
                file.flush()
                os.fsync(file.fileno())
            beside.replace(place)
        except OSError:
            beside.unlink(missing_ok=True)
            return
        self.note("edit", path, "acknowledged")
