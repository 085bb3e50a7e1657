"""What tests of several rooms share."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

# `services` first: the others import it.
pytest_plugins = ["services", "postgres", "rabbitmq", "redis_server"]

# No test asserts a time: on a busy machine a single example may take longer than any deadline.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _unconfigured_logging() -> Iterator[None]:
    """What a test made of logging ends with it: the stream that it wrote to is closed then."""
    yield
    structlog.reset_defaults()
