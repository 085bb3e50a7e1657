import json

import pytest

from weave_nn.services.tasks.contract import StatusType
from weave_nn.services.tasks.service.plugin import with_plugin_settings
from weave_nn.services.tasks.service.rules import TaskRules

SETTINGS = {
    "globalFilter": "#task ",
    "taskFormat": "dataview",
    "setCreatedDate": True,
    "setDoneDate": False,
    "statusSettings": {
        "coreStatuses": [{"symbol": " ", "name": "Todo", "nextStatusSymbol": "/", "type": "TODO"}],
        "customStatuses": [
            {"symbol": "!", "name": "Important", "nextStatusSymbol": "x", "type": "IN_PROGRESS"},
            {"symbol": "", "name": "Unfinished", "nextStatusSymbol": "x", "type": "TODO"},
            {"symbol": "?", "name": "Odd", "nextStatusSymbol": "x", "type": "NO_SUCH_TYPE"},
        ],
    },
}


def test_what_was_chosen_in_the_plugin_holds() -> None:
    rules = with_plugin_settings(TaskRules(inbox_note="In.md"), json.dumps(SETTINGS).encode())
    assert (rules.global_filter, rules.form, rules.inbox_note) == ("#task", "dataview", "In.md")
    assert (rules.set_created_date, rules.set_done_date, rules.set_cancelled_date) == (True, False, True)
    assert rules.statuses.of("!").type is StatusType.IN_PROGRESS
    assert rules.statuses.of(" ").next_symbol == "/"
    assert rules.statuses.of("x").type is StatusType.DONE
    assert rules.statuses.of("?").name == "Unknown"


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"statusSettings": 3}', b"\xff", b"[" * 100_000])
def test_settings_that_cannot_be_read_change_nothing(content: bytes | None) -> None:
    rules = TaskRules()
    assert with_plugin_settings(rules, content).form == rules.form
