"""Vectors from the token embeddings that the package `wordllama` brings: a table from word pieces to vectors.

A text's vector is the mean of the vectors of its word pieces, whatever their order. That takes a fraction of a
millisecond and needs no network, and is far better than words alone at paraphrases. It is weak where its vocabulary
(the one of LLaMA 2) has single characters only: Chinese, Japanese, Korean, Arabic. Such texts get no vector.

The package's own code is not imported: it would configure the logging of the whole process.
"""

import re
import threading
from functools import lru_cache
from importlib.metadata import Distribution
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from weave_nn.services.sync.adapters.semantic.matrix import NumpyMatrix
from weave_nn.shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weave_nn.services.sync.adapters.semantic.port import Embedded

_WEIGHTS = "wordllama/weights/l2_supercat_256.safetensors"
_TOKENIZER = "wordllama/tokenizers/l2_supercat_tokenizer_config.json"
# The model was trained so that the first 64, 128, ... numbers of a vector stand for it as well. 128 of them found no
# fewer paraphrases than all 256, and so did single bytes: one passage takes 128 bytes.
_DIMENSIONS = 128
_LARGEST = 127
# To be raised whenever the same text would get another vector, or be cut into other passages: all are made anew then.
_VERSION = 1
# A single letter or character means nothing by itself.
_LEAST_LETTERS = 2
# Of the letters in a text, the share that must belong to pieces that mean something.
_KNOWN_SHARE = 0.4
_WORD = re.compile(r"\w+")
# Longer ones are no words, but data; or text without spaces between its words, of which no piece would be known.
_LONGEST_WORD_CHARS = 40
_WORDS_KEPT = 20_000


class _Word(NamedTuple):
    """Those of a word's `pieces` that say something, how many letters they have together, and how many the word has."""

    pieces: tuple[int, ...]
    known: int
    letters: int


class _Model:
    """The table, and the words that were met lately: most of a text is words that have been cut into pieces before."""

    def __init__(self, tokenizer: Any, vectors: NDArray[np.float16]) -> None:
        self.vectors = vectors
        self._tokenizer = tokenizer
        # `<0x41>` is a byte of a character that has no piece.
        vocabulary = tokenizer.get_vocab(with_added_tokens=False).items()
        letters = {number: _letters(piece) for piece, number in vocabulary if not piece.startswith("<")}
        self._letters = {number: count for number, count in letters.items() if count >= _LEAST_LETTERS}
        self.word = lru_cache(_WORDS_KEPT)(self._cut)

    def _cut(self, word: str) -> _Word:
        if len(word) > _LONGEST_WORD_CHARS:
            return _Word((), 0, _letters(word))
        pieces = self._tokenizer.encode(word, add_special_tokens=False).ids
        telling = tuple(piece for piece in pieces if piece in self._letters)
        return _Word(telling, sum(self._letters[piece] for piece in telling), _letters(word))


class WordLlamaEmbedder:
    """The embedder over the installed distribution `wordllama`; its model is read (20 MB) when it is first needed."""

    def __init__(self, weights: Distribution) -> None:
        self._weights = weights
        self._name = f"wordllama-{weights.version}-l2_supercat-{_DIMENSIONS}/{_VERSION}"
        self._lock = threading.Lock()
        self._read: _Model | None = None

    @property
    def model(self) -> str:
        """See `Embedder`."""
        return self._name

    @property
    def vector_bytes(self) -> int:
        """See `Embedder`."""
        return _DIMENSIONS

    def embed(self, text: str) -> bytes | None:
        """See `Embedder`. Raises `Unavailable` if the installed package lacks the files of the model."""
        model = self._loaded()
        words = [model.word(word) for word in _WORD.findall(text.lower())]
        pieces = [piece for word in words for piece in word.pieces]
        if not pieces or sum(word.known for word in words) < _KNOWN_SHARE * sum(word.letters for word in words):
            return None
        middle = model.vectors[pieces].mean(axis=0, dtype=np.float32)
        vector: NDArray[np.int8] = np.rint(middle * (_LARGEST / np.abs(middle).max())).astype(np.int8)
        return vector.tobytes()

    def matrix(self, rows: "Iterable[Embedded]") -> NumpyMatrix:
        """See `Embedder`."""
        return NumpyMatrix(rows, _DIMENSIONS)

    def _loaded(self) -> _Model:
        with self._lock:
            if self._read is None:
                self._read = self._load()
            return self._read

    def _load(self) -> _Model:
        from safetensors.numpy import load_file  # noqa: PLC0415 - like the model itself, only when it is needed
        from tokenizers import Tokenizer  # noqa: PLC0415 - the same

        try:
            tokenizer = Tokenizer.from_file(str(self._weights.locate_file(_TOKENIZER)))
            weights = load_file(str(self._weights.locate_file(_WEIGHTS)))["embedding.weight"]
        except Exception as error:  # the libraries raise bare exceptions of their own
            raise Unavailable(
                f"The model for semantic search cannot be read: {error}.",
                hint="Install weave-nn[semantic] anew, or set WEAVE_SEMANTIC=off.",
            ) from error
        tokenizer.no_truncation()
        return _Model(tokenizer, np.ascontiguousarray(weights[:, :_DIMENSIONS]))


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))
