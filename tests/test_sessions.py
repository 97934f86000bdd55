from datetime import UTC, date, datetime

import numpy as np
import pytest

from ptn_backtest.sessions import forex_holidays, open_at, session_edges
from ptn_backtest.trade_pairs import TradePairCategory as Category


def is_open(category: Category, moment: str) -> bool:
    ms = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1000)
    return bool(open_at(category, np.array([ms]))[0])


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2025-01-10T21:59:59", True),  # Friday, 17:00 in New York is 22:00 UTC in winter
        ("2025-01-10T22:00:00", False),
        ("2025-01-11T12:00:00", False),
        ("2025-01-12T21:59:59", False),
        ("2025-01-12T22:00:00", True),
        ("2025-07-11T20:59:59", True),  # 21:00 UTC in summer
        ("2025-07-11T21:00:00", False),
        ("2025-07-13T21:00:00", True),
        ("2025-07-04T12:00:00", True),  # Independence Day is open (quirk 28)
        ("2025-04-18T03:59:59", True),  # Good Friday begins at midnight in New York
        ("2025-04-18T04:00:00", False),
        ("2025-12-25T04:59:59", True),
        ("2025-12-25T05:00:00", False),
        ("2025-12-25T23:30:00", False),  # the evening, too
        ("2025-12-26T12:00:00", False),
        ("2026-01-01T12:00:00", False),
        ("2026-01-02T05:00:00", True),
    ],
)
def test_forex_hours(moment, expected):
    assert is_open(Category.FOREX, moment) is expected


def test_fixed_forex_holidays_move_to_the_nearest_weekday():
    # in 2021 Christmas was a Saturday and Boxing Day a Sunday; New Year of 2022 a Saturday
    assert {date(2021, 12, 24), date(2021, 12, 27), date(2021, 12, 31)} <= forex_holidays(2021)
    assert date(2021, 12, 25) not in forex_holidays(2021)


def test_crypto_is_always_open_and_indices_never():
    assert is_open(Category.CRYPTO, "2025-12-25T12:00:00")
    assert not is_open(Category.INDICES, "2025-07-10T15:00:00")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2025-03-10T13:29:59", False),
        ("2025-03-10T13:30:00", True),
        ("2025-03-10T19:59:59", True),
        ("2025-03-10T20:00:00", False),
        ("2024-11-29T18:00:00", False),  # the day after Thanksgiving closes at 13:00 in New York
        ("2024-11-29T17:59:59", True),
        ("2025-01-09T16:00:00", False),  # a day of national mourning
    ],
)
def test_equities_follow_their_exchange(moment, expected):
    assert is_open(Category.EQUITIES, moment) is expected


@pytest.mark.parametrize("category", list(Category))
def test_edges_ascend(category):
    assert np.all(np.diff(session_edges(category)) > 0)
