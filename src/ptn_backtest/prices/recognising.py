"""What a file of candles means by its name, its columns and its times. `docs/candles.md` has the rules."""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ptn_backtest.clock import parse_time
from ptn_backtest.errors import CandleError
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.trade_pairs import TradePair

_T = TypeVar("_T")
Column: TypeAlias = "pa.ChunkedArray[Any]"
TimeUnit: TypeAlias = Literal["s", "ms", "us", "ns"]
TIME_UNITS: tuple[TimeUnit, ...] = ("s", "ms", "us", "ns")

ROLES: Mapping[str, tuple[str, ...]] = {
    "time": (
        *("timestampms", "opentime", "timestamp", "datetime", "time", "date", "ts", "startms"),
        *("start", "opentimems", "timestamps", "timestampus", "timestampns", "unix", "gmttime"),
    ),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c", "price", "last"),
    "volume": ("volume", "v", "vol", "tickvolume", "tickvol"),
    "bid": ("bid",),
    "ask": ("ask",),
    "pair": ("tradepairid", "tradepair", "pair", "symbol", "ticker"),
    "timespan": ("timespan", "interval", "timeframe"),
}
"""What a column can be, and names it is known by: in lower case, letters and digits only."""

_TIMESPANS = {
    Timespan.MINUTE: ("minute", "minutes", "min", "1m", "m1", "1min", "1minute"),
    Timespan.SECOND: ("second", "seconds", "sec", "1s", "s1", "1sec", "1second"),
}
_OTHER_TIMESPAN = re.compile(r"(\d+(m|min|h|d|w|s)|[mh]\d+|daily|hourly)")
_EPOCH_UNIT_FROM = np.array([10**8, 10**11, 10**14, 10**17])
"""A number from here on is in seconds, ms, µs, ns: each covers the years 1973 to 5138."""

_MS_FACTOR, _MS_DIVISOR = np.array([1_000, 1, 1, 1]), np.array([1, 1, 10**3, 10**6])
"""What makes ms of a number in s, ms, µs, ns."""

UNREADABLE = -(2**63)
"""Stands for a time that could not be read."""


