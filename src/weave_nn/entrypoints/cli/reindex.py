"""`weave reindex`: rebuild from the vault what the database keeps about its notes."""

from weave_nn.entrypoints.cli.options import DataDirOption, JsonOption, VaultArgument, load_settings, open_instance
from weave_nn.entrypoints.cli.output import print_json, print_table, progress, wants_json


def reindex(vault: VaultArgument = None, *, data_dir: DataDirOption = None, as_json: JsonOption = None) -> None:
    """Rebuild what the database keeps about the notes.

    The notes are only read. It can be stopped with Ctrl-C at any time and run again.

    \b
    weave reindex ~/Notes
    """
    settings = load_settings(vault=vault, data_dir=data_dir).settings
    instance = open_instance(settings)
    from weave_nn.entrypoints import monolith

    with monolith.offline(settings, instance) as offline, progress("Reading notes") as show:
        counts = offline.reindex(show)
    if wants_json(chosen=as_json):
        print_json(dict(counts))
    else:
        print_table(("REINDEXED", "COUNT"), [(name, str(count)) for name, count in counts.items()])
