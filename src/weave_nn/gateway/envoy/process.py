"""The Envoy process: finding it, starting it on a folder of files, and ending it."""

import contextlib
import json
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


class EnvoyProcess:
    """One Envoy on one folder of files.

    One that already runs on this folder is taken over: a control plane that was killed and comes again finds its Envoy
    serving, and nothing is interrupted.
    """

    def __init__(self, program: Path, folder: Path, *, admin_port: int, workers: int) -> None:
        self._program = program
        self._folder = folder
        self.workers = workers
        self.admin = EnvoyAdmin(admin_port)
        self._process: subprocess.Popen[bytes] | None = None
        self._adopted = False

    @property
    def pid(self) -> int | None:
        """The id of the process that was started here."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, and return when it serves. Raises `Unavailable` when it ended or did not get ready."""
        self._adopted = False
        if self._taken_over():
            return
        self._process = subprocess.Popen(  # noqa: S603 - the program is ours to choose
            [
                self._program, "-c", self._boot, "--concurrency", str(self.workers),
                "--use-dynamic-base-id", "-l", "warning", "--drain-time-s", "5", "--parent-shutdown-time-s", "10",
            ],
            stdin=subprocess.DEVNULL,
            # Ctrl-C is for the control plane, which ends Envoy in its own time.
            start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while not self.admin.ready():
            if self._process.poll() is not None:
                raise Unavailable(f"Envoy ended with {self._process.returncode} at its start; its log says why.")
            if time.monotonic() > deadline:
                self.stop()
                raise Unavailable(f"Envoy was not ready within {_START_SECONDS:g} seconds.")
            time.sleep(_LOOK_SECONDS)

    def ended(self) -> int | None:
        """The exit code, if it has ended by itself; -1 where that cannot be known."""
        if self._process is not None:
            return self._process.poll()
        return -1 if self._adopted and not self.admin.ready() else None

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
        if self._process is None:
            if self._adopted:
                with contextlib.suppress(Unavailable):
                    self.admin.post("/quitquitquit")
            self._adopted = False
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

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
        self._adopted = True
        return True
