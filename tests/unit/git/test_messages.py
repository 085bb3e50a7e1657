from hypothesis import given
from hypothesis import strategies as st

from weave_nn.services.git.adapters.staging import Change
from weave_nn.services.git.service.messages import MAX_TRAILERS, compose

PATHS = st.text(st.characters(exclude_characters="\0/"), min_size=1, max_size=300)


def updates(*paths: str) -> list[Change]:
    return [Change("update", path) for path in paths]


def test_the_first_line_says_what_where_and_which() -> None:
    message = compose(updates("projects/acme/a.md", "projects/acme/b.md", "projects/acme/deep/c.md"))
    assert message.startswith("notes: update 3 in projects/acme (a, b, c)\n\n- update projects/acme/a.md\n")


def test_one_note_needs_no_list_and_the_vaults_folder_is_left_out() -> None:
    assert compose(updates("notes/x/a.md"), "notes/") == "notes: update 1 in x (a)\n"


def test_kinds_are_counted_in_a_fixed_order() -> None:
    changes = [Change("delete", "a.md"), Change("rename", "c.md", "b.md"), Change("create", "d.png")]
    message = compose(changes)
    assert message.startswith("notes: create 1, rename 1, delete 1 (a, c, d.png)\n")
    assert "- rename b.md -> c.md\n" in message


def test_a_subject_of_ones_own_stands_first() -> None:
    assert compose(updates("a.md"), subject="Before the workshop") == "Before the workshop\n"


@given(st.lists(PATHS, min_size=1, max_size=200), st.lists(st.uuids().map(str), max_size=60))
def test_any_message_is_bounded_and_its_trailers_are_only_the_events(paths: list[str], events: list[str]) -> None:
    message = compose(updates(*paths), event_ids=events)
    subject, *rest = message.split("\n")
    assert len(subject) < 200
    assert len(message) < 100_000
    trailers = [line for line in rest if line.startswith("Weave-Event: ")]
    assert trailers == [f"Weave-Event: {event}" for event in events[:MAX_TRAILERS]]
    message.encode()
