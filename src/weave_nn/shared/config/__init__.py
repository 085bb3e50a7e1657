"""Configuration: the settings, where each came from, and the state folder of a vault.

Only entrypoints read it: they `load` once, `prepare` the instance, and hand plain values down.
"""

from weave_nn.shared.config.instance import Instance, VaultUnusable, check_vault, prepare, saved_api_key
from weave_nn.shared.config.loading import Configuration, Described, InvalidSetting, load
from weave_nn.shared.config.settings import Settings, variable

__all__ = [
    "Configuration",
    "Described",
    "Instance",
    "InvalidSetting",
    "Settings",
    "VaultUnusable",
    "check_vault",
    "load",
    "prepare",
    "saved_api_key",
    "variable",
]
