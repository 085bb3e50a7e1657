"""The next occurrence: the plugin's documented examples, and rules that hold for every rule."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.services.tasks.contract import StatusType
from weave_nn.services.tasks.service.recurrence import Occurrence, Recurrence
from weave_nn.services.tasks.service.statuses import Status, Statuses

TODAY = date(2022, 2, 13)


@pytest.mark.parametrize(
    ("rule", "due", "expected"),
    [
        ("every Sunday", "2021-04-25", "2021-05-02"),
        ("every 3 days", "2022-01-30", "2022-02-02"),
        ("every 10 days when done", "2021-01-01", "2022-02-23"),
        ("every weekday", "2022-02-11", "2022-02-14"),
        ("every week on Sunday", "2022-02-13", "2022-02-20"),
        ("every week on Tuesday, Friday", "2022-02-15", "2022-02-18"),
        ("every 2 weeks", "2021-10-30", "2021-11-13"),
        ("every 2 weeks on Monday, Wednesday", "2022-02-16", "2022-02-28"),
        ("every 3 weeks on Friday", "2022-02-11", "2022-03-04"),
        ("every 2 months", "2022-01-15", "2022-03-15"),
        ("every month on the 1st", "2022-01-15", "2022-02-01"),
        ("every month on the last", "2022-01-31", "2022-02-28"),
        ("every month on the last Friday", "2022-02-13", "2022-02-25"),
        ("every month on the 2nd last Friday", "2022-02-13", "2022-02-18"),
        ("every 6 months on the 2nd Wednesday", "2022-02-09", "2022-08-10"),
        ("every January on the 15th", "2022-02-13", "2023-01-15"),
        ("every February on the last", "2022-02-13", "2022-02-28"),
        ("every April and December on the 1st and 24th", "2022-12-24", "2023-04-01"),
        ("every year", "2022-02-13", "2023-02-13"),
        ("every month on the 15th", "2022-02-15", "2022-03-15"),
        ("EVERY Day", "2022-02-28", "2022-03-01"),
        # A day that is missing moves back, unless the rule names it; leap days too.
        ("every month", "2021-10-31", "2021-11-30"),
        ("every month", "2022-01-30", "2022-02-28"),
        ("every 3 months", "2022-01-31", "2022-04-30"),
        ("every month on the 31st", "2022-01-31", "2022-03-31"),
        ("every month on the 31st", "2022-05-31", "2022-07-31"),
        ("every year", "2024-02-29", "2025-02-28"),
        ("every week when done", "2021-02-06", "2022-02-20"),
    ],
)
def test_next_occurrence_is_the_documented_one(rule: str, due: str, expected: str) -> None:
    recurrence = Recurrence.parse(rule)
    assert recurrence is not None
    following = recurrence.next(Occurrence(due=date.fromisoformat(due)), today=TODAY)
    assert following == Occurrence(due=date.fromisoformat(expected))


@pytest.mark.parametrize("rule", ["every", "every seven weeks", "daily", "", "every day for 3 times", "every month: 1"])
def test_what_the_plugin_cannot_read_is_no_rule(rule: str) -> None:
    assert Recurrence.parse(rule) is None


def test_a_rule_without_a_day_has_no_next_occurrence() -> None:
    recurrence = Recurrence.parse("every February on the 31st")
    assert recurrence is not None
    assert recurrence.next(Occurrence(due=TODAY), today=TODAY) is None


def test_other_dates_keep_their_distance_to_the_reference() -> None:
    recurrence = Recurrence.parse("every 2 weeks")
    assert recurrence is not None
    before = Occurrence(scheduled=date(2021, 10, 28), due=date(2021, 10, 30), start=date(2021, 10, 1))
    assert recurrence.next(before, today=TODAY) == Occurrence(
        scheduled=date(2021, 11, 11), due=date(2021, 11, 13), start=date(2021, 10, 15)
    )
    assert recurrence.next(Occurrence(), today=TODAY) == Occurrence()


@given(
    st.sampled_from(["day", "week", "month", "year", "weekday", "week on Friday", "month on the last"]),
    st.integers(1, 30),
    st.dates(date(1990, 1, 1), date(2090, 12, 31)),
)
def test_the_next_day_is_later_and_never_skips_a_plain_period(unit: str, interval: int, due: date) -> None:
    recurrence = Recurrence.parse(f"every {interval} {unit}")
    assert recurrence is not None
    following = recurrence.next(Occurrence(due=due), today=TODAY)
    assert following is not None
    assert following.due is not None
    assert following.due > due
    longest = {"day": 1, "week": 7, "month": 31, "year": 366}.get(unit)
    if longest is not None:
        assert following.due - due <= timedelta(days=longest * interval)


@given(st.text("every 1234 dayweekmonthson the lastand,!", max_size=40))
def test_reading_a_rule_never_fails(text: str) -> None:
    recurrence = Recurrence.parse(f"every {text}")
    if recurrence is not None:
        recurrence.next(Occurrence(due=TODAY), today=TODAY)


def test_the_next_occurrence_is_never_done_or_cancelled() -> None:
    assert Statuses().for_next_occurrence("x") == " "
    cycle = Statuses(
        (
            Status(" ", "Todo", "/", StatusType.TODO),
            Status("x", "Done", "-", StatusType.DONE),
            Status("/", "In Progress", "x", StatusType.IN_PROGRESS),
            Status("-", "Cancelled", " ", StatusType.CANCELLED),
        )
    )
    assert cycle.for_next_occurrence("x") == " "
    loop = Statuses((Status("D", "Done", "C", StatusType.DONE), Status("C", "Off", "D", StatusType.CANCELLED)))
    assert loop.for_next_occurrence("D") == " "
    assert Statuses().of("?").type is StatusType.TODO
