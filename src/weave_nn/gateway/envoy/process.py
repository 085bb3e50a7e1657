"""The Envoy process: finding it, starting it on a folder of files, and ending it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from importlib.util import find_spec
from pathlib import Path

from weave_nn.gateway.envoy.admin import EnvoyAdmin
from weave_nn.shared.errors import Unavailable

_START_SECONDS = 30.0
_LOOK_SECONDS = 0.02
_PID_FILE = "envoy.pid"


class EnvoyMissing(Unavailable):
    """No Envoy is installed."""

    code = "envoy_missing"
    title = "Envoy is not installed"


class ConfigurationRefused(Unavailable):
    """Envoy does not take the configuration; what it had stays in force."""

    code = "configuration_refused"
    title = "Configuration refused"


def find(named: str | None = None) -> Path:
    """The program: `named`, else the one of the extra, else the one on the path. Raises `EnvoyMissing`."""
    if named:
        found = shutil.which(named)
        if found is None:
            raise EnvoyMissing(f"WEAVE_ENVOY names {named!r}, which is no program.", hint="Give the path of Envoy.")
        return Path(found)
    package = find_spec("envoy")
    for place in package.submodule_search_locations or () if package else ():
        program = Path(place) / "_bin" / ("envoy.exe" if sys.platform == "win32" else "envoy")
        if program.exists():
            return program
    on_path = shutil.which("envoy", path=sysconfig.get_path("scripts")) or shutil.which("envoy")
    if on_path is None:
        raise EnvoyMissing(
            "The gateway's data plane is Envoy, which is not installed.",
            hint="Install the extra: pip install 'weave-nn[gateway]', or name an Envoy from 1.36 on in WEAVE_ENVOY.",
        )
    return Path(on_path)


def validate(program: Path, document: Path) -> None:
    """Have Envoy look through a configuration. Raises `ConfigurationRefused` with its reason."""
    done = subprocess.run(  # noqa: S603 - the program is ours to choose
        [program, "--mode", "validate", "-c", document, "-l", "critical"],
        capture_output=True,
        text=True,
        timeout=_START_SECONDS,
        check=False,
    )
    if done.returncode:
        raise ConfigurationRefused(f"Envoy refuses {document}: {(done.stderr or done.stdout).strip()}")


_LAUNCH = 'umask 077; (while kill -0 "$$" 2>/dev/null; do sleep 0.01; done; exec "$0" "$@") >&2 & echo $!'
"""Begins Envoy only when nobody of ours is its parent any more: it ends itself when the thread that began it ends."""


class EnvoyProcess:
    """One Envoy on one folder of files, which outlives whoever started it.

    A control plane that was killed and comes again finds its Envoy serving, and takes it over: nothing is interrupted.
    """

    def __init__(self, program: Path, folder: Path, *, admin_port: int, workers: int) -> None:
        self._program = program
        self._folder = folder
        self.workers = workers
        self.admin = EnvoyAdmin(admin_port)
        self.pid: int | None = None

    def start(self) -> None:
        """Start it, and return when it serves. Raises `Unavailable` when it ended or did not get ready."""
        if self._taken_over():
            return
        self.pid = self._launched()
        (self._folder / _PID_FILE).write_text(f"{self.pid}\n", encoding="ascii")
        deadline = time.monotonic() + _START_SECONDS
        while not self.admin.ready():
            if self.ended():
                raise Unavailable("Envoy ended at its start; its log says why.")
            if time.monotonic() > deadline:
                self.stop()
                raise Unavailable(f"Envoy was not ready within {_START_SECONDS:g} seconds.")
            time.sleep(_LOOK_SECONDS)

    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self.pid is not None and not _lives(self.pid)

    def drain(self, seconds: float = 5.0) -> None:
        """Take no more connections, and wait until those that there are have ended, for `seconds` at most."""
        deadline = time.monotonic() + seconds
        try:
            self.admin.post("/healthcheck/fail")
            self.admin.post("/drain_listeners?graceful&skip_exit")
            while time.monotonic() < deadline and self._busy():
                time.sleep(_LOOK_SECONDS)
        except Unavailable:
            return

    def stop(self, seconds: float = 5.0) -> None:
        """End it: by request, and after `seconds` by force."""
        self.admin.close()
        if self.pid is None:
            return
        for sent in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sent)
            deadline = time.monotonic() + seconds
            while _lives(self.pid) and time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)
        self.pid = None
        (self._folder / _PID_FILE).unlink(missing_ok=True)

    @property
    def _boot(self) -> str:
        return str(self._folder / "boot.json")

    def _busy(self) -> bool:
        return any(int(count) for count in self.admin.texts(r"^http\.front\.downstream_rq_active$").values())

    def _taken_over(self) -> bool:
        if not self.admin.ready():
            return False
        running = json.loads(self.admin.get("/server_info"))["command_line_options"].get("config_path")
        if running != self._boot:
            raise Unavailable(
                f"Another Envoy answers on the admin port, with {running}.",
                hint="Stop it, or choose another port with WEAVE_GATEWAY_ADMIN_PORT.",
            )
        try:
            self.pid = int((self._folder / _PID_FILE).read_text(encoding="ascii"))
        except (OSError, ValueError) as error:
            raise Unavailable(
                f"Envoy serves {self._boot} already, and {self._folder / _PID_FILE} does not say as which process.",
                hint="End that Envoy, and start the gateway again.",
            ) from error
        return True

    def _launched(self) -> int:
        started = subprocess.run(  # noqa: S603 - the program is ours to choose
            [
                "/bin/sh", "-c", _LAUNCH, self._program, "-c", self._boot, "--concurrency", str(self.workers),
                "--use-dynamic-base-id", "--reject-unknown-dynamic-fields", "-l", "warning",
                "--drain-time-s", "5", "--parent-shutdown-time-s", "10",
            ],
            stdin=subprocess.DEVNULL,
            # Ctrl-C is for the control plane, which ends Envoy in its own time.
            start_new_session=True,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )  # fmt: skip
        return int(started.stdout)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        # What has ended and was not waited for is there still, as a name.
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return not Path("/proc/self").exists()
