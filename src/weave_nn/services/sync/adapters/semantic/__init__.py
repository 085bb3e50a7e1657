"""Semantic search: the port, and the one model that there is. Without the extra nothing of it is imported."""

from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

from weave_nn.services.sync.adapters.semantic.port import Embedded, Embedder, Matrix, Near

__all__ = ["Embedded", "Embedder", "Matrix", "Near", "find_embedder"]

_NEEDED = ("numpy", "safetensors", "tokenizers")


def find_embedder() -> Embedder | None:
    """The embedder of the extra `weave-nn[semantic]`, which reads its model at its first use; None if not installed."""
    try:
        weights = distribution("wordllama")
    except PackageNotFoundError:
        return None
    if not all(find_spec(name) for name in _NEEDED):
        return None
    from weave_nn.services.sync.adapters.semantic.wordllama import WordLlamaEmbedder  # noqa: PLC0415 - only with the extra

    return WordLlamaEmbedder(weights)
