"""What is to hold when the faults are over: compared with the ledger, with the vault, and with a fresh rebuild."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import func, select, text

from integration.sync.indexes import dump
from rehearsal.faults.ledger import Entry, entries
from rehearsal.faults.system import System
from weave_nn.entrypoints.monolith import Offline, offline
from weave_nn.services.sync.models import text_of
from weave_nn.shared.bus.models import event, inbox, outbox
from weave_nn.shared.bus.topics import matches
from weave_nn.shared.config import load, prepare
from weave_nn.vault.journal import sweep
from weave_nn.vault.paths import is_temporary

OWN_LOCK = "weave-nn.lock"
_TASK_LINE = re.compile(r"^\s*- \[(.)\] (.*)$")
_HIDDEN = re.compile(r"(^|/)\.")


@contextmanager
def opened(system: System) -> Iterator[Offline]:
    """The state of the system, past its processes and proxies."""
    with patch.dict(os.environ, system.environment(direct=True)):
        settings = load().settings
    with offline(settings, prepare(settings)) as found:
        yield found


def position(system: System) -> int:
    """How far events were published; the first ones may have come before all queues were there."""
    with opened(system) as state, state.runtime.database.read() as work:
        return work.session.scalar(select(func.max(event.c.sequence))) or 0


_STATUS_LENGTH = len("?? ")


def unsettled(state: Offline, system: System, since: int) -> str:
    """What is still on its way of what was published after the position `since`; empty when nothing is."""
    for name in system.kept:
        if (answer := system.ask_ready(name))[0] != 200:
            return f"{name} is not ready: {answer}"
    if said := _unhandled(state, since):
        return said
    if depths := {queue: depth for queue, depth in state.bus.depths().items() if depth}:
        return f"queues are not empty: {depths}"
    lines = _git(system.vault, "status", "--porcelain").splitlines()
    if uncommitted := [line for line in lines if not is_temporary(Path(line[_STATUS_LENGTH:].strip('"')).name)]:
        return f"not committed: {uncommitted[:5]}"
    return ""


def _unhandled(state: Offline, since: int) -> str:
    with state.runtime.database.read() as work:
        waiting = work.session.scalar(select(func.count()).select_from(outbox))
        asked = select(event.c.event_id, event.c.type).where(event.c.sequence > since)
        published = [(row.event_id, row.type) for row in work.session.execute(asked)]
        handled = {(row.consumer, row.event_id) for row in work.session.execute(select(inbox))}
        pending = work.session.scalar(text("SELECT count(*) FROM task WHERE pending_edit IS NOT NULL"))
    if waiting:
        return f"{waiting} events wait in the outbox"
    for each in (each for component in state.components for each in component.subscriptions):
        wanted = [event_id for event_id, type_ in published if any(matches(topic, type_) for topic in each.topics)]
        if missing := [event_id for event_id in wanted if (each.queue, event_id) not in handled]:
            return f"{each.queue} has not handled {len(missing)} events, the first is {missing[0]}"
    return f"{pending} tasks wait for their notes" if pending else ""


class Judge:
    """Collects what does not hold, by what it belongs to."""

    def __init__(self, system: System, state: Offline, ledger: Path) -> None:
        self._system, self._state = system, state
        self._noted = entries(ledger)
        self._notes = {
            path.relative_to(system.vault).as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(system.vault.rglob("*.md"))
            if not _HIDDEN.search(path.relative_to(system.vault).as_posix())
        }
        self.found: dict[str, list[str]] = defaultdict(list)
        self.left = 0

    def judge(self, poison: Counter[tuple[str, str]]) -> dict[str, list[str]]:
        self._judge_lines()
        self._judge_moves()
        self._judge_tasks()
        self._judge_vault()
        self._judge_git()
        self._judge_events(poison)
        self._judge_rows()
        return {name: problems for name, problems in self.found.items() if problems}

    def _problem(self, kind: str, problem: str) -> None:
        self.found[kind].append(problem)

    def _judge_lines(self) -> None:
        """Every acknowledged line stands in its note once, one of unknown end at most once."""
        ends: dict[tuple[str, str], str] = {}
        for each in self._noted:
            if each.kind in {"write", "append", "edit"} and ends.get((each.what, each.mark)) != "acknowledged":
                ends[each.what, each.mark] = each.outcome
        for (path, mark), end in ends.items():
            count = len(re.findall(rf"\b{mark}\b", self._notes.get(path, "")))
            if end == "acknowledged" and count == 0:
                self._problem("acknowledged writes lost", f"{mark} in {path}")
            elif end == "refused" and count:
                self._problem("refused writes made", f"{mark} in {path}")
            elif count > 1:
                self._problem("effects doubled", f"{mark} stands {count} times in {path}")

    def _judge_moves(self) -> None:
        for who in sorted({each.who for each in self._noted if each.kind == "move"}):
            moves = [each for each in self._noted if each.who == who and each.kind == "move"]
            last = max((number for number, each in enumerate(moves) if each.outcome == "acknowledged"), default=0)
            allowed = {each.what for each in moves[last:] if each.outcome != "refused"} | {moves[last].what}
            there = [path for path in self._notes if path.startswith(f"Moving/{who} ")]
            if len(there) != 1 or there[0] not in allowed:
                self._problem("acknowledged writes lost", f"{who} moved to one of {sorted(allowed)}; there are {there}")
            elif (hub := self._notes.get(f"Moving/hub of {who}.md")) != f"to [[{Path(there[0]).stem}]]\n":
                self._problem("links not rewritten", f"{hub!r} should lead to {there[0]}")

    def _judge_tasks(self) -> None:
        lines: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for content in self._notes.values():
            for line in content.splitlines():
                if (found := _TASK_LINE.match(line)) and (named := re.search(r"task (\w+x\d+z)", found[2])):
                    lines[named[1]].append((found[1], found[2]))
        by_task: dict[str, list[Entry]] = defaultdict(list)
        for each in self._noted:
            if each.kind in {"make", "make recurring", "complete", "retitle", "lost"}:
                by_task[each.what].append(each)
        for mark, noted in by_task.items():
            self._judge_task(mark, noted, lines.pop(mark, []))
        for mark, extra in lines.items():
            self._problem("effects doubled", f"nobody made {mark}: {extra}")

    def _judge_task(self, mark: str, noted: list[Entry], lines: list[tuple[str, str]]) -> None:
        if any(each.kind == "lost" for each in noted):
            self._problem("acknowledged writes lost", f"the task {mark} is not known any more; {lines}")
        made = any(each.kind.startswith("make") and each.outcome == "acknowledged" for each in noted)
        completed, perhaps = _known(noted, "complete")
        recurring = any(each.kind == "make recurring" for each in noted)
        done = sum(symbol == "x" for symbol, _ in lines)
        if done < len(completed):
            self._problem("acknowledged writes lost", f"{mark} was completed {len(completed)} times: {lines}")
        if done > len(completed | perhaps):
            self._problem("effects doubled", f"{mark} was completed {len(completed)} times: {lines}")
        expected = 1 + done if recurring else 1
        if len(lines) < expected and made:
            self._problem("acknowledged writes lost", f"{mark} should have {expected} lines: {lines}")
        if len(lines) > expected:
            self._problem("effects doubled", f"{mark} should have {expected} lines: {lines}")
        titles = [each for each in noted if each.kind == "retitle"]
        acknowledged = [number for number, each in enumerate(titles) if each.outcome == "acknowledged"]
        if acknowledged:
            allowed = {each.mark for each in titles[acknowledged[-1] :] if each.outcome != "refused"}
            # What was of unknown end may have come after what was acknowledged last, but not after what was seen.
            if not any(f"with {each}" in line for each in allowed for _, line in lines):
                self._problem("acknowledged writes lost", f"{mark} should be titled with one of {allowed}: {lines}")

    def _judge_vault(self) -> None:
        # What a killed process was writing stays until such files are looked for; none may be the only copy of a note.
        self.left = sum(is_temporary(path.name) for path in self._system.vault.rglob("*"))
        for kept in sweep(self._state.runtime.vault, older_than_seconds=0):
            self._problem("stray files", f"the only copy may have been in a temporary file, now {kept}")
        for path in (self._system.vault / ".git").rglob("*.lock"):
            if path.name != OWN_LOCK:
                self._problem("stray files", str(path))
        for path in (self._system.vault / ".trash").rglob("*"):
            self._problem("stray files", str(path))
        journal = self._system.state / "journal"
        for path in journal.glob("*") if journal.is_dir() else ():
            if path.name != "lock":
                self._problem("stray files", str(path))

    def _judge_git(self) -> None:
        if said := _git(self._system.vault, "fsck", "--no-dangling", "--no-progress", failing=True):
            self._problem("git", said)
        empty = _git(self._system.vault, "log", "--format=commit %H", "--name-only").strip().split("commit ")
        for each in empty[1:]:
            if len(each.split()) < 2:
                self._problem("effects doubled", f"the commit {each.strip()} is of nothing")

    def _judge_events(self, poison: Counter[tuple[str, str]]) -> None:
        dead = self._state.bus.dead_letters(limit=1000)
        letters = Counter((each.message.body, each.queue) for each in dead)
        errors = {(each.message.body, each.queue): each.error for each in dead}
        for letter, count in (letters - poison).items():
            self._problem("dead letters", f"{count} of {letter[1]}: {errors[letter]}: {letter[0][:300]}")
        for letter, count in (poison - letters).items():
            self._problem("dead letters", f"missing {count} of {letter}")
        with self._state.runtime.database.read() as work:
            rows = work.session.execute(select(event.c.type, event.c.body).order_by(event.c.sequence)).all()
        last: dict[str, str] = {}
        seen: set[str] = set()
        for type_, body in rows:
            told = json.loads(body)
            if told["id"] in seen or type_ not in {"vault.file.created", "vault.file.updated"}:
                continue
            seen.add(told["id"])
            data = told["data"]
            if last.get(data["path"]) == data["etag"]:
                self._problem("effects doubled", f"{type_} was announced twice: {data}")
            last[data["path"]] = data["etag"]

    def _judge_rows(self) -> None:
        with self._state.runtime.database.read() as work:
            known = {row.path: row.etag for row in work.session.execute(text("SELECT path, etag FROM file"))}
        there = {
            path.relative_to(self._system.vault).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self._system.vault.rglob("*")
            if path.is_file() and not _HIDDEN.search(path.relative_to(self._system.vault).as_posix())
        }
        for path in sorted(known.keys() | there.keys()):
            if known.get(path) != there.get(path):
                self._problem("rows of files", f"{path}: {known.get(path)} is known, {there.get(path)} is there")
        before = self._dumped()
        _run("reindex", system=self._system)
        after = self._dumped()
        for part, rows in before.items():
            for row in _difference(rows, after[part]):
                self._problem("differs from a fresh rebuild", f"{part}: {row}")

    def _dumped(self) -> dict[str, list[Any]]:
        database = self._state.runtime.database
        tasks = "SELECT id, note_path, line, text, status, deleted, pending_edit FROM task"
        with database.read() as work:
            rows = sorted(map(tuple, work.session.execute(text(tasks))), key=repr)
        held = dump(database)
        # The same text may be compressed in more than one way.
        held["content"] = sorted((path, text_of(content)) for path, content in held["content"])
        return {**held, "tasks": rows}


def _known(noted: list[Entry], kind: str) -> tuple[set[str], set[str]]:
    """The marks that were acknowledged, and those that nobody knows of."""
    of_kind = [each for each in noted if each.kind == kind]
    acknowledged = {each.mark for each in of_kind if each.outcome == "acknowledged"}
    return acknowledged, {each.mark for each in of_kind if each.outcome == "unknown"} - acknowledged


def _difference(before: list[Any], after: list[Any]) -> list[str]:
    kept, fresh = Counter(map(repr, before)), Counter(map(repr, after))
    return [f"kept only: {row[:300]}" for row in (kept - fresh)] + [
        f"fresh only: {row[:300]}" for row in (fresh - kept)
    ]


def _git(vault: Path, *arguments: str, failing: bool = False) -> str:
    done = subprocess.run(["git", "-C", str(vault), *arguments], capture_output=True, text=True, check=False)
    if failing and done.returncode == 0:
        return ""
    return done.stdout + done.stderr


def _run(*arguments: str, system: System) -> None:
    command = [str(Path(sys.executable).with_name("weave")), *arguments]
    done = subprocess.run(
        command, env=system.environment(direct=True), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
