"""`weave extract`: the beginning of a rollout, with everything that must hold before."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weave_nn.entrypoints.cli.gateway.options import DataDirOption, Opened, ServiceArgument, VaultOption, opened, who
from weave_nn.entrypoints.cli.options import JsonOption
from weave_nn.entrypoints.cli.output import print_json, wants_json

if TYPE_CHECKING:
    import subprocess

START_SECONDS = 60.0
LOOK_SECONDS = 0.1
DRAIN_SECONDS = "3"


def extract(
    service: ServiceArgument,
    *,
    candidate: Annotated[
        str | None, typer.Option(help="Where the service runs already. Default: it is started on this machine.")
    ] = None,
    soak: Annotated[float, typer.Option(help="Seconds that each step lasts at least.")] = 300.0,
    samples: Annotated[int, typer.Option(help="Requests that each step must have seen at least.")] = 20,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A path in answers that may differ, such as '$.items[*].seen_at'.")
    ] = None,
    why: Annotated[str, typer.Option(help="Why; it is kept in the history.")] = "",
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Begin to take a service out of the monolith.

    Starts the service beside it and the gateway before it where they do not run yet, checks that the service can take
    over, and plans the rollout. No user is moved.

    \b
    weave extract tasks
    weave extract tasks --candidate http://10.0.0.7:8003
    """
    from weave_nn.gateway.comparing.answers import pattern
    from weave_nn.gateway.places import known_service
    from weave_nn.gateway.rollout import Policy

    known_service(service)
    for each in ignore or ():
        pattern(each)
    policy = Policy(soak_seconds=soak, minimum_samples=samples, ignore=tuple(ignore or ()))
    with opened(vault=vault, data_dir=data_dir) as here:
        in_json = wants_json(chosen=as_json)
        where = _prepared(here, service, candidate, quiet=in_json)
        monolith = here.settings.monolith_url
        planned = here.rollouts.plan(service, candidate=where, monolith=monolith, policy=policy, who=who(), why=why)
        here.await_served()
        if in_json:
            from weave_nn.entrypoints.cli.gateway.showing import described

            print_json(described(planned))
            return
        typer.echo(f"The rollout of {service} is planned: from {planned.stable} to {planned.candidate}.")
        typer.echo(f"Begin with `weave rollout {service} --shadow 10`, or let it go by itself with --auto.")


def _prepared(here: Opened, service: str, candidate: str | None, *, quiet: bool) -> str:
    """The candidate's address, once it has passed the checklist and a gateway serves; starts what does not run."""
    from weave_nn.entrypoints.following import front_door
    from weave_nn.gateway import checklist
    from weave_nn.gateway.envoy.process import find

    here.rollouts.require_none_under_way(service)
    if not here.rollouts.nodes():
        # Found missing before anything is started.
        find(here.settings.envoy)
    where = candidate or _started_service(here, service, quiet=quiet)
    # Before there is a gateway, the monolith is at the front door still.
    behind = bool(here.rollouts.nodes())
    home = (
        here.rollouts.home(service, here.settings.monolith_url)
        if behind
        else front_door(here.settings.host, here.settings.port)
    )
    items = checklist.check(service, home, where, here.instance.api_key.get_secret_value())
    if not quiet:
        for item in items:
            typer.echo(f"  {'ok    ' if item.ok else 'FAILED'}  {item.what}: {item.found}")
    checklist.require(items)
    if not behind:
        _start_gateway(here, quiet=quiet)
    return where


def _started_service(here: Opened, service: str, *, quiet: bool) -> str:
    """The address of the service, which is started where it does not answer yet."""
    from weave_nn.gateway.places import PORTS
    from weave_nn.gateway.places import address as place_of

    address = str(getattr(here.settings, f"{service}_url", f"http://127.0.0.1:{PORTS[service]}"))
    if _answers(address):
        return address
    _, port = place_of(address)
    log = here.instance.data_dir / f"{service}.log"
    # Behind a gateway a service that stops must be noticed before it stops.
    process = _start(
        here,
        log,
        ["serve", service, "--port", str(port)],
        quiet=quiet,
        WEAVE_DRAIN_SECONDS=DRAIN_SECONDS,
        # The gateway says whom it calls for; else all users would share its address, and its limit.
        WEAVE_TRUSTED_PROXIES="127.0.0.1",
    )
    _await(lambda: _answers(address), process, f"The {service} service did not become ready", log)
    return address


def _start_gateway(here: Opened, *, quiet: bool) -> None:
    log = here.instance.data_dir / "gateway.log"
    process = _start(here, log, ["gateway"], quiet=quiet)
    _await(
        lambda: bool(here.rollouts.nodes()) and _answers(here.settings.monolith_url),
        process,
        "The gateway did not begin to serve",
        log,
    )


def _start(
    here: Opened, log: Path, arguments: list[str], *, quiet: bool, **environment: str
) -> "subprocess.Popen[bytes]":
    """Start a command of ours that goes on when this one has ended."""
    import subprocess

    known = {
        "WEAVE_VAULT": str(here.instance.vault),
        "WEAVE_DATA_DIR": str(here.instance.data_dir),
        "WEAVE_VAULT_ID": here.instance.vault_id,
        "DATABASE_URL": here.instance.database_url,
    }
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [Path(sys.executable).with_name("weave"), *arguments],
            env={**environment, **os.environ, **known},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    if not quiet:
        typer.echo(f"Started `weave {' '.join(arguments)}` as process {process.pid}; it logs to {log}.")
    return process


def _await(condition: Callable[[], bool], process: "subprocess.Popen[bytes]", failure: str, log: Path) -> None:
    from weave_nn.shared.errors import Unavailable

    deadline = time.monotonic() + START_SECONDS
    while not condition():
        if process.poll() is not None:
            raise Unavailable(f"{failure}: it ended with code {process.returncode}.", hint=f"See {log}.")
        if time.monotonic() > deadline:
            raise Unavailable(f"{failure} within {START_SECONDS:g} seconds.", hint=f"See {log}.")
        time.sleep(LOOK_SECONDS)


def _answers(address: str) -> bool:
    from weave_nn.entrypoints.cli.running import ask

    answer = ask(address, "/ready")
    return answer is not None and answer.status == 200
