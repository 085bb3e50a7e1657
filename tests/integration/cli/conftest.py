import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

WEAVE = str(Path(sys.executable).with_name("weave"))
ANSWER_SECONDS = 60

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Running:
    """A started `weave up` and what it has printed; `stop` sends a signal and returns the exit code."""

    process: "subprocess.Popen[str]"
    banner: str

    @property
    def address(self) -> str:
        found = re.search(r"http://[0-9.]+:\d+", self.banner)
        assert found, self.banner
        return found[0]

    def stop(self, sent: signal.Signals) -> int:
        self.process.send_signal(sent)
        return self.process.wait(ANSWER_SECONDS)


Up = Callable[..., AbstractContextManager[Running]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user who has set nothing, with a home of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WEAVE_", "DATABASE_URL"))}
    return kept | {"HOME": str(tmp_path / "home"), "XDG_DATA_HOME": str(tmp_path / "user-data")}


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    folder = tmp_path / "Notes"
    folder.mkdir()
    (folder / "Hello.md").write_text("# Hello\n", encoding="utf-8")
    return folder


@pytest.fixture
def weave(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Run `weave` to its end, as a script would."""

    def run(*arguments: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [WEAVE, *map(str, arguments)],
            cwd=tmp_path,
            env=environment | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )

    return run


@pytest.fixture
def up(tmp_path: Path, environment: dict[str, str]) -> Up:
    """Start `weave up` and wait until it has told that it serves."""

    @contextmanager
    def start(*arguments: str | Path) -> Iterator[Running]:
        command = [WEAVE, "up", "--port", "0", *map(str, arguments)]
        errors = tmp_path / "up.stderr"
        with (
            errors.open("w", encoding="utf-8") as stderr,
            subprocess.Popen(
                command,
                cwd=tmp_path,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            ) as process,
        ):
            try:
                yield Running(process, _banner(process, errors))
            finally:
                process.kill()

    return start


def _banner(process: "subprocess.Popen[str]", errors: Path) -> str:
    assert process.stdout is not None
    printed = ""
    deadline = time.monotonic() + ANSWER_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while "Stop with Ctrl-C" not in printed:
            ready = selector.select(deadline - time.monotonic())
            piece = os.read(process.stdout.fileno(), 65536).decode() if ready else ""
            assert piece, f"weave up said {printed!r} and {errors.read_text(encoding='utf-8')!r}"
            printed += piece
    return printed
