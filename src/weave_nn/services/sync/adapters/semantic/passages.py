"""Cutting a note into passages, each of which gets a vector of its own.

One vector for a long note would say a little of everything in it and find nothing: in a test of paraphrases, passages
buried in journals were found by their own vectors only (all of them within the first five), and never by the mean.
"""

PASSAGE_CHARS = 600
PASSAGE_LIMIT = 64
LONGEST_PASSAGE_CHARS = 8000
"""Notes of more than 64 passages have longer ones; what comes after 250,000 characters is found by words alone."""


def passages(text: str) -> list[tuple[int, int]]:
    """Where each passage of a text starts and ends: whole sections, paragraphs or lines, as far as possible."""
    # A passage is at least half as long as it may be, so that twice the average keeps to the limit.
    longest = min(max(PASSAGE_CHARS, 2 * len(text) // PASSAGE_LIMIT + 2), LONGEST_PASSAGE_CHARS)
    found: list[tuple[int, int]] = []
    start = 0
    while start < len(text) and len(found) < PASSAGE_LIMIT:
        end = _end(text, start, longest)
        found.append((start, end))
        start = end
    return found


def _end(text: str, start: int, longest: int) -> int:
    if len(text) - start <= longest:
        return len(text)
    for mark in ("\n#", "\n\n", "\n", " "):
        at = text.rfind(mark, start + longest // 2, start + longest)
        if at >= 0:
            return at + 1
    return start + longest