def recognise_columns(names: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """{role: column} for what a file has; `given` names columns itself.

    Raises:
        CandleError: no time or close is found, or `given` names what is not there.
    """
    listing = ", ".join(names)
    for role, name in given.items():
        if role not in ROLES:
            raise CandleError(f"{role!r} is no kind of column: there are {', '.join(ROLES)}")
        if name not in names:
            raise CandleError(f"there is no column {name!r} for {role}: the file has {listing}")
    plain = {_plain(name): name for name in reversed(names)}
    found = dict(given)
    for role, known in ROLES.items():
        match = next((plain[name] for name in known if name in plain), None)
        if role not in found and match is not None:
            found[role] = match
    for role in ("time", "close"):
        if role not in found:
            raise CandleError(
                f"no column is recognised as the {role} of a candle among {listing}: "
                f"name it, as in --columns {role}={names[0]}"
            )
    if (
        "time" not in given
        and _plain(found["time"]) in ("time", "date")
        and {
            "time",
            "date",
        }
        <= set(plain)
    ):
        raise CandleError(
            "date and time stand in two columns: join them into one, in UTC, before the import"
        )
    return found


def recognise_pair(text: str) -> str | None:
    """The trade pair id in a file name or a cell: "BTCUSD_1m_2024", "btc-usd", "BTC/USD"."""
    words = [word.upper() for word in re.split(r"[^A-Za-z0-9]+", text) if word]
    known = {pair.trade_pair_id for pair in TradePair.all()}
    joined = [first + second for first, second in pairwise(words)]
    return next((word for word in [*words, *joined] if word in known), None)


def recognise_timespan(text: str) -> Timespan | None:
    """The timespan in a file name or a cell: "BTCUSD_1m_2024", "minute", "1s".

    Raises:
        CandleError: the name says another one, such as 5m.
    """
    words = [word.lower() for word in re.split(r"[^A-Za-z0-9]+", text) if word]
    for timespan, names in _TIMESPANS.items():
        if any(word in names for word in words):
            return timespan
    other = next((word for word in words if _OTHER_TIMESPAN.fullmatch(word)), None)
    if other is not None:
        raise CandleError(
            f"{text!r} seems to hold {other} candles: a replay needs minute or second candles "
            "(--timespan says which, where the name is wrong)"
        )
    return None


def timespan_of_spacing(times_ms: NDArray[np.int64]) -> Timespan | None:
    """The timespan by the commonest distance of neighbours; None where it is another one."""
    steps = np.diff(np.unique(times_ms))
    if not len(steps):
        return None
    values, counts = np.unique(steps, return_counts=True)
    commonest = int(values[counts.argmax()])
    return next((timespan for timespan in Timespan if timespan.ms == commonest), None)


def time_unit_of_name(column: str) -> TimeUnit | None:
    """The unit that a column's name ends in: timestamp_ms, start_us."""
    ending = column.lower().rpartition("_")[2]
    return next((unit for unit in TIME_UNITS if unit == ending), None)


def times_in_ms(column: Column, unit: TimeUnit | None) -> NDArray[np.int64]:
    """Times of any kind in ms since 1970, UTC; `UNREADABLE` where there is none.

    Numbers without a unit are judged by their size, one by one; texts are numbers or ISO 8601, and
    UTC where they say nothing else.
    """
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        moments = column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
        return _filled(moments)
    if pa.types.is_integer(column.type):
        return _epochs_in_ms(_filled(column.cast(pa.int64())), unit)
    if pa.types.is_floating(column.type):
        return _epochs_in_ms(floats(column), unit)
    texts = column.cast(pa.string())
    if pc.all(pc.match_substring_regex(texts, r"^[0-9]{1,18}$")).as_py():
        return _epochs_in_ms(_filled(texts.cast(pa.int64())), unit)
    if pc.all(pc.match_substring_regex(texts, r"^[0-9]+(\.[0-9]*)?([eE]\+?[0-9]+)?$")).as_py():
        return _epochs_in_ms(floats(texts), unit)
    return _iso_in_ms(texts)


def floats(column: Column) -> NDArray[np.float64]:
    """Numbers of any kind as float64; NaN where there is none."""
    try:
        numbers = column.cast(pa.float64())
    except pa.ArrowInvalid:  # one bad cell fails the whole column: find it, keep the others
        return np.array(_each(column, float, np.nan))
    return np.asarray(numbers.to_numpy(), dtype=np.float64)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _epochs_in_ms(
    values: NDArray[np.int64] | NDArray[np.float64], unit: TimeUnit | None
) -> NDArray[np.int64]:
    readable = np.isfinite(values) & (np.abs(values) < 9e18)  # noqa: PLR2004 - fits int64
    values = np.where(readable, values, values.dtype.type(0))
    if unit is None:
        units = np.searchsorted(_EPOCH_UNIT_FROM, values, side="right") - 1
    else:
        units = np.full(len(values), TIME_UNITS.index(unit))
    readable &= (units > 0) | ((units == 0) & (np.abs(values) < _EPOCH_UNIT_FROM[2]))
    values = np.where(readable, values, values.dtype.type(0))
    factors, divisors = _MS_FACTOR[units], _MS_DIVISOR[units]
    if values.dtype.kind == "f":
        ms = np.rint(values * factors / divisors).astype(np.int64)
    else:
        ms = values.astype(np.int64) * factors // divisors
    return np.where(readable, ms, UNREADABLE)


def _iso_in_ms(texts: Column) -> NDArray[np.int64]:
    dashed = pc.replace_substring_regex(
        pc.utf8_trim_whitespace(texts), r"^(\d{4})[./](\d{2})[./](\d{2})", r"\1-\2-\3"
    )
    moments = pc.replace_substring_regex(dashed, r"\s*(UTC|GMT)$", "Z")
    zoned = pc.match_substring_regex(moments, r"(Z|[+-]\d{2}:?\d{2})$")
    nothing = pa.scalar(None, pa.string())
    try:
        with_zone = pc.if_else(zoned, moments, nothing).cast(pa.timestamp("ns", "UTC"))
        without = pc.if_else(zoned, nothing, moments).cast(pa.timestamp("ns"))
    except pa.ArrowInvalid:
        return np.array(_each(moments, parse_time, UNREADABLE))
    ns = pc.coalesce(with_zone.cast(pa.int64()), without.cast(pa.int64()))
    values = _filled(ns)
    return np.where(values == UNREADABLE, UNREADABLE, values // 10**6)


def _each(column: Column, parse: Callable[[str], _T], missing: _T) -> list[_T]:
    """Every cell by itself, `missing` where it cannot be parsed."""
    cells = []
    for cell in column.to_pylist():
        try:
            cells.append(missing if cell is None else parse(cell))
        except ValueError:
            cells.append(missing)
    return cells


def _filled(column: Column) -> NDArray[np.int64]:
    filling: Any = UNREADABLE  # the stubs know of no filling for a column of any type
    return np.asarray(column.fill_null(filling).to_numpy(), dtype=np.int64)
