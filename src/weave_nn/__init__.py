"""Weave-NN: a server for an Obsidian vault, over HTTP and the Model Context Protocol."""

from importlib.metadata import version

__version__ = version("weave-nn")
