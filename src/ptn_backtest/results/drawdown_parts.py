"""What a fall of a portfolio was made of: which pairs, and which fees.

A ledger keeps records of checkpoints only, so a pair's value at the portfolio's peak is not known. The
parts are therefore counted from the recorded value nearest to the peak; what lies between the two is
told apart (`before_parts`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptn_backtest.ledger.breach import Breach
from ptn_backtest.ledger.checkpoint import PORTFOLIO, Checkpoints, PerfLedger

_VALUE = "prev_portfolio_ret"
_SPREAD = "prev_portfolio_spread_fee"
_CARRY = "prev_portfolio_carry_fee"


@dataclass(frozen=True, slots=True)
class PairPart:
    """What one pair did to the portfolio in a fall.

    Attributes:
        trade_pair_id: the pair.
        change: its value at the end / at the beginning - 1; pairs multiply.
        share: of the fall's log, 1.0 = all of it; negative for a pair that gained.
    """

    trade_pair_id: str
    change: float
    share: float


@dataclass(frozen=True, slots=True)
class DrawdownParts:
    """The deepest fall of a portfolio, or the one to its breach, taken apart.

    Attributes:
        peak: running peak above it, at least 1.
        peak_from_ms: the peak was reached after this...
        peak_to_ms: ...and by this time; both None where its checkpoint has left the window.
        low: value at the bottom: at the breach, or the lowest of a checkpoint.
        low_from_ms: the bottom was after this...
        low_to_ms: ...and by this time; the same for a breach, which is known exactly.
        drawdown_percent: fall from peak to low.
        from_ms: the record from which parts are counted; None where there are no parts.
        from_value: portfolio value there.
        to_ms: to when: the breach, or a record.
        to_value: portfolio value there.
        before_parts: from_value / peak - 1: what was lost before parts are counted.
        pairs: largest loss first; () without pair ledgers.
        unexplained: what the pairs' product leaves of to_value / from_value, - 1; rounding only
            unless a ledger lacks a pair.
        spread_fee: fraction of the value taken by spread fees, from `from_ms` to `fees_to_ms`.
        carry_fee: the same of carry fees.
        fees_to_ms: the record up to which fees are known; None without one after `from_ms`.
    """

    peak: float
    peak_from_ms: int | None
    peak_to_ms: int | None
    low: float
    low_from_ms: int
    low_to_ms: int
    drawdown_percent: float
    from_ms: int | None = None
    from_value: float | None = None
    to_ms: int | None = None
    to_value: float | None = None
    before_parts: float | None = None
    pairs: tuple[PairPart, ...] = ()
    unexplained: float | None = None
    spread_fee: float | None = None
    carry_fee: float | None = None
    fees_to_ms: int | None = None


@dataclass(frozen=True, slots=True)
class _Fall:
    """From where to where parts are counted."""

    from_ms: int
    from_value: float
    to_ms: int
    to_value: float


def breach_parts(
    ledgers: Mapping[str, PerfLedger], breach: Breach, positions: Sequence[Mapping[str, Any]]
) -> DrawdownParts:
    """The fall from the peak to an exact breach.

    Args:
        ledgers: of the trader.
        breach: the record at which the limit was reached.
        positions: rows of positions.parquet; those closed by then complete each pair's value.
    """
    cps = ledgers[PORTFOLIO].cps
    peak_from_ms, peak_to_ms = _when_reached(ledgers[PORTFOLIO], breach.peak, breach.time_ms)
    whole = DrawdownParts(
        peak=breach.peak,
        peak_from_ms=peak_from_ms,
        peak_to_ms=peak_to_ms,
        low=breach.value,
        low_from_ms=breach.time_ms,
        low_to_ms=breach.time_ms,
        drawdown_percent=100 * breach.drawdown,
    )
    begin = _nearest_record(ledgers[PORTFOLIO], peak_from_ms, peak_to_ms, breach.peak)
    if begin is None or begin[0] >= breach.time_ms:
        return whole
    fall = _Fall(*begin, breach.time_ms, breach.value)
    at_end: dict[str, float] = {}
    for row in positions:
        if row["close_ms"] is not None and row["close_ms"] <= breach.time_ms:
            pair = row["trade_pair_id"]
            at_end[pair] = at_end.get(pair, 1.0) * row["return_at_close"]
    # a position that is closed by the breach's own batch is among those held
    held = {position.position_uuid for position in breach.positions}
    for row in positions:
        if row["position_uuid"] in held and (row["close_ms"] or math.inf) <= breach.time_ms:
            at_end[row["trade_pair_id"]] /= row["return_at_close"] or 1.0
    for position in breach.positions:
        pair = position.trade_pair_id
        at_end[pair] = at_end.get(pair, 1.0) * position.return_at_close
    return _with_parts(whole, fall, ledgers, at_end, cps)


def deepest_parts(ledgers: Mapping[str, PerfLedger]) -> DrawdownParts | None:
    """The deepest drawdown in a portfolio's window, to 12 hours; None if it never fell."""
    portfolio = ledgers[PORTFOLIO]
    cps = portfolio.cps
    k = int(np.argmin(cps["mdd"]))
    mdd = float(cps["mdd"][k])
    if mdd >= 1:
        return None
    peak = max(1.0, float(cps["mpv"][: k + 1].max()))
    low_to_ms = int(cps["last_update_ms"][k])
    low_from_ms = low_to_ms - int(cps["accum_ms"][k])
    peak_from_ms, peak_to_ms = _when_reached(portfolio, peak, low_to_ms)
    whole = DrawdownParts(
        peak=peak,
        peak_from_ms=peak_from_ms,
        peak_to_ms=peak_to_ms,
        low=mdd * peak,
        low_from_ms=low_from_ms,
        low_to_ms=low_to_ms,
        drawdown_percent=100 * (1 - mdd),
    )
    begin = _nearest_record(portfolio, peak_from_ms, peak_to_ms, peak)
    ends = [
        (int(cps["last_update_ms"][j]), float(cps[_VALUE][j]))
        for j in (k - 1, k)
        if j >= 0 and begin and cps["last_update_ms"][j] > begin[0]
    ]
    if begin is None or not ends:
        return whole
    end = min(ends, key=lambda record: record[1])
    if end[1] >= begin[1]:
        return whole
    at_end = {
        pair: value
        for pair, ledger in ledgers.items()
        if pair != PORTFOLIO and (value := _value_at(ledger, end[0])) is not None
    }
    return _with_parts(whole, _Fall(*begin, *end), ledgers, at_end, cps)


