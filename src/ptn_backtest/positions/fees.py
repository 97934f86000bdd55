"""The carry fee of a position, as the network charges it (compiled)."""

from ptn_backtest.clock import DAY_MS, HOUR_MS
from ptn_backtest.compiled import compiled
from ptn_backtest.positions.columns import Row, Rows

SAMPLING_MS = 8 * HOUR_MS
"""Leverage is sampled in windows of this length, for forex too (quirk 6)."""

_WEDNESDAY, _SATURDAY = 2, 5
_WEEKDAY_OF_1970 = 3  # a Thursday, counting from Monday


@compiled
def time_to_interval_end(time_ms: int, period_ms: int, phase_ms: int) -> int:
    """Time from a moment to the next interval end, strictly after it, ms.

    The network subtracts datetimes and truncates the seconds x 1000, which is 1 ms short now and
    then (quirk 4); dividing and multiplying by 1000 rounds in the same way.
    """
    left_ms = period_ms - (time_ms - phase_ms) % period_ms
    return int((left_ms / 1000.0) * 1000.0)


@compiled
def carry_fee(
    position: Row, orders: Rows, states: Rows, last: int, at_ms: int, accrues_from_ms: int
) -> tuple[float, int]:
    """Carry fee of a position at a time, as (factor on its value, time of the next change).

    The n intervals that ended since the start are not sampled where they lie: window 0 runs from
    the start for as long as it is from *now* to the next interval end, and the others follow in
    steps of 8 hours (quirks 5 and 6). So the fee depends on when it is asked, and can fall.

    Args:
        position: row of POSITION.
        orders: rows of ORDER.
        states: rows of ORDER_STATE; a closing order leaves no leverage.
        last: index after the last known order; after the closing one where that is known.
        at_ms: the time; not later than the close.
        accrues_from_ms: no fee accrues before it.
    """
    first = position.first
    period_ms, phase_ms = position.carry_period_ms, position.carry_phase_ms
    start_ms = max(accrues_from_ms, orders[first].time_ms)
    if at_ms < start_ms:
        return 1.0, min(at_ms + period_ms, start_ms)
    to_next_ms = time_to_interval_end(at_ms, period_ms, phase_ms)
    elapsed_ms = at_ms - start_ms
    intervals = elapsed_ms // period_ms
    if elapsed_ms % period_ms >= time_to_interval_end(start_ms, period_ms, phase_ms):
        intervals += 1
    fee = 1.0
    window_start, window_end = start_ms, start_ms + to_next_ms
    k, largest, factor, tripled = first, 0.0, 1.0, 1.0
    for _ in range(intervals):
        while k < last and orders[k].time_ms < window_start:
            k += 1
        held = _largest_leverage(orders, states, first, last, k, window_start, window_end)
        if held != largest:  # powers are dear, and most windows hold what the one before did
            largest = held
            factor = position.carry_factor**largest
            tripled = factor**3.0  # a whole number would be multiplied out, with another last bit
        if not position.carry_weekdays_only:
            fee *= factor
        else:
            weekday = (window_end // DAY_MS + _WEEKDAY_OF_1970) % 7
            if weekday == _WEDNESDAY:
                fee *= tripled
            elif weekday < _SATURDAY:
                fee *= factor
        window_start, window_end = window_end, window_end + SAMPLING_MS
    return fee, at_ms + to_next_ms


@compiled
def _largest_leverage(
    orders: Rows, states: Rows, first: int, last: int, k: int, start_ms: int, end_ms: int
) -> float:
    """Largest |leverage| held in a window, both ends included; `k` is the first order not before it.

    An order inside counts with the leverage before and after it, one exactly at the start with the
    leverage after it only; the first order beyond the end vouches for the leverage before it.
    """
    current = abs(states[k - 1].held) if k > first else 0.0
    if k == last:
        return current
    largest = 0.0
    while k < last and orders[k].time_ms <= end_ms:
        if orders[k].time_ms > start_ms:
            largest = max(largest, current)
        current = abs(states[k].held)
        largest = max(largest, current)
        k += 1
    return max(largest, current) if k < last else largest
