from datetime import UTC, date, datetime

import pytest

from ptn_backtest.clock import format_time, parse_time


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (1735689600000, 1735689600000),
        ("1735689600000", 1735689600000),
        ("1_735_689_600_000", 1735689600000),
        ("0", 0),
        ("-5", -5),
        ("2025-01-01", 1735689600000),
        ("2025-01-01T00:00:00Z", 1735689600000),
        ("2025-01-01 01:00:00+01:00", 1735689600000),
        ("2025-01-01T00:00:00.250", 1735689600250),
        (date(2025, 1, 1), 1735689600000),
        (1.7356896e12, 1735689600000),  # as TOML may have it
        (datetime(2025, 1, 1, tzinfo=UTC), 1735689600000),
        (datetime(2025, 1, 1), 1735689600000),  # noqa: DTZ001 - TOML's local times have no zone
    ],
)
def test_times_are_accepted_as_ms_and_as_dates(value, ms):
    assert parse_time(value) == ms


@pytest.mark.parametrize(
    "value", ["yesterday", "", "20250101", "2025-13-01", True, 1.5, float("inf"), None]
)
def test_what_is_not_a_time_is_named(value):
    with pytest.raises(ValueError, match=str(value) or "''"):
        parse_time(value)


def test_format_shows_a_fraction_only_where_there_is_one():
    assert format_time(1735689600000) == "2025-01-01 00:00:00 UTC"
    assert format_time(1735689600007) == "2025-01-01 00:00:00.007 UTC"
