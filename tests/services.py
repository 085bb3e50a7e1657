"""The servers that tests need, as a plugin of pytest: which to use, and what is said when one cannot be had.

Servers that are reachable are used: those that `WEAVE_TEST_POSTGRES_URL`, `WEAVE_TEST_REDIS_URL` and
`WEAVE_TEST_RABBITMQ_URL` name, else those on the usual ports of this machine. What is missing the tests start
themselves. With `WEAVE_TEST_SERVICES=own` they look at no port and start all of them.

Where a server can neither be reached nor started, what needs it is skipped, and counted at the end; with `CI=true` the
run has failed then.
"""

import os
import re
from collections import Counter
from typing import NoReturn

import pytest

_MARK = "NO SERVER: "
_SKIPPED = re.compile(rf"{_MARK}(\w+): (.*)", re.DOTALL)


def own_only() -> bool:
    """Whether the servers on the usual ports are to be left alone."""
    return os.environ.get("WEAVE_TEST_SERVICES", "") == "own"


def missing(server: str, reason: str) -> NoReturn:
    """Skip what needs `server`, and have it counted; `reason` says how it could be had."""
    pytest.skip(f"{_MARK}{server}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What could not be tested has not passed where everything must be there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    required = os.environ.get("CI", "").lower() == "true"
    if required and reporter is not None and _counted(reporter) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was not tested, and what would mend it."""
    counted = _counted(terminalreporter)
    if not counted:
        return
    terminalreporter.section("servers that are missing", sep="!", red=True, bold=True)
    for (server, reason), count in sorted(counted.items()):
        terminalreporter.write_line(f"{server}: {count} tests were NOT run. {reason}", red=True)


def _counted(reporter: pytest.TerminalReporter) -> Counter[tuple[str, str]]:
    counted: Counter[tuple[str, str]] = Counter()
    for report in reporter.stats.get("skipped", []):
        if isinstance(report.longrepr, tuple) and (found := _SKIPPED.search(report.longrepr[2])):
            counted[found[1], " ".join(found[2].split())] += 1
    return counted
