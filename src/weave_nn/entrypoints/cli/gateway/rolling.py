"""`weave rollout`, `weave rollback`, `weave complete`: a rollout's steps."""

from typing import TYPE_CHECKING, Annotated

import typer

from weave_nn.entrypoints.cli.gateway import showing
from weave_nn.entrypoints.cli.gateway.options import (
    DataDirOption,
    ForceOption,
    Opened,
    ServiceArgument,
    VaultOption,
    WhyOption,
    opened,
    who,
)
from weave_nn.entrypoints.cli.options import JsonOption

if TYPE_CHECKING:
    from weave_nn.gateway.rollout import Rollout

_PERCENT = {"min": 0, "max": 100}


def rollout(
    service: Annotated[str, typer.Argument(help="The service, such as tasks; or `status`, for all that there are.")],
    about: Annotated[str | None, typer.Argument(help="With `status`: this service alone.", show_default=False)] = None,
    *,
    shadow: Annotated[int | None, typer.Option(help="Mirror this percentage of the GETs to the comparer.")] = None,
    to: Annotated[int | None, typer.Option(help="Give the candidate this percentage of the users.")] = None,
    auto: Annotated[
        bool | None, typer.Option("--auto/--by-hand", help="Go up by itself, one guarded step after each soak.")
    ] = None,
    soak: Annotated[float | None, typer.Option(help="With --auto: seconds that each step lasts at least.")] = None,
    pause: Annotated[bool, typer.Option("--pause", help="Keep the split as it is.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after a pause.")] = False,
    mismatches: Annotated[bool, typer.Option("--mismatches", help="Show what the comparer found.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="With `status`: go on until Ctrl-C.")] = False,
    force: ForceOption = False,
    why: WhyOption = "",
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Take a step of a rollout, or show how it goes.

    \b
    weave rollout tasks --shadow 5
    weave rollout tasks --to 10
    weave rollout tasks --auto --soak 300
    weave rollout status
    """
    asked = [shadow is not None, to is not None, auto is not None, pause, resume]
    if service == "status" or not any(asked):
        if any(asked):
            raise typer.BadParameter("name the service before its options, as in `weave rollout tasks --to 10`")
        name = about if service == "status" else service
        showing.show(name, vault=vault, data_dir=data_dir, as_json=as_json, follow=follow, mismatches=mismatches)
        return
    if sum(asked) > 1:
        raise typer.BadParameter("one step at a time: --shadow, --to, --auto, --pause or --resume")
    if soak is not None and not auto:
        raise typer.BadParameter("--soak goes with --auto; a rollout's own soak is said to `weave extract`")
    with opened(vault=vault, data_dir=data_dir) as here:
        rollouts = here.rollouts
        if shadow is not None:
            done = rollouts.shadow(service, shadow, who=who(), why=why)
        elif to is not None:
            done = rollouts.step(service, to, who=who(), why=why, force=force)
        elif auto is not None:
            done = rollouts.automate(service, automatic=auto, soak_seconds=soak, who=who())
        elif pause:
            done = rollouts.pause(service, who=who(), why=why)
        else:
            done = rollouts.resume(service, who=who(), why=why)
        _tell(here, done, as_json=as_json)


def rollback(
    service: ServiceArgument,
    *,
    why: WhyOption = "asked for at the terminal",
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Send all users of a service back to the stable side.

    It takes effect at once, and lasts: nothing goes up again before a new rollout is planned.

    \b
    weave rollback tasks --why "wrong dates"
    """
    with opened(vault=vault, data_dir=data_dir) as here:
        _tell(here, here.rollouts.roll_back(service, who=who(), why=why), as_json=as_json)


def complete(
    service: ServiceArgument,
    *,
    force: ForceOption = False,
    why: WhyOption = "",
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """End a rollout: the candidate is the service's home from now on.

    \b
    weave complete tasks
    """
    with opened(vault=vault, data_dir=data_dir) as here:
        _tell(here, here.rollouts.complete(service, who=who(), why=why, force=force), as_json=as_json)


def _tell(here: Opened, done: "Rollout", *, as_json: bool | None) -> None:
    from weave_nn.entrypoints.cli.output import print_json, wants_json

    served = here.await_served()
    if wants_json(chosen=as_json):
        print_json({**showing.described(done), "served": served})
        return
    state = f"{done.service} is {done.state} at {done.percent} %"
    state += f", {done.shadow_percent} % of the GETs are mirrored" if done.shadow_percent else ""
    state += ", and goes up by itself" if done.automatic else ""
    typer.echo(f"{state}{'; the gateway serves it.' if served else '.'}")
