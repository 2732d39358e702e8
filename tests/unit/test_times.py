# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Formatting and parsing of times and durations."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.ranchhand.rancher.plugins.module_utils._common.times import (
    LONGEST_DURATION,
    UTC,
    format_duration,
    format_precise_time,
    format_time,
    now,
    parse_duration,
    parse_time,
    parse_timestamp,
)
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime.datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31t12:00:00z",
        "2026-01-31 12:00:00Z",
        "2026-01-31T13:00:00+01:00",
        "2026-01-31T06:30:00-0530",
    ],
)
def test_times_with_offset_are_parsed_to_utc(text):
    assert parse_time(text) == NOON
    assert parse_time(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("fraction", "microseconds"),
    [
        pytest.param(".5", 500000, id="1 digit"),
        pytest.param(".000001", 1, id="6 digits"),
        pytest.param(".123456789", 123456, id="9 digits"),
    ],
)
def test_fractions_of_any_length_are_parsed(fraction, microseconds):
    assert parse_time(f"2026-01-31T12:00:00{fraction}Z") == NOON.replace(microsecond=microseconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-02-30T12:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-01:00",
        "9999-12-31T23:59:59Z",
        "9900-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2026-01-31T12:00:00Z ",
        "٢٠٢٦-01-31T12:00:00Z",
        "2026-01-31T12:00:00+99:99",
    ],
)
def test_other_times_are_rejected(text):
    with pytest.raises(ValueError, match=r"^is not a "):
        parse_time(text)


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00Z", "9899-12-31T23:59:59Z"])
def test_the_first_and_the_last_time_are_parsed(text):
    assert format_time(parse_time(text)) == text
    assert parse_timestamp(parse_time(text).timestamp()) == parse_time(text)


def test_the_current_time_is_in_utc():
    assert now().tzinfo is UTC and abs(now() - datetime.datetime.now(UTC)) < datetime.timedelta(minutes=1)


@given(st.datetimes(datetime.datetime(1970, 1, 3), datetime.datetime(9899, 12, 29), timezones=st.timezones()))
def test_formatted_times_are_parsed_to_the_same_time(time):
    utc = time.astimezone(UTC)
    assert parse_time(format_time(time)) == utc.replace(microsecond=0)
    assert parse_time(format_precise_time(time)) == utc
    assert format_time(time).endswith("Z")


@pytest.mark.parametrize("seconds", [1e300, float("inf"), float("nan"), -1e15, 999999999999.999, -1, None])
def test_timestamps_that_are_not_times_are_rejected(seconds):
    with pytest.raises(ValueError):
        parse_timestamp(seconds)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("0s", 0, id="zero"),
        pytest.param("90s", 90, id="seconds"),
        pytest.param(" 15m ", 900, id="minutes, with spaces"),
        pytest.param("24h", 86400, id="hours"),
        pytest.param("90d", 7776000, id="days"),
        pytest.param("2w", 1209600, id="weeks"),
        pytest.param("3650d", LONGEST_DURATION, id="the longest"),
        pytest.param("000000000001s", 1, id="12 digits"),
    ],
)
def test_durations_are_parsed_to_seconds(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "s", "1.5h", "-1s", "1h30m", "90 s", "٩s", "1y"])
def test_other_durations_are_rejected(text):
    with pytest.raises(ValueError, match=r"^must be a number with a unit, such as 30s, 15m, 24h, 90d or 2w$"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["3651d", "522w", f"{LONGEST_DURATION + 1}s", "0" * 12 + "1s", "9" * 5000 + "s"])
def test_durations_beyond_the_bound_are_rejected(text):
    with pytest.raises(ValueError, match=r"^must not be longer than 3650d$"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(0, "0s", id="zero"),
        pytest.param(-5, "0s", id="negative"),
        pytest.param(1.9, "1s", id="fraction"),
        pytest.param(90, "1m 30s", id="minutes and seconds"),
        pytest.param(120, "2m", id="minutes"),
        pytest.param(3600, "1h", id="an hour"),
        pytest.param(86399, "23h 59m", id="hours and minutes, without seconds"),
        pytest.param(86400, "1d", id="a day"),
        pytest.param(93784, "1d 2h", id="days and hours"),
        pytest.param(LONGEST_DURATION, "3650d", id="the longest"),
    ],
)
def test_durations_are_formatted_in_at_most_two_units(seconds, text):
    assert format_duration(seconds) == text
