import contextlib
import json
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.shared.errors import InvalidInput
from weave_nn.vault.periodic import (
    Period,
    PeriodDisabled,
    PeriodicSettings,
    expand_template,
    format_moment,
    periodic_path,
    read_settings,
    template_path,
)

DAY = date(2026, 11, 23)
ALL = read_settings(None, json.dumps({period: {"enabled": True} for period in Period}).encode())


def settings(daily: Any = None, plugin: Any = None) -> PeriodicSettings:
    return read_settings(*(None if given is None else json.dumps(given).encode() for given in (daily, plugin)))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("YYYY-MM-DD", "2024-02-03"),
        ("YY.M.D", "24.2.3"),
        ("dddd, MMMM Do YYYY", "Saturday, February 3rd 2024"),
        ("ddd dd MMM", "Sat Sa Feb"),
        ("DDDD DDD DDDo", "034 34 34th"),
        ("YYYY-[Q]Q Qo", "2024-Q1 1st"),
        ("GGGG-[W]WW W", "2024-W05 5"),
        ("gggg-[W]ww w", "2024-W05 5"),
        ("HH:mm:ss h A kk", "00:07:09 12 AM 24"),
        ("YYYY/MM-MMMM/YYYY-MM-DD-dddd", "2024/02-February/2024-02-03-Saturday"),
        ("[Week] [of] YYYY", "Week of 2024"),
        (r"\D\D DD", "DD 03"),
        ("YYYY年MM月", "2024年02月"),
        ("YYYY-MM-DDTHH", "2024-02-03T00"),
        ("d E e", "6 6 6"),
    ],
)
def test_moment_tokens(pattern: str, text: str) -> None:
    assert format_moment(datetime(2024, 2, 3, 0, 7, 9), pattern) == text  # noqa: DTZ001 - file names are in local time


@pytest.mark.parametrize(
    ("day", "iso", "locale"),
    [
        (date(2024, 12, 29), "2024-W52", "2025-W01"),
        (date(2024, 12, 30), "2025-W01", "2025-W01"),
        (date(2025, 1, 4), "2025-W01", "2025-W01"),
        (date(2025, 1, 5), "2025-W01", "2025-W02"),
        (date(2021, 1, 1), "2020-W53", "2021-W01"),
        (date(2022, 12, 31), "2022-W52", "2022-W53"),
    ],
)
def test_weeks_of_iso_and_of_the_english_locale(day: date, iso: str, locale: str) -> None:
    moment = datetime.combine(day, datetime.min.time())
    assert format_moment(moment, "GGGG-[W]WW") == iso
    assert format_moment(moment, "gggg-[W]ww") == locale


@pytest.mark.parametrize("day", [1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 31])
def test_ordinals(day: int) -> None:
    endings = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}
    assert format_moment(datetime(2024, 1, day), "Do") == f"{day}{endings.get(day, 'th')}"  # noqa: DTZ001 - as above


def test_a_token_that_is_not_known_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"\[L\]"):
        format_moment(datetime.combine(DAY, datetime.min.time()), "YYYY L")


@pytest.mark.parametrize(
    ("period", "path"),
    [
        (Period.DAILY, "2026-11-23.md"),
        (Period.WEEKLY, "2026-W48.md"),
        (Period.MONTHLY, "2026-11.md"),
        (Period.QUARTERLY, "2026-Q4.md"),
        (Period.YEARLY, "2026.md"),
    ],
)
def test_default_formats(period: Period, path: str) -> None:
    assert periodic_path(ALL, period, DAY) == path


def test_daily_notes_by_obsidians_own_settings() -> None:
    chosen = settings({"folder": "Daily", "template": "Templates/Daily Note Template"})
    assert periodic_path(chosen, Period.DAILY, DAY) == "Daily/2026-11-23.md"
    assert template_path(chosen, Period.DAILY) == "Templates/Daily Note Template.md"
    assert periodic_path(settings(), Period.DAILY, DAY) == "2026-11-23.md"
    assert template_path(settings(), Period.DAILY) is None
    nested = settings({"folder": "/Journal/", "format": "YYYY/MM/DD"})
    assert periodic_path(nested, Period.DAILY, DAY) == "Journal/2026/11/23.md"


def test_the_plugin_goes_before_and_can_turn_a_period_off() -> None:
    plugin = {
        "daily": {"enabled": True, "folder": "D", "format": "", "template": ""},
        "weekly": {"enabled": True, "format": "GGGG-[W]WW", "folder": "W", "templatePath": "T/Week.md"},
        "monthly": {"enabled": False},
    }
    chosen = settings({"folder": "Other"}, plugin)
    assert periodic_path(chosen, Period.DAILY, DAY) == "D/2026-11-23.md"
    assert periodic_path(chosen, Period.WEEKLY, DAY) == "W/2026-W48.md"
    assert template_path(chosen, Period.WEEKLY) == "T/Week.md"
    for period in (Period.MONTHLY, Period.YEARLY):
        with pytest.raises(PeriodDisabled):
            periodic_path(chosen, period, DAY)
    with pytest.raises(PeriodDisabled):
        periodic_path(settings({"folder": "Other"}, {"daily": {"enabled": False}}), Period.DAILY, DAY)


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b"null", b'{"folder": 1, "format": ["x"]}', b"\xff"])
def test_broken_settings_count_as_not_given(broken: bytes) -> None:
    assert periodic_path(read_settings(broken, broken), Period.DAILY, DAY) == "2026-11-23.md"


def test_a_template_is_filled_in() -> None:
    now = datetime(2026, 1, 2, 9, 5)  # noqa: DTZ001 - notes are in local time
    text = "# {{title}}\n{{date}} {{ Date : dddd }} {{date:YYYY/[W]WW}} {{time}} {{time:HH}} {{other}} $& \\1"
    assert expand_template(text, title=r"A \1", day=DAY, now=now) == (
        "# A \\1\n2026-11-23 Monday 2026/W48 09:05 09 {{other}} $& \\1"
    )


@given(st.dates(), st.sampled_from(Period), st.sampled_from(["gggg-[W]ww", "GGGG-[W]WW", "YYYY-MM-DD"]))
def test_every_day_of_a_week_has_one_note(day: date, period: Period, weekly: str) -> None:
    chosen = settings(
        None, {name: {"enabled": True} for name in Period} | {"weekly": {"enabled": True, "format": weekly}}
    )
    assert periodic_path(chosen, period, day).endswith(".md")
    first = 0 if weekly.startswith("G") else 6
    week = [
        day + timedelta(days=shift - (day.weekday() - first) % 7) for shift in range(7) if 7 < day.toordinal() < 3e6
    ]
    assert len({periodic_path(chosen, Period.WEEKLY, each) for each in week}) <= 1


@given(st.datetimes(), st.text(max_size=20))
def test_any_format_gives_text_or_a_typed_error(moment: datetime, pattern: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert isinstance(format_moment(moment, pattern), str)
