"""`weave git`: the history of a vault from the command line; it needs no running server."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weave_nn.entrypoints.cli.options import DataDirOption, JsonOption, VaultArgument, load_settings, open_instance
from weave_nn.entrypoints.cli.output import print_json, print_table, printable, wants_json

if TYPE_CHECKING:
    from weave_nn.entrypoints.components.git import GitParts
    from weave_nn.services.git.contract import Checkpoint, GitStatus

SHORT_ID = 10
_MAX_LINES = 20

app = typer.Typer(
    name="git", help="See, name and restore versions of the notes.", no_args_is_help=True, rich_markup_mode=None
)
VaultOption = Annotated[Path | None, typer.Option(help="The folder of notes. Default: WEAVE_VAULT.")]
NoteArgument = Annotated[str | None, typer.Argument(help="A note, such as Projects/Plan.md.", show_default=False)]


@app.command()
def status(vault: VaultArgument = None, *, data_dir: DataDirOption = None, as_json: JsonOption = None) -> None:
    """Show what is not committed, and what hinders.

    \b
    weave git status ~/Notes
    """
    with _git(vault=vault, data_dir=data_dir) as git:
        found = git.contract.status()
    if wants_json(chosen=as_json):
        print_json(asdict(found))
    else:
        _print_status(found)


@app.command()
def log(
    note: NoteArgument = None,
    *,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=500, help="How many to show.")] = 20,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Show the versions of a note across its renames, or of the vault; latest first.

    \b
    weave git log Projects/Plan.md --vault ~/Notes
    """
    with _git(vault=vault, data_dir=data_dir) as git:
        entries = git.contract.log(path=note, limit=count).entries
    if wants_json(chosen=as_json):
        print_json([asdict(entry) for entry in entries])
        return
    rows = (
        (entry.commit[:SHORT_ID], f"{entry.time.astimezone():%F %T}", entry.author, entry.subject, entry.path or "")
        for entry in entries
    )
    print_table(("COMMIT", "TIME", "AUTHOR", "WHAT", "NAME" if note else ""), rows)


