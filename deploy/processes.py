"""Processes that are watched: what they write is prefixed with their name, and who dies is started again."""

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
STOP_SECONDS = 30.0

_writing = threading.Lock()


def say(name: str, line: str, *, width: int = 8) -> None:
    """Write one line for `name`; lines of several processes never mix."""
    with _writing:
        sys.stdout.write(f"{name:<{width}} | {line.rstrip()}\n")
        sys.stdout.flush()


class Watched:
    """One process, started again when it ends by itself, after a pause that grows while it ends soon each time."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._stopping = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def start(self) -> None:
        """Start it; returns at once."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Have it finish what is under way and end."""
        self._stopping.set()
        if (process := self._process) is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = STOP_SECONDS) -> None:
        """Wait until it has ended, and end it by force if that takes longer."""
        self._thread.join(seconds)
        if self._thread.is_alive() and (process := self._process) is not None:
            say(self.name, f"has not ended in {seconds:.0f} s, and is killed")
            process.kill()
            self._thread.join()

    def _run(self) -> None:
        pause_seconds = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            began = time.monotonic()
            code = self._run_once()
            if self._stopping.is_set():
                return
            pause_seconds = FIRST_PAUSE_SECONDS if time.monotonic() - began > STEADY_SECONDS else pause_seconds
            say(self.name, f"ended with {_described(code)}; starting again in {pause_seconds:.1f} s")
            self._stopping.wait(pause_seconds)
            pause_seconds = min(LONGEST_PAUSE_SECONDS, 2 * pause_seconds)

    def _run_once(self) -> int:
        # In a session of its own, so that Ctrl-C reaches this program alone, which then ends all in order.
        with subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            start_new_session=True,
        ) as process:
            self._process = process
            if self._stopping.is_set():
                process.send_signal(signal.SIGTERM)
            for line in process.stdout or ():
                say(self.name, line)
        return process.returncode


def stop_all(watched: Sequence[Watched]) -> None:
    """Ask all to stop, the last begun first, and wait for them."""
    for each in reversed(watched):
        each.ask_to_stop()
    for each in reversed(watched):
        each.wait()


def until(condition: Callable[[], bool], seconds: float, pause: threading.Event) -> bool:
    """Whether it came to pass in time; setting `pause` ends the waiting."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline or pause.wait(0.2):
            return False
    return True


def _described(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
