"""`weave config`: every setting, its value and where it came from."""

from dataclasses import asdict

from weave_nn.entrypoints.cli.options import JsonOption, VaultArgument, load_settings
from weave_nn.entrypoints.cli.output import print_json, print_table, wants_json


def config(vault: VaultArgument = None, *, as_json: JsonOption = None) -> None:
    """Show every setting and where it came from.

    Secrets are masked. An option goes before the environment, the environment before .env, .env before the default.

    \b
    weave config                 what a command started here would use
    weave config ~/Notes         with the data folder of that vault
    weave config --json | jq     for scripts
    """
    settings = load_settings(vault=vault).describe()
    if wants_json(chosen=as_json):
        print_json([asdict(setting) for setting in settings])
        return
    print_table(
        ("SETTING", "VALUE", "FROM", "MEANING"),
        [(setting.variable, setting.value or "-", setting.origin, setting.description) for setting in settings],
    )
