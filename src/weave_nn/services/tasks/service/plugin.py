"""The settings of the obsidian-tasks plugin in a vault: what people chose there holds here as well."""

import json
from dataclasses import replace
from typing import Any

from weave_nn.services.tasks.contract import StatusType
from weave_nn.services.tasks.service.rules import TaskRules
from weave_nn.services.tasks.service.statuses import DEFAULT_STATUSES, Status, Statuses

SETTINGS_PATH = ".obsidian/plugins/obsidian-tasks-plugin/data.json"

_FLAGS = {
    "setCreatedDate": "set_created_date",
    "setDoneDate": "set_done_date",
    "setCancelledDate": "set_cancelled_date",
    "removeScheduledDateOnRecurrence": "remove_scheduled_date_on_recurrence",
}


def with_plugin_settings(rules: TaskRules, content: bytes | None) -> TaskRules:
    """`rules` with what the plugin's settings file says; what is missing in it, or not as expected, stays."""
    try:
        loaded = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        # Obsidian may be writing the file in this moment; the next start reads it again.
        return rules
    if not isinstance(loaded, dict):
        return rules
    changes: dict[str, Any] = {
        ours: loaded[theirs] for theirs, ours in _FLAGS.items() if isinstance(loaded.get(theirs), bool)
    }
    if isinstance(loaded.get("globalFilter"), str):
        changes["global_filter"] = loaded["globalFilter"].strip()
    if loaded.get("taskFormat") == "dataview":
        changes["form"] = "dataview"
    if statuses := _statuses(loaded.get("statusSettings")):
        changes["statuses"] = Statuses((*statuses, *DEFAULT_STATUSES))
    return replace(rules, **changes)


def _statuses(given: Any) -> tuple[Status, ...]:
    """The plugin's statuses, its own before those of the user; of two with one symbol it takes the first as well."""
    if not isinstance(given, dict):
        return ()
    listed = [entry for name in ("coreStatuses", "customStatuses") for entry in given.get(name) or ()]
    return tuple(status for entry in listed if (status := _status(entry)) is not None)


def _status(entry: Any) -> Status | None:
    match entry:
        case {"symbol": str(symbol), "name": str(name), "nextStatusSymbol": str(following), "type": str(kind)} if (
            len(symbol) == 1 and len(following) == 1 and kind in set(StatusType)
        ):
            return Status(symbol, name, following, StatusType(kind))
    return None
