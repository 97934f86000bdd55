"""Market hours, as sorted times at which a market opens and closes in turn.

Every question is a `searchsorted` in such an array of edges: even positions open, odd ones close.
"""

import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
from dateutil.easter import easter
from numpy.typing import NDArray

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.errors import ConfigError
from ptn_backtest.trade_pairs import TradePairCategory

FIRST_YEAR, LAST_YEAR = 2018, 2045
"""The calendars cover these years; the network's first orders are of 2023."""

_NEW_YORK = ZoneInfo("America/New_York")
_SATURDAY, _SUNDAY, _FRIDAY = 5, 6, 4
_WEEK_TURN = time(17)
"""Forex opens on Sunday and closes on Friday at this time in New York."""


@cache
def session_edges(category: TradePairCategory) -> NDArray[np.int64]:
    """Times in ms at which the market opens (even positions) and closes (odd ones), ascending.

    A market that never closes has one edge, long past; one that never opens has none.

    Raises:
        ConfigError: equities, and the package that knows exchange sessions is not installed.
    """
    match category:
        case TradePairCategory.CRYPTO:
            edges = [-NEVER_MS]
        case TradePairCategory.FOREX:
            edges = [edge for session in _forex_sessions() for edge in session]
        case TradePairCategory.EQUITIES:
            edges = [edge for session in _nasdaq_sessions() for edge in session]
        case TradePairCategory.INDICES:  # retired from the network
            edges = []
    array = np.array(edges, dtype=np.int64)
    array.flags.writeable = False
    return array


def open_at(category: TradePairCategory, times_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the market is open at each of these times."""
    passed = np.searchsorted(session_edges(category), times_ms, side="right")
    return (passed % 2).astype(np.bool_)


def forex_holidays(year: int) -> set[date]:
    """New York days without forex: fixed dates move from a weekend to the nearest weekday."""
    fixed = (date(year, 1, 1), date(year, 12, 25), date(year, 12, 26), date(year + 1, 1, 1))
    good_friday = easter(year) - timedelta(days=2)
    return {_nearest_weekday(day) for day in fixed} | {good_friday}


def _nearest_weekday(day: date) -> date:
    return day + timedelta(days={_SATURDAY: -1, _SUNDAY: 1}.get(day.weekday(), 0))


def _forex_sessions() -> Iterator[tuple[int, int]]:
    """Sessions (open, close): the open parts of each New York day, joined at midnight."""
    holidays = {
        day for year in range(FIRST_YEAR - 1, LAST_YEAR + 1) for day in forex_holidays(year)
    }
    opened: int | None = None
    closes = 0
    day = date(FIRST_YEAR, 1, 1)
    while day.year <= LAST_YEAR:
        next_day = day + timedelta(days=1)
        if day not in holidays and day.weekday() != _SATURDAY:
            opens = _new_york_ms(day, _WEEK_TURN if day.weekday() == _SUNDAY else time(0))
            if opened is not None and opens != closes:
                yield opened, closes
                opened = None
            opened = opens if opened is None else opened
            on_friday = day.weekday() == _FRIDAY
            closes = _new_york_ms(day, _WEEK_TURN) if on_friday else _new_york_ms(next_day, time(0))
        day = next_day
    if opened is not None:
        yield opened, closes


def _new_york_ms(day: date, at: time) -> int:
    moment = datetime.combine(day, at, tzinfo=_NEW_YORK).astimezone(UTC)
    return round(moment.timestamp()) * 1_000


def _nasdaq_sessions() -> Iterator[tuple[int, int]]:
    try:
        import exchange_calendars  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as missing:
        raise ConfigError(
            "equities need their exchange's sessions: pip install 'ptn-backtest[equities]'"
        ) from missing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's own use of pandas is not our users' affair
        calendar = exchange_calendars.get_calendar(
            "XNAS", start=f"{FIRST_YEAR}-01-01", end=f"{LAST_YEAR}-12-31"
        )
        schedule = calendar.schedule
        sessions = list(zip(schedule["open"], schedule["close"], strict=True))
    for opens, closes in sessions:
        yield round(opens.timestamp() * 1_000), round(closes.timestamp() * 1_000)
