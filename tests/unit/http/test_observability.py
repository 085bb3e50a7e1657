import io
import json
import logging
import re
import sys
from collections.abc import Iterator

import pytest
import structlog
from prometheus_client import generate_latest

from weave_nn.shared import context
from weave_nn.shared.db.repeating import REPEATED
from weave_nn.shared.observability import configure_logging, new_registry


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_lines_carry_level_time_and_request_id_for_libraries_too() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    token = context.request_id.set("abc-1")
    structlog.get_logger().info("note_written", path="café.md")
    logging.getLogger("some.library").warning("odd %s", "thing")
    context.request_id.reset(token)
    ours, theirs = map(json.loads, stream.getvalue().splitlines())
    assert (ours["event"], ours["level"], ours["request_id"], ours["path"]) == (
        "note_written",
        "info",
        "abc-1",
        "café.md",
    )
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["logger"], theirs["request_id"]) == ("odd thing", "some.library", "abc-1")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_secrets_are_masked_wherever_they_stand(log_format: str) -> None:
    stream = io.StringIO()
    configure_logging("debug", log_format, stream)  # type: ignore[arg-type]  # parametrized over its literal
    logger = structlog.get_logger()
    logger.info("x", api_key="S3CRET", nested={"password": "S3CRET"}, url="amqp://user:S3CRET@host/")
    logger.info("sent Authorization: Bearer S3CRET")
    try:
        int("postgresql://u:S3CRET@db/x")
    except ValueError:
        logger.exception("failed")
        logging.getLogger("library").exception("failed: Bearer S3CRET")
    assert "S3CRET" not in stream.getvalue()
    assert stream.getvalue().count("Traceback") == 2
    assert "amqp://user:***@host/" in stream.getvalue()


def test_levels_are_kept_and_libraries_are_quieter() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    structlog.get_logger().debug("hidden")
    logging.getLogger("library").info("hidden")
    assert stream.getvalue() == ""
    configure_logging("debug", "json", stream)
    structlog.get_logger().debug("shown")
    logging.getLogger("library").info("shown")
    assert stream.getvalue().count("shown") == 2


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, coloured in ((io.StringIO(), False), (Terminal(), True)):
        monkeypatch.setattr(sys, "stderr", stream)
        configure_logging("info", "console")
        structlog.get_logger().info("event")
        assert ("\x1b[" in stream.getvalue()) is coloured


def test_registries_are_independent() -> None:
    assert new_registry() is not new_registry()


def test_what_modules_count_is_shown_by_every_registry() -> None:
    REPEATED.inc()
    shown = generate_latest(new_registry()).decode()
    assert re.search(r"^weave_database_repeated_total [1-9]", shown, re.MULTILINE)
    assert shown.count("# HELP process_resident_memory_bytes") <= 1
