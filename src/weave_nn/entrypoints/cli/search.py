"""`weave search` and `weave links`: finding notes, and what is linked to what."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weave_nn.entrypoints.cli.options import DataDirOption, JsonOption, load_settings, open_instance, warn
from weave_nn.entrypoints.cli.output import print_json, print_table, printable, wants_json

if TYPE_CHECKING:
    from weave_nn.services.sync.contract import Hit, LinkInfo, SyncContract

VaultOption = Annotated[
    Path | None, typer.Option(help="The folder of notes. Default: WEAVE_VAULT.", show_default=False)
]


def search(
    words: Annotated[list[str], typer.Argument(help="What to look for; quote it for the shell.")],
    *,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=100, help="How many to show.")] = 20,
    semantic: Annotated[bool, typer.Option("--semantic", help="Also notes of similar meaning.")] = False,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Search the notes, best first.

    All words are required; also "a phrase", begin*, -not, one OR other, tag:area, path:Projects/, title:word,
    has:tasks, modified:>7d, and any frontmatter field: status:done, rating:>=4, due:2026-01-01..2026-02-01.

    \b
    weave search sourdough --vault ~/Notes
    weave search 'tag:project -status:done modified:>30d'
    weave search 'has:tasks path:Daily/' --json | jq -r '.hits[].path'
    """
    from weave_nn.services.sync.contract import QueryRefused

    query = " ".join(words)
    with _sync(vault=vault, data_dir=data_dir) as sync:
        try:
            page = sync.search(query, limit=count, semantic=semantic)
        except QueryRefused as error:
            typer.echo(error.caret, err=True)
            raise
    if wants_json(chosen=as_json):
        print_json(asdict(page))
        return
    for hit in page.hits:
        _print_hit(hit)
    if not page.hits:
        typer.echo("Nothing is found.")
    elif page.next_cursor:
        typer.echo(f"The first {count} are shown; -n shows more.", err=True)


def links(
    path: Annotated[str, typer.Argument(help="A note, by its path in the vault.")],
    *,
    outgoing: Annotated[bool, typer.Option("--from", help="Links from the note, instead of those to it.")] = False,
    to: Annotated[str | None, typer.Option(help="The shortest way by links to this note.")] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many to show.")] = 100,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Show the links to a note.

    \b
    weave links 'Projects/Boat.md' --vault ~/Notes
    weave links 'Projects/Boat.md' --from
    weave links 'Projects/Boat.md' --to 'People/Ada.md'
    """
    in_json = wants_json(chosen=as_json)
    with _sync(vault=vault, data_dir=data_dir) as sync:
        if to is not None:
            _print_way(sync.find_path(path, to), in_json=in_json)
            return
        page = (sync.list_outgoing if outgoing else sync.list_backlinks)(path, limit=count)
    if in_json:
        print_json(asdict(page))
    elif page.links:
        print_table(("TO" if outgoing else "FROM", "LINE", "CONTEXT"), (_row(link, outgoing) for link in page.links))
    else:
        typer.echo("There are no links.")


@contextmanager
def _sync(**options: Any) -> Iterator["SyncContract"]:
    settings = load_settings(**options).settings
    instance = open_instance(settings)
    from weave_nn.entrypoints import monolith
    from weave_nn.services.sync.contract import SyncContract

    with monolith.offline(settings, instance) as offline:
        part = next(part for part in offline.components if part.name == "sync")
        if part.counts().get("notes") == 0:
            warn("nothing is indexed yet; `weave reindex` does it, and so does a running `weave up`")
        yield offline.contract(SyncContract)


def _print_hit(hit: "Hit") -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, emoji=False, markup=False)
    console.print(Text(printable(hit.path), style="bold cyan"), Text(f"  {printable(hit.title)}", style="dim"), sep="")
    # Character by character, so that the positions of the matches stay true.
    shown = Text("  " + "".join(each if each.isprintable() else " " for each in hit.snippet))
    for match in hit.matches:
        start = match.start - hit.snippet_start + 2
        if start >= 2:
            shown.stylize("bold yellow", start, match.end - hit.snippet_start + 2)
    if hit.snippet:
        console.print(shown)


def _print_way(way: tuple[str, ...], *, in_json: bool) -> None:
    if in_json:
        print_json(way)
    elif way:
        typer.echo("\n".join(f"{'  ' * step}{printable(path)}" for step, path in enumerate(way)))
    else:
        typer.echo("There is no way by links.")


def _row(link: "LinkInfo", outgoing: bool) -> tuple[str, str, str]:  # noqa: FBT001 - which end of the link to show
    end = (link.target or f"{link.text} (missing)") if outgoing else link.source
    return end, str(link.line), link.context
