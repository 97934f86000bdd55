import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.clock import DAY_MS, MINUTE_MS
from ptn_backtest.report.packing import plain, scaled, table, times
from ptn_backtest.report.sharing import share
from tests.report.decoded import column

NUMBERS = st.one_of(st.floats(-1e6, 1e6), st.just(math.nan), st.just(math.inf))
TRADERS = st.lists(st.lists(NUMBERS, max_size=20), min_size=1, max_size=5)


@given(TRADERS)
def test_scaled_numbers_are_within_a_step_of_each_traders_range(traders: list[list[float]]) -> None:
    counts = [len(own) for own in traders]
    values = np.array([value for own in traders for value in own], np.float64)
    read = column(table(counts, {"it": scaled(values, counts)}), "it")
    for own, found in zip(traders, read, strict=True):
        known = [value for value in own if math.isfinite(value)]
        span = max(known) - min(known) if known else 0.0
        for value, back in zip(own, found, strict=True):
            if math.isfinite(value):
                assert back == pytest.approx(value, abs=span / 65_534 * 0.51 + 1e-9 * abs(value))
            else:
                assert math.isnan(back)


def test_the_largest_floats_can_be_scaled() -> None:
    largest = float(np.finfo(np.float64).max)
    read = column(table([2], {"it": scaled(np.array([0.0, largest / 2]), [2])}), "it")
    assert read[0] == pytest.approx([0.0, largest / 2])
    assert scaled(np.array([-largest, largest]), [2])["type"] == "scaled"  # a warning is an error


@given(
    st.lists(
        st.lists(st.integers(0, 4_000 * DAY_MS), max_size=12).map(sorted), min_size=1, max_size=4
    )
)
def test_times_come_back_to_their_unit(traders: list[list[int]]) -> None:
    counts = [len(own) for own in traders]
    made = times(np.array([ms for own in traders for ms in own], np.int64), counts)
    gaps = [b - a for own in traders for a, b in pairwise(own)]
    unit_ms = made["unit"] * 1_000
    assert unit_ms == MINUTE_MS or unit_ms <= max(gaps) / 65_000 + MINUTE_MS
    for own, found in zip(traders, column(table(counts, {"it": made}), "it"), strict=True):
        assert [int(s * 1_000) for s in found] == [ms - ms % unit_ms for ms in own]


def test_numbers_stand_as_they_are() -> None:
    values = np.array([1.5, math.nan, -3.25])
    assert column(table([3, 0], {"it": plain(values, "f8")}), "it")[0][::2] == [1.5, -3.25]
    assert column(table([0, 2], {"it": plain(np.array([7, 65_535]), "u2")}), "it") == [
        [],
        [7, 65_535],
    ]


@given(st.lists(st.integers(0, 500), min_size=1), st.integers(1, 300), st.integers(1, 5_000))
def test_a_page_is_shared_out(counts: list[int], most: int, page: int) -> None:
    each = share(counts, most, page)
    assert 1 <= each <= most

    def shown(limit: int) -> int:
        return sum(min(count, limit) for count in counts)

    assert shown(each) <= page or each == 1
    assert each == most or shown(each + 1) > page


def test_who_has_few_leaves_the_rest_to_others() -> None:
    assert share([100, 2, 2], 300, 50) == 46
