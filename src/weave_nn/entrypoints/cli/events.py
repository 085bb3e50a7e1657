"""`weave events`: what was announced, what failed for good, and trying it again."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weave_nn.entrypoints.cli.options import DataDirOption, JsonOption, VaultArgument, load_settings, open_instance
from weave_nn.entrypoints.cli.output import print_json, print_table, printable, wants_json

if TYPE_CHECKING:
    from weave_nn.entrypoints.monolith import Offline
    from weave_nn.shared.bus import Bus, DeadLetter, Message

FOLLOW_SECONDS = 0.3
LARGEST_PAGE = 1000

app = typer.Typer(
    name="events",
    help="Look at events, and replay those that failed.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
CountOption = Annotated[int, typer.Option("--count", "-n", min=1, max=LARGEST_PAGE, help="How many to show.")]


@app.command()
def tail(
    vault: VaultArgument = None,
    *,
    count: CountOption = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones until Ctrl-C.")] = False,
    topic: Annotated[str, typer.Option(help="Only these: * stands for one word, # for any number.")] = "#",
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Show the latest events, oldest first.

    As JSON, each line is one CloudEvent.

    \b
    weave events tail ~/Notes -f
    weave events tail --topic 'vault.file.*' -n 100 | jq .subject
    """
    from weave_nn.shared.bus.topics import check_pattern, matches

    check_pattern(topic)
    in_json = wants_json(chosen=as_json)
    with _bus(vault=vault, data_dir=data_dir) as bus:
        position = 0
        recent = bus.tail(limit=LARGEST_PAGE)
        shown = [message for _, message in recent if matches(topic, message.type)][-count:]
        while True:
            _print_messages(shown, in_json=in_json)
            if not follow:
                return
            position = recent[-1][0] if recent else position
            time.sleep(0 if len(recent) == LARGEST_PAGE else FOLLOW_SECONDS)
            recent = bus.tail(after=position, limit=LARGEST_PAGE)
            shown = [message for _, message in recent if matches(topic, message.type)]


@app.command()
def dead(
    vault: VaultArgument = None,
    *,
    queue: Annotated[str | None, typer.Option(help="Only those of this queue, such as git_auto_commit.")] = None,
    count: CountOption = 20,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Show the events that failed for good.

    These dead letters are what a queue gave up on: newest first, with the error of the last attempt.

    \b
    weave events dead ~/Notes
    weave events dead --queue task_sync --json
    """
    with _bus(vault=vault, data_dir=data_dir) as bus:
        letters = bus.dead_letters(queue=queue, limit=count)
    if wants_json(chosen=as_json):
        print_json([_letter(letter) for letter in letters])
    elif letters:
        rows = ((each.id, each.queue, each.message.type, f"{each.died_at:%F %T}", each.error) for each in letters)
        print_table(("ID", "QUEUE", "EVENT", "DIED (UTC)", "ERROR"), rows)
    else:
        typer.echo("There are no dead letters.")


@app.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="The ids that `weave events dead` shows.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Replay all dead letters.")] = False,
    vault: Annotated[str | None, typer.Option(help="The folder of notes. Default: WEAVE_VAULT.")] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Try failed events again.

    Puts dead letters back into the queues that gave up on them.

    \b
    weave events replay 17 18 --vault ~/Notes
    weave events replay --all --vault ~/Notes
    """
    if bool(ids) == every:
        raise typer.BadParameter("give either ids or --all")
    with _bus(vault=vault, data_dir=data_dir) as bus:
        replayed = bus.replay(None if every else ids)
    if wants_json(chosen=as_json):
        print_json({"replayed": replayed})
    else:
        typer.echo(f"{replayed} put back into their queues.")
    if replayed < len(ids or ()):
        raise typer.Exit(1)


@app.command()
def collect(
    url: Annotated[str, typer.Argument(help="The broker that was used before, as RABBITMQ_URL named it.")],
    *,
    vault: Annotated[str | None, typer.Option(help="The folder of notes. Default: WEAVE_VAULT.")] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Go back from RabbitMQ to the database.

    Fetches what still waits, rests or is dead in a broker. Stop every weave process first, and unset RABBITMQ_URL.

    \b
    weave events collect amqp://weave:secret@broker/notes --vault ~/Notes
    """
    from weave_nn.shared.bus import EmbeddedBus, move_back
    from weave_nn.shared.errors import Conflict

    with _opened(vault=vault, data_dir=data_dir) as offline:
        runtime = offline.runtime
        if not isinstance(runtime.bus, EmbeddedBus):
            raise Conflict(
                "RABBITMQ_URL is set: what is fetched from the broker would go back to it.",
                hint="Unset it first.",
            )
        moved = move_back(url, runtime.database, runtime.bus, vault_id=runtime.vault_id)
    if wants_json(chosen=as_json):
        print_json({"moved": moved})
    else:
        typer.echo(f"{moved} messages moved into the database; `weave up` handles them.")


@app.command()
def forget(
    queue: Annotated[str, typer.Argument(help="The queue of a service that is gone for good.")],
    *,
    vault: Annotated[str | None, typer.Option(help="The folder of notes. Default: WEAVE_VAULT.")] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Delete a queue that nobody empties any more.

    What waits in it goes with it; its dead letters stay. A service that comes back makes its queue anew.

    \b
    weave events forget n8n_workflows --vault ~/Notes
    """
    from weave_nn.shared.errors import NotFound

    with _bus(vault=vault, data_dir=data_dir) as bus:
        depths = bus.depths()
        if queue not in depths:
            there = ", ".join(sorted(depths)) or "none yet"
            raise NotFound(f"There is no queue {queue!r}.", hint=f"The queues are: {there}.")
        bus.forget(queue)
    if wants_json(chosen=as_json):
        print_json({"forgotten": queue, "messages": depths[queue]})
    else:
        typer.echo(f"The queue {queue} is gone, and {depths[queue]} messages with it.")


@contextmanager
def _bus(**options: Any) -> Iterator["Bus"]:
    with _opened(**options) as offline:
        yield offline.runtime.bus


@contextmanager
def _opened(**options: Any) -> Iterator["Offline"]:
    settings = load_settings(**options).settings
    instance = open_instance(settings)
    from weave_nn.entrypoints import monolith

    with monolith.offline(settings, instance) as offline:
        yield offline


def _print_messages(messages: Iterable["Message"], *, in_json: bool) -> None:
    from weave_nn.shared.bus import Event

    for message in messages:
        if in_json:
            typer.echo(message.body)
            continue
        event = Event.from_json(message.body)
        about = printable(event.subject or "")
        typer.echo(f"{event.time.astimezone():%F %T}  {event.type:<28}  {about}")


def _letter(letter: "DeadLetter") -> dict[str, Any]:
    return {
        "id": letter.id,
        "queue": letter.queue,
        "type": letter.message.type,
        "event_id": letter.message.event_id,
        "error": letter.error,
        "attempts": letter.attempts,
        "published_at": letter.published_at.isoformat(),
        "died_at": letter.died_at.isoformat(),
        "event": letter.message.body,
    }
