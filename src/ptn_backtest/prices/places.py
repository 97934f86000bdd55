"""Where candles are in a table, by their time: a bit for every moment at which one may start.

Moments are counted by the step of the candles. 64 of them make a slot, 64 slots a page. A page
without candles costs nothing but its entry, so that an index grows with candles rather than with time;
and a place is found by three look-ups, without a search.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import MINUTE_MS, NEVER_MS, SECOND_MS
from ptn_backtest.compiled import compiled, inlined, prefetch

SLOT = np.dtype([("before", np.int64), ("bits", np.int64)])
"""64 moments: bit k says whether a candle starts at moment k; `before`: candles of the page before it."""

PAGE = np.dtype([("first", np.int64), ("slot", np.int64)])
"""64 slots, from `slot` on; `first`: place of the first candle that does not start before the page."""

_SLOTS = 64
_PAGE = 64 * _SLOTS

_Times: TypeAlias = NDArray[np.int64]
_Rows: TypeAlias = NDArray[np.void]

Empty: TypeAlias = Callable[[int, type[np.generic]], NDArray[Any]]
"""As `numpy.empty`: an array of so many numbers of a kind, which may lie where others read it."""


class Index(NamedTuple):
    """The places of several pairs' candles of one length.

    `pages`, `slots`: rows of PAGE and SLOT. Of pair i, pages `first[i]` to `last[i]` stand for page
    numbers from `zero[i] + first[i]` on; the first and the last of them are empty, and serve for all
    times before and after.
    """

    first: _Times
    last: _Times
    zero: _Times
    pages: _Rows
    slots: _Rows


def index_candles(
    times_ms: _Times, ends: NDArray[np.int64], step_ms: int, empty: Empty = np.empty
) -> Index:
    """Index the candles of several pairs.

    Args:
        times_ms: starts of all candles; of each pair ascending, multiples of the step.
        ends: where each pair's candles end.
        step_ms: length of a candle, a minute or a second.
        empty: makes the array of slots, which is large.
    """
    page_ms = step_ms * _PAGE
    begins = np.concatenate(([0], ends)).astype(np.int64)[:-1]
    parts = []
    first, zero = np.zeros(len(ends), dtype=np.int64), np.zeros(len(ends), dtype=np.int64)
    n_pages, n_slots = 0, _SLOTS  # the first slots are those of all pages without candles
    for i, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        mine = times_ms[begin:end]
        low, high = (mine[0] // page_ms, mine[-1] // page_ms) if len(mine) else (0, -1)
        starts = np.searchsorted(mine, np.arange(low - 1, high + 3) * page_ms)
        pages = np.zeros(len(starts) - 1, dtype=PAGE)
        pages["first"] = begin + starts[:-1]
        filled = np.flatnonzero(np.diff(starts))
        pages["slot"][filled] = n_slots + _SLOTS * np.arange(len(filled))
        first[i], zero[i] = n_pages, low - 1 - n_pages
        n_pages, n_slots = n_pages + len(pages), n_slots + _SLOTS * len(filled)
        parts.append(pages)
    last = np.append(first[1:], n_pages)[: len(first)]
    pages = np.concatenate([*parts, np.zeros(0, dtype=PAGE)])
    slots = empty(n_slots * (SLOT.itemsize // 8), np.int64)
    slots[:] = 0
    index = Index(first, last - 1, zero, pages, slots.view(SLOT))
    for i, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        _set_bits(index, i, times_ms[begin:end], step_ms)
    _count_before(index.slots)
    return index


@compiled
def _set_bits(index: Index, i: int, times_ms: _Times, step_ms: int) -> None:
    begun, place = -NEVER_MS, 0
    for k in range(len(times_ms)):
        moment = moment_of(times_ms[k], step_ms)
        if moment // 64 != begun:  # most candles are in the slot of the one before
            begun = moment // 64
            place = index.pages[moment // _PAGE - index.zero[i]].slot + begun % _SLOTS
        index.slots[place].bits |= 1 << (moment % 64)


@compiled
def _count_before(slots: _Rows) -> None:
    before = 0
    for k in range(len(slots)):
        if k % _SLOTS == 0:
            before = 0
        slots[k].before = before
        before += _count(slots[k].bits)


@inlined
def moment_of(time_ms: int, step_ms: int) -> int:
    """Which moment a time is; constant divisors are quick."""
    return time_ms // SECOND_MS if step_ms == SECOND_MS else time_ms // MINUTE_MS


@inlined
def place_of(index: Index, i: int, moment: int) -> int:
    """Place of the first candle of pair i that does not start before a moment."""
    page = _page_of(index, i, moment)
    slot = index.slots[page.slot + moment // 64 % _SLOTS]
    place: int = page.first + slot.before + _count(slot.bits & ((1 << (moment % 64)) - 1))
    return place


@inlined
def bits_from(index: Index, i: int, moment: int) -> int:
    """Bit k: whether a candle of pair i starts k moments after this one; up to the end of its slot."""
    page = _page_of(index, i, moment)
    bits: int = index.slots[page.slot + moment // 64 % _SLOTS].bits
    return bits >> (moment % 64)


@inlined
def last_before(index: Index, i: int, moment: int) -> int:
    """The last moment before this one at which a candle of pair i starts; there has to be one."""
    at = moment - 1
    bits = _bits_until(index, i, at)
    while bits == 0:
        at -= at % 64 + 1
        bits = _bits_until(index, i, at)
    while not bits >> (at % 64) & 1:
        at -= 1
    return at


@inlined
def expect_moment(index: Index, i: int, moment: int) -> None:
    """Have memory bring what `place_of` will read."""
    page = _page_of(index, i, moment)
    prefetch(index.slots, page.slot + moment // 64 % _SLOTS)


@inlined
def _bits_until(index: Index, i: int, moment: int) -> int:
    """The bits of a moment's slot up to its own."""
    page = _page_of(index, i, moment)
    bits: int = index.slots[page.slot + moment // 64 % _SLOTS].bits
    return bits & ((2 << (moment % 64)) - 1)


@inlined
def _page_of(index: Index, i: int, moment: int) -> Any:  # noqa: ANN401 - a row of PAGE
    page = moment // _PAGE - index.zero[i]
    return index.pages[min(max(page, index.first[i]), index.last[i])]


@inlined
def _count(bits: int) -> int:
    """How many bits are set; one instruction to the compiler."""
    count = 0
    while bits:
        bits &= bits - 1
        count += 1
    return count
