"""What tests of several rooms share."""

pytest_plugins = ["postgres"]
