"""`weave reindex`: rebuild from the vault what the database keeps about its notes."""

from weave_nn.entrypoints.cli.options import DataDirOption, JsonOption, VaultArgument, load_settings, open_instance
from weave_nn.entrypoints.cli.output import print_json, print_table, wants_json


def reindex(vault: VaultArgument = None, *, data_dir: DataDirOption = None, as_json: JsonOption = None) -> None:
    """Rebuild what the database keeps about the notes.

    The notes are only read. It can be stopped with Ctrl-C at any time and run again.

    \b
    weave reindex ~/Notes
    """
    settings = load_settings(vault=vault, data_dir=data_dir).settings
    instance = open_instance(settings)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from weave_nn.entrypoints import monolith

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        monolith.offline(settings, instance) as offline,
        Progress(*columns, console=Console(stderr=True), disable=not Console(stderr=True).is_terminal) as progress,
    ):
        task = progress.add_task("Reading notes", total=None)
        counts = offline.reindex(lambda done, total: progress.update(task, completed=done, total=total))
    if wants_json(chosen=as_json):
        print_json(dict(counts))
    else:
        print_table(("REINDEXED", "COUNT"), [(name, str(count)) for name, count in counts.items()])
