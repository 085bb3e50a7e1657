"""`weave key`: the API key, in full, for those who ask for it."""

import typer

from weave_nn.entrypoints.cli.options import DataDirOption, VaultArgument, load_settings, open_instance


def key(vault: VaultArgument = None, *, data_dir: DataDirOption = None) -> None:
    """Print the API key in full.

    No other command does. One is made if there is none yet.

    \b
    weave key ~/Notes
    curl -H "Authorization: Bearer $(weave key ~/Notes)" http://127.0.0.1:8000/files
    """
    settings = load_settings(vault=vault, data_dir=data_dir).settings
    typer.echo(open_instance(settings).api_key.get_secret_value())
