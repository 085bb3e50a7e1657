"""What tests of several rooms share."""

from hypothesis import settings

# `services` first: the others import it.
pytest_plugins = ["services", "postgres", "rabbitmq", "redis_server"]

# No test asserts a time: on a busy machine a single example may take longer than any deadline.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
