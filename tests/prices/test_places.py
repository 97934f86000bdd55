"""The index of candles by time, against a search among their times."""

from bisect import bisect_left
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.clock import MINUTE_MS, SECOND_MS
from ptn_backtest.compiled import compiled
from ptn_backtest.prices.places import Index, bits_from, index_candles, last_before, place_of

_PAGE = 64 * 64
_FIRST = 28_000_000  # of minutes: in 2023


@compiled
def look_up(index: Index, i: int, moment: int) -> tuple[int, int]:
    """Place of a moment, and whether a candle starts there; Python cannot call what is inlined."""
    return place_of(index, i, moment), bits_from(index, i, moment) & 1


@compiled
def last_one_before(index: Index, i: int, moment: int) -> int:
    return last_before(index, i, moment)


def moments() -> st.SearchStrategy[list[int]]:
    """Of one pair: near each other, and pages apart."""
    near = st.integers(0, 200)
    far = st.integers(0, 5 * _PAGE)
    return st.lists(st.one_of(near, far), max_size=60, unique=True).map(sorted)


@pytest.mark.parametrize("step_ms", [MINUTE_MS, SECOND_MS])
@given(
    st.sampled_from([_FIRST * MINUTE_MS, -MINUTE_MS]),
    st.lists(moments(), min_size=1, max_size=3),
    st.lists(st.integers(-9_000, 30_000)),
)
def test_finds_what_a_search_finds(
    step_ms: int, first_ms: int, pairs: list[list[int]], asked: list[int]
) -> None:
    first = first_ms // step_ms
    ends = np.cumsum([len(pair) for pair in pairs])
    times_ms = (np.array([*chain(*pairs)], dtype=np.int64) + first) * step_ms
    index = index_candles(times_ms, ends, step_ms)
    for i, pair in enumerate(pairs):
        begin = int(ends[i]) - len(pair)
        around = [moment + shift for moment in pair for shift in (-1, 0, 1, 64, _PAGE)]
        for moment in (*asked, *around):
            found = bisect_left(pair, moment)
            is_there = moment in pair
            assert look_up(index, i, first + moment) == (begin + found, is_there)
            if found > 0:
                assert last_one_before(index, i, first + moment) == first + pair[found - 1]


def test_no_pair_needs_no_index() -> None:
    index = index_candles(np.array([], dtype=np.int64), np.array([], dtype=np.int64), MINUTE_MS)
    assert len(index.first) == len(index.pages) == 0


def test_a_page_without_candles_has_no_slots() -> None:
    """So a trader's few orders in many years cost no memory."""
    year = 365 * 24 * 3_600
    times_ms = np.array([0, 1, 10 * year], dtype=np.int64) * SECOND_MS
    index = index_candles(times_ms, np.array([3]), SECOND_MS)
    assert len(index.slots) == 3 * 64
    assert sum(part.nbytes for part in index) < 2_000_000
