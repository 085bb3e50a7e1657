"""Faults of the whole system, rehearsed: `make rehearse-faults`.

All services as processes of their own, on a PostgreSQL, a RabbitMQ and a Redis that nobody else uses. Clients write,
move, complete and search all the time, and a ledger outside of everything keeps what they were told. Processes are
killed, servers stopped, networks cut and slowed, disks filled, clocks moved, handlers of events fail; the seed decides
about the order and the moments. When that is over, all has to come right by itself, and is compared with the ledger.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rehearsal.faults.asking import Asker
from rehearsal.faults.disturbing import Fault, Faults, last
from rehearsal.faults.judging import Judge, opened, position, unsettled
from rehearsal.faults.ledger import Ledger, entries, outcomes
from rehearsal.faults.load import load
from rehearsal.faults.system import LARGE, SMALL, NoServer, System

SETTLE_SECONDS = 240.0
NOTES = 60
NO_SERVER = 3
"""The exit code where the rehearsal cannot be had on this machine."""

VAULT_VARIABLE = "WEAVE_BENCH_VAULT"


@dataclass(frozen=True, slots=True)
class Size:
    """How large the rehearsal is; `vault` is copied, without one some notes are made.

    Every process is killed once, and `at_once` times three of them together; `cuts` networks are cut, as many slowed
    and as many silent.
    After so many of the faults in a hundred as `patience` says, the next one waits until all is ready again.
    """

    processes: Mapping[str, tuple[str, ...]]
    outage_seconds: float
    at_once: int
    cuts: int
    patience: int
    vault: Path | None = None


SHORT = Size(SMALL, 5.0, 0, 1, 0)
LONG = Size(LARGE, 30.0, 2, 3, 30)


@dataclass
class Row:
    """What one kind of fault came to."""

    times: int = 0
    seconds: float = 0.0
    recovered_seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    not_ready: set[str] = field(default_factory=set)
    skipped: str = ""


@dataclass
class Result:
    """What all of it came to; `problems` is empty when everything held."""

    seed: int
    rows: dict[str, Row] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    settled_seconds: float = 0.0
    ended_by_themselves: dict[str, int] = field(default_factory=dict)
    kills: int = 0
    temporary_files: int = 0
    problems: dict[str, list[str]] = field(default_factory=dict)


def rehearse(folder: Path, size: Size, seed: int, say: Callable[[str], None]) -> Result:
    """All of it, in a new `folder`; nothing runs afterwards."""
    choose = random.Random(seed)  # noqa: S311 - no secret
    result = Result(seed)
    vault_bytes = sum(each.stat().st_size for each in size.vault.rglob("*") if each.is_file()) if size.vault else 0
    with System(folder, size.processes, vault_bytes=vault_bytes) as system:
        _fill(system, size.vault)
        system.start()
        say(f"{len(system.kept)} processes are ready")
        since = position(system)
        ledger, asker = Ledger(folder / "ledger"), Asker(system)
        faults = Faults(system, choose, size.outage_seconds, at_once=size.at_once, cuts=size.cuts)
        stopping = threading.Event()
        with load(asker, ledger, seed, system):
            stopping.wait(3)
            planned = faults.all()
            # Handlers of events fail throughout the first half.
            system.failing_file.touch()
            for number, fault in enumerate(planned):
                if number == len(planned) // 2:
                    system.failing_file.unlink()
                _disturb(system, asker, fault, result, say, patient=choose.randrange(100) < size.patience)
                stopping.wait(choose.uniform(0, 1))
            asker.phase = "afterwards"
            system.wait_ready(*system.kept)
        ledger.close()
        _settle_and_judge(system, faults, result, say, ledger=ledger.file, since=since)
        if asker.odd:
            result.problems["internal errors"] = asker.odd
        # One answer of each kind, for whoever wants to know what clients see.
        (folder / "answers").write_text("\n".join(f"{when}: {said}" for when, said in asker.examples.items()))
        for phase, statuses in asker.statuses.items():
            result.rows.setdefault(phase, Row()).statuses += statuses
        result.outcomes = outcomes(entries(ledger.file))
        result.ended_by_themselves = {
            each.name: each.ended_by_itself for each in system.kept.values() if each.ended_by_itself
        }
        result.kills = sum(each.killed for each in system.kept.values())
    return result


def _settle_and_judge(
    system: System, faults: Faults, result: Result, say: Callable[[str], None], *, ledger: Path, since: int
) -> None:
    with opened(system) as state:
        began = time.monotonic()
        while (open_still := unsettled(state, system, since)) and time.monotonic() - began < SETTLE_SECONDS:
            threading.Event().wait(0.5)
        result.settled_seconds = time.monotonic() - began
        if open_still:
            result.problems["not settled"] = [open_still]
        say(f"settled after {result.settled_seconds:.1f} s: {open_still or 'nothing is open'}")
        codes = system.stop()
        judge = Judge(system, state, ledger)
        result.problems |= judge.judge(faults.poison)
        result.temporary_files = judge.left
    if bad := {name: code for name, code in codes.items() if code}:
        result.problems["exit codes"] = [str(bad)]


def _disturb(
    system: System, asker: Asker, fault: Fault, result: Result, say: Callable[[str], None], *, patient: bool
) -> None:
    row = result.rows.setdefault(fault.name, Row())
    if fault.needs:
        row.skipped = fault.needs
        say(f"SKIPPED {fault.name}: {fault.needs}")
        return
    asker.phase = fault.name
    began = time.monotonic()
    last(fault, lambda: row.not_ready.update(_not_ready(system)))
    row.times += 1
    row.seconds += time.monotonic() - began
    ended = time.monotonic()
    if not patient:
        say(f"{fault.name}: lasted {ended - began:.1f} s")
        return
    system.wait_ready(*system.kept)
    recovered = time.monotonic() - ended
    row.recovered_seconds = max(row.recovered_seconds, recovered)
    say(f"{fault.name}: lasted {ended - began:.1f} s, all ready {recovered:.1f} s later")


def _not_ready(system: System) -> set[str]:
    """What /ready says of whoever is not, such as `tasks: bus`; `tasks: -` where nobody answers."""
    said = {name.partition("-")[0]: system.ask_ready(name) for name in system.kept}
    failed: set[str] = set()
    for name, (status, body) in said.items():
        if status == 503:
            failed |= {f"{name}: {check['name']}" for check in json.loads(body)["checks"] if check["status"] != "ok"}
        elif status != 200:
            failed.add(f"{name}: -")
    return failed


def _fill(system: System, vault: Path | None) -> None:
    if vault is not None:
        shutil.copytree(vault, system.vault, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git"))
    else:
        for number in range(NOTES):
            links = " ".join(f"[[Note {(number * each) % NOTES}]]" for each in (3, 7))
            (system.vault / f"Note {number}.md").write_text(
                f"# Note {number}\n\n{links} #made\n\n- [ ] think of {number}\n"
            )
    for command in (("init", "-q"), ("config", "user.name", "Rehearsal"), ("config", "user.email", "r@example.org")):
        subprocess.run(["git", "-C", str(system.vault), *command], check=True)


def table(result: Result) -> str:
    """The result for people."""
    lines = [f"{'fault':<24} {'times':>5} {'seconds':>8} {'ready after':>12}  answers meanwhile"]
    for name, row in result.rows.items():
        answers = row.skipped and f"SKIPPED: {row.skipped}"
        answers = answers or ", ".join(f"{count} of {status}" for status, count in sorted(row.statuses.items()))
        waited = f"{row.recovered_seconds:.1f} s" if row.recovered_seconds else "-"
        lines.append(f"{name:<24} {row.times or '-':>5} {row.seconds:>8.1f} {waited:>12}  {answers}")
        if row.not_ready:
            lines.append(f"{'':<24} not ready at its end: {', '.join(sorted(row.not_ready))}")
    ends = ", ".join(f"{count} {name}" for name, count in sorted(result.outcomes.items()))
    lines += [
        "",
        f"seed {result.seed}: writes: {ends}; {result.kills} kills; settled in {result.settled_seconds:.1f} s",
    ]
    lines.append(f"ended by themselves, and started again: {result.ended_by_themselves or 'none'}")
    lines.append(f"temporary files of killed processes, removed when looked for: {result.temporary_files}")
    checked = (
        "acknowledged writes lost", "effects doubled", "refused writes made", "links not rewritten", "stray files",
        "git", "dead letters", "rows of files", "differs from a fresh rebuild", "internal errors", "exit codes",
        "not settled",
    )  # fmt: skip
    lines += [f"{name:<30} {len(result.problems.get(name, []))}" for name in checked]
    for name, problems in result.problems.items():
        lines += [f"  {name}: {problem}" for problem in problems[:10]]
    return "\n".join(lines)


def main() -> int:
    """Run it, print the table; the exit code is 1 if anything did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--short", action="store_true", help="as in the tests: outages of 5 seconds, everything once")
    parser.add_argument(
        "--vault", type=Path, default=os.environ.get(VAULT_VARIABLE), help="a folder of notes that is copied"
    )
    parser.add_argument("--keep", type=Path, help="a new folder that is kept, with all logs")
    chosen = parser.parse_args()
    size = SHORT if chosen.short else LONG
    size = replace(size, vault=chosen.vault)
    # Whoever is told to end takes all processes along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = chosen.keep or Path(tempfile.mkdtemp(prefix="weave-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {line}", flush=True)  # noqa: T201 - a command

    try:
        result = rehearse(folder, size, chosen.seed, say)
    except NoServer as error:
        say(str(error))
        return NO_SERVER
    finally:
        if chosen.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print("", table(result), sep="\n")  # noqa: T201 - a command
    return int(bool(result.problems))


if __name__ == "__main__":
    sys.exit(main())
