"""`make up-services`: what `docker compose --profile extracted up` starts, as plain processes on this machine.

The processes and their ports are those of docker-compose.yml. DATABASE_URL, RABBITMQ_URL and REDIS_URL name servers
that run already; the others are started here, from the packages that the tests use, and keep what they hold below
`.weave`. Ctrl-C ends everything in order.
"""

import argparse
import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType

from deploy.description import Part, parts
from deploy.processes import Watched, say, stop_all, until
from postgres import OwnPostgres
from rabbitmq import NoBroker, Node
from redis_server import OwnRedis

ROOT = Path(__file__).parents[1]
READY_SECONDS = 180.0
_CONTAINER_PORTS = 8000


class Failed(Exception):
    """It cannot be started; the message says why."""


def main() -> int:
    """Start everything and wait for Ctrl-C; the exit code."""
    asked = argparse.ArgumentParser(prog="make up-services", description=__doc__)
    asked.add_argument("vault", type=Path, help="the folder of notes")
    asked.add_argument("--port", type=int, default=_CONTAINER_PORTS, help="the first port, of the whole process")
    asked.add_argument("--state", type=Path, help="where state is kept")
    options = asked.parse_args()
    vault = options.vault.resolve()
    state = (options.state or ROOT / ".weave" / "services" / vault.name).resolve()
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with contextlib.ExitStack() as stack:
        try:
            environment = _environment(vault, state) | _servers(state, stack)
            _run(environment, options.port, stopping)
        except Failed as error:
            say("services", f"failed: {error}")
            return 1
    say("services", "everything has ended")
    return 0


def _run(environment: dict[str, str], first_port: int, stopping: threading.Event) -> None:
    offset = first_port - _CONTAINER_PORTS
    described = parts()
    addresses = {part.name: f"http://127.0.0.1:{part.port + offset}" for part in described}
    for name in ("files", "git", "tasks", "sync"):
        environment[f"WEAVE_{name.upper()}_URL"] = addresses[name]
    watched = [_watched(part, environment, offset) for part in described]
    started: list[Watched] = []
    try:
        # The first one brings the schema up, which the others would only wait for.
        for group in (watched[:1], watched[1:]):
            for each in group:
                each.start()
                started.append(each)
            for each in group:
                if not until(functools.partial(_ready, addresses[each.name]), READY_SECONDS, stopping):
                    if stopping.is_set():
                        return
                    raise Failed(f"{each.name} is not ready after {READY_SECONDS:.0f} s; its lines above say why.")
        _show(watched, addresses, environment)
        stopping.wait()
    finally:
        say("services", "stopping")
        stop_all(started)


def _watched(part: Part, environment: dict[str, str], offset: int) -> Watched:
    command = [str(Path(sys.executable).with_name("weave")), *part.arguments]
    return Watched(part.name, command, environment | {"WEAVE_PORT": str(part.port + offset)})


def _environment(vault: Path, state: Path) -> dict[str, str]:
    return os.environ | {
        "WEAVE_VAULT": str(vault),
        "WEAVE_DATA_DIR": str(state / "state"),
        "WEAVE_HOST": "127.0.0.1",
        "PYTHONUNBUFFERED": "1",
    }


def _servers(state: Path, stack: contextlib.ExitStack) -> dict[str, str]:
    """The three servers: those that are named, else our own, which end with `stack`."""
    found = {name: os.environ.get(name, "") for name in ("DATABASE_URL", "RABBITMQ_URL", "REDIS_URL")}
    try:
        if not found["DATABASE_URL"]:
            postgres = OwnPostgres(_folder(state / "postgres"), durable=True)
            postgres.start()
            stack.callback(postgres.stop)
            url = postgres.url.set(drivername="postgresql")
            found["DATABASE_URL"] = url.render_as_string(hide_password=False)
        if not found["REDIS_URL"]:
            redis = OwnRedis(_folder(state / "valkey"))
            redis.start()
            stack.callback(redis.stop)
            found["REDIS_URL"] = redis.url
        if not found["RABBITMQ_URL"]:
            found["RABBITMQ_URL"] = _broker(_folder(state / "rabbitmq"), stack)
    except (OSError, ImportError, NoBroker, subprocess.SubprocessError) as error:
        raise Failed(
            f"a server cannot be started ({error}); name one with DATABASE_URL, RABBITMQ_URL or REDIS_URL."
        ) from error
    return found


def _broker(folder: Path, stack: contextlib.ExitStack) -> str:
    # Written anew, and not for writing by anybody.
    (folder / ".erlang.cookie").unlink(missing_ok=True)
    broker = Node(folder)
    # What a node keeps is kept under its name.
    broker.name = "weave@localhost"
    stack.callback(broker.end_mapper)
    stack.callback(broker.stop)
    broker.start()
    return broker.url


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _ready(address: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{address}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _show(watched: list[Watched], addresses: dict[str, str], environment: dict[str, str]) -> None:
    rows = [("process", "address", "pid"), *((each.name, addresses[each.name], str(each.pid)) for each in watched)]
    rows += [(name, _without_secrets(environment[name]), "") for name in ("DATABASE_URL", "RABBITMQ_URL", "REDIS_URL")]
    for row in rows:
        say("services", f"{row[0]:<14}{row[1]:<48}{row[2]}")
    say("services", f"{'API key':<14}{environment['WEAVE_DATA_DIR']}/api-key")
    say("services", "all are ready; Ctrl-C ends them")


def _without_secrets(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


if __name__ == "__main__":
    sys.exit(main())
