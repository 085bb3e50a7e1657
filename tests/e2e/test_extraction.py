"""The rehearsal of an extraction, shortened: `make rehearse-extraction` is the whole of it."""

from pathlib import Path

from rehearsal.extraction import Size, rehearse


def test_a_service_is_extracted_under_load_and_a_broken_candidate_is_rolled_back(tmp_path: Path) -> None:
    said: list[str] = []
    size = Size(users=20, requests_per_second=12, soak_seconds=0.5, samples=8, faults=("failing",))
    good, broken = rehearse(tmp_path / "house", size, said.append)
    story = "\n".join([*said, *map(str, good.failures)])
    assert good.failures == [], story
    assert (list(good.flipped), list(good.astray)) == ([], []), story
    assert good.written, story
    assert broken.rolled_back_seconds is not None
    assert broken.failed_reads == 0, broken.failures
    assert (broken.writes_lost, broken.events_lost, broken.events_doubled) == (0, 0, 0), story