@app.command()
def diff(
    note: NoteArgument = None,
    *,
    old: Annotated[str, typer.Option(help="The earlier version.")] = "HEAD",
    new: Annotated[str | None, typer.Option(help="The later version. Default: what is on the disk.")] = None,
    words: Annotated[bool, typer.Option("--words", help="Mark words instead of lines.")] = False,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Compare two versions of a note, or of the vault.

    \b
    weave git diff Projects/Plan.md --old HEAD~3 --words --vault ~/Notes
    """
    with _git(vault=vault, data_dir=data_dir) as git:
        found = git.contract.diff(old=old, new=new, path=note, words=words)
    for line in found.text.splitlines():
        typer.echo(printable(line))
    if not found.complete:
        typer.echo("The rest is left out; ask for one note.", err=True)


@app.command()
def show(
    note: Annotated[str, typer.Argument(help="A note, such as Projects/Plan.md.")],
    revision: Annotated[str, typer.Argument(help="A version: a commit, a tag, HEAD~3.")],
    *,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Print a note as it was.

    \b
    weave git show Projects/Plan.md HEAD~3 --vault ~/Notes
    """
    with _git(vault=vault, data_dir=data_dir) as git:
        content = git.contract.show(note, revision=revision).content
    typer.echo(content, nl=False)


@app.command()
def restore(
    path: Annotated[str, typer.Argument(help="A note or a folder.")],
    revision: Annotated[str, typer.Argument(help="The version to go back to.")],
    *,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Make a note or a folder as it was. What is there now is committed first.

    \b
    weave git restore Projects/Plan.md HEAD~3 --vault ~/Notes
    """
    with _git(writes=True, vault=vault, data_dir=data_dir) as git:
        done = git.restoring.restore(path, revision=revision)
    if wants_json(chosen=as_json):
        print_json(asdict(done))
    else:
        typer.echo(f"{len(done.written)} restored, {done.unchanged} were like that, {len(done.kept)} newer ones kept.")


@app.command()
def checkpoint(
    message: Annotated[str, typer.Argument(help="What to call it.")],
    *,
    path: Annotated[str | None, typer.Option(help="Only this note or folder.")] = None,
    tag: Annotated[str | None, typer.Option(help="Tag it, too.")] = None,
    vault: VaultOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Commit now, under a name.

    \b
    weave git checkpoint 'Before the workshop' --tag workshop --vault ~/Notes
    """
    with _git(writes=True, vault=vault, data_dir=data_dir) as git:
        made = git.contract.checkpoint(message, path=path, tag=tag)
    _print_checkpoint(made, as_json=as_json)


@app.command()
def init(vault: VaultArgument = None, *, data_dir: DataDirOption = None, as_json: JsonOption = None) -> None:
    """Make a git repository of the vault, and commit what is there.

    \b
    weave git init ~/Notes
    """
    with _git(writes=True, vault=vault, data_dir=data_dir) as git:
        made = git.contract.init()
    _print_checkpoint(made, as_json=as_json)


@app.command()
def sync(vault: VaultArgument = None, *, data_dir: DataDirOption = None, as_json: JsonOption = None) -> None:
    """Pull and push once, now. Of a conflict both versions are kept.

    \b
    weave git sync ~/Notes
    """
    with _git(writes=True, vault=vault, data_dir=data_dir) as git:
        done = git.new_synchroniser().sync_now()
    if wants_json(chosen=as_json):
        print_json(asdict(done))
        return
    typer.echo(f"{'Pulled' if done.pulled else 'Nothing to pull'}, {'pushed' if done.pushed else 'nothing to push'}.")
    for kept in done.kept:
        typer.echo(f"conflict: {printable(kept.path)}, ours is {printable(kept.copy_path or kept.path)}")


@contextmanager
def _git(*, writes: bool = False, **options: Any) -> Iterator["GitParts"]:
    from weave_nn.shared.errors import Forbidden

    settings = load_settings(**options).settings
    if writes and settings.read_only:
        raise Forbidden("The vault is served read-only.", hint="Unset WEAVE_READ_ONLY to change it.")
    instance = open_instance(settings)
    from weave_nn.entrypoints import monolith
    from weave_nn.entrypoints.components.git import GitParts
    from weave_nn.services.files.contract import FilesContract

    with monolith.offline(settings, instance) as offline:
        yield GitParts(offline.runtime, offline.contract(FilesContract))


def _print_checkpoint(made: "Checkpoint", *, as_json: bool | None) -> None:
    if wants_json(chosen=as_json):
        print_json(asdict(made))
        return
    what = f"{made.files} files" if made.created else "nothing new"
    tag = f", tag {printable(made.tag)}" if made.tag else ""
    typer.echo(f"{made.commit[:SHORT_ID]}: {what}{tag}")
    if made.held:
        typer.echo(f"Left to you, because you have staged them: {', '.join(map(printable, made.held))}")


def _print_status(found: "GitStatus") -> None:
    rows = [
        ("repository", found.repository),
        ("branch", found.branch or "none (HEAD is detached)"),
        ("commit", (found.commit or "none yet")[:SHORT_ID]),
        ("not committed", str(found.uncommitted_count)),
        ("waiting for auto-commit", str(found.pending)),
        ("staged by you", str(len(found.staged))),
    ]
    if found.upstream:
        rows.append(("upstream", f"{found.upstream}, {found.ahead} ahead, {found.behind} behind"))
    problems = [
        ("in progress", f"a {found.operation}; nothing is committed until it ends" if found.operation else None),
        ("problem", found.problem),
        ("push and pull", found.sync_problem),
        (
            "index.lock",
            f"held by another git for {found.index_lock_seconds:.0f} s" if found.index_lock_seconds else None,
        ),
    ]
    rows += [(name, value) for name, value in problems if value]
    rows += [("note", f"{each.path}:{each.line} {each.message}") for each in found.findings[:_MAX_LINES]]
    print_table(("WHAT", "VALUE"), rows)
    for path in found.uncommitted[:_MAX_LINES]:
        typer.echo(f"  {printable(path)}")
