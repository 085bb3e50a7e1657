"""Logs and metrics: how they are made here, for every process alike.

Our own code logs with `structlog.get_logger()`: an event in snake case and its facts by name. Libraries log with the
standard library; both leave through the same processors, so that each line has the time, the level and the request id,
and no secrets.
"""

import functools
import logging
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Literal, TextIO

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, GCCollector, Metric, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector
from structlog.typing import EventDict, Processor, WrappedLogger

from weave_nn.shared import context

Level = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["console", "json"]

MASK = "***"
_SECRET_NAME = re.compile(
    r"(^|_)(api_?key|key|token|secret|password|passwd|authorization|cookie|credentials?)$", re.IGNORECASE
)
_SECRET_TEXT = re.compile(
    r"(\bBearer\s+)[^\s'\",;]+|(\b[a-z][a-z0-9+.-]*://[^\s/:@'\"]*:)[^\s@'\"]+(?=@)", re.IGNORECASE
)


def configure_logging(
    level: Level = "info",
    log_format: LogFormat = "console",
    stream: TextIO | None = None,
    *,
    service: str | None = None,
) -> None:
    """Send every log line of this process to `stream`, by default the standard error that is current now.

    `console` is for people, with colours if the stream is a terminal; `json` is one object a line. What libraries log
    below `warning` is dropped, unless `level` is `debug`. `service` stands in every line, where several processes write
    into one log. May be called again; the last call counts.
    """
    target = stream or sys.stderr
    threshold: int = getattr(logging, level.upper())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_request_id,
        *([] if service is None else [_naming(service)]),
        structlog.processors.format_exc_info,
        mask_secrets,
    ]
    renderer = _renderer(log_format, colors=target.isatty())
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(target),
        # Loggers are module globals: a cached one would keep the stream and level of its first use for ever.
        cache_logger_on_first_use=False,
    )
    _route_standard_library(
        shared, renderer, target, threshold if level == "debug" else max(threshold, logging.WARNING)
    )


def _route_standard_library(shared: Sequence[Processor], renderer: Processor, target: TextIO, threshold: int) -> None:
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared[:2], structlog.stdlib.add_logger_name, *shared[2:]],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shared[-2:], renderer],
        )
    )
    root = logging.getLogger()
    for present in root.handlers[:]:
        root.removeHandler(present)
    root.addHandler(handler)
    root.setLevel(threshold)


def _renderer(log_format: LogFormat, *, colors: bool) -> Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer(default=repr, ensure_ascii=False)
    # The rich traceback shows the local variables, and secrets are among them.
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the id of the request or message that is being handled, and who made the request, if there is one."""
    if (identifier := context.request_id.get()) is not None:
        event.setdefault("request_id", identifier)
    if (caller := context.caller.get()) is not None:
        event.setdefault("caller", caller)
    return event


def _naming(service: str) -> Processor:
    def add_service(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    return add_service


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide values whose name says that they are secret, bearer credentials and passwords in URLs."""
    for name, value in event.items():
        if isinstance(value, str):
            if _is_secret(name):
                event[name] = MASK
            elif "://" in value or "earer" in value:
                event[name] = _SECRET_TEXT.sub(lambda found: (found[1] or found[2]) + MASK, value)
        elif isinstance(value, dict):
            event[name] = mask_secrets(_logger, _method, dict(value))
    return event


@functools.lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def new_registry() -> CollectorRegistry:
    """A registry of metrics for one process, which begins with the process's own: memory, file descriptors, GC.

    It also shows what modules count for the whole process, in the library's default registry.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(_CountedByModules())
    return registry


class _CountedByModules(Collector):
    def describe(self) -> Iterable[Metric]:
        """Nothing: the names are known to be unlike those of a registry's own collectors."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The program's metrics of the default registry, without those that the library itself put there."""
        return (metric for metric in REGISTRY.collect() if metric.name.startswith("weave_"))