def _with_parts(
    whole: DrawdownParts,
    fall: _Fall,
    ledgers: Mapping[str, PerfLedger],
    at_end: Mapping[str, float],
    cps: Checkpoints,
) -> DrawdownParts:
    factors: dict[str, float] = {}
    for pair, value in at_end.items():
        before = _value_at(ledgers[pair], fall.from_ms) if pair in ledgers else None
        if before:
            factors[pair] = value / before
    total = fall.to_value / fall.from_value
    log_total = math.log(total) if total > 0 else -math.inf
    pairs = [
        PairPart(
            trade_pair_id=pair,
            change=factor - 1,
            share=math.log(factor) / log_total if factor > 0 and log_total else math.nan,
        )
        for pair, factor in factors.items()
        if factor != 1
    ]
    pairs.sort(key=lambda part: (part.change, part.trade_pair_id))
    spread_fee, carry_fee, fees_to_ms = _fees(cps, fall)
    return DrawdownParts(
        peak=whole.peak,
        peak_from_ms=whole.peak_from_ms,
        peak_to_ms=whole.peak_to_ms,
        low=whole.low,
        low_from_ms=whole.low_from_ms,
        low_to_ms=whole.low_to_ms,
        drawdown_percent=whole.drawdown_percent,
        from_ms=fall.from_ms,
        from_value=fall.from_value,
        to_ms=fall.to_ms,
        to_value=fall.to_value,
        before_parts=fall.from_value / whole.peak - 1,
        pairs=tuple(pairs),
        unexplained=total / product - 1
        if pairs and (product := math.prod(factors.values()))
        else None,
        spread_fee=spread_fee,
        carry_fee=carry_fee,
        fees_to_ms=fees_to_ms,
    )


def _fees(cps: Checkpoints, fall: _Fall) -> tuple[float | None, float | None, int | None]:
    """Fractions that fees took between records: from the beginning to the one nearest to the end."""
    times = cps["last_update_ms"]
    after = np.flatnonzero(times > fall.from_ms)
    if not len(after):
        return None, None, None
    end = int(after[np.argmin(np.abs(times[after] - fall.to_ms))])
    begin = np.flatnonzero(times <= fall.from_ms)
    spread, carry = (
        float(cps[name][end]) / (float(cps[name][begin[-1]]) if len(begin) else 1.0)
        for name in (_SPREAD, _CARRY)
    )
    return 1 - spread, 1 - carry, int(times[end])


def _when_reached(
    portfolio: PerfLedger, peak: float, until_ms: int
) -> tuple[int | None, int | None]:
    """Between which records the running peak was reached; the first order where it is the 1 then."""
    if peak <= 1:
        return portfolio.initialization_time_ms, portfolio.initialization_time_ms
    cps = portfolio.cps
    begins = cps["last_update_ms"] - cps["accum_ms"]
    found = np.flatnonzero((cps["mpv"] >= peak) & (begins < until_ms))
    if not len(found):
        return None, None
    first = int(found[0])
    begin_ms = max(int(begins[first]), portfolio.initialization_time_ms)
    return begin_ms, min(int(cps["last_update_ms"][first]), until_ms)


def _nearest_record(
    portfolio: PerfLedger, from_ms: int | None, to_ms: int | None, peak: float
) -> tuple[int, float] | None:
    """(time, value) of the recorded value nearest to the peak, at either end of its checkpoint."""
    if from_ms is None or to_ms is None:
        return None
    cps = portfolio.cps
    records = [
        (int(row["last_update_ms"]), float(row[_VALUE]))
        for row in cps
        if from_ms <= row["last_update_ms"] <= to_ms
    ]
    if from_ms == portfolio.initialization_time_ms:
        records.insert(0, (from_ms, 1.0))
    return min(records, key=lambda record: abs(record[1] - peak), default=None)


def _value_at(ledger: PerfLedger, t_ms: int) -> float | None:
    """Value at the last record by a time; 1 before the first order, None before the window."""
    if t_ms <= ledger.initialization_time_ms:
        return 1.0
    known = np.flatnonzero(ledger.cps["last_update_ms"] <= t_ms)
    if len(known):
        return float(ledger.cps[_VALUE][known[-1]])
    begins_ms = int(ledger.cps["last_update_ms"][0] - ledger.cps["accum_ms"][0])
    # between the first order and the first record: the trader's other pairs have a record there
    return 1.0 if begins_ms <= ledger.initialization_time_ms else None
