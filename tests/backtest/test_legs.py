"""How update times are cut into legs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.backtest.legs import cut_into_legs


@given(st.integers(0, 200), st.integers(1, 40))
def test_legs_are_all_updates_in_order_and_as_long_as_asked(n_times: int, n_updates: int) -> None:
    times_ms = list(range(7, 7 + n_times))

    legs = cut_into_legs(times_ms, n_updates)

    assert [t_ms for leg in legs for t_ms in leg] == times_ms
    assert all(len(leg) == n_updates for leg in legs[:-1])
    assert all(0 < len(leg) <= n_updates + 1 for leg in legs[-1:])


@pytest.mark.parametrize(
    ("n_times", "n_updates", "lengths"),
    [
        (121, 30, [30, 30, 30, 31]),
        (122, 30, [30, 30, 30, 30, 2]),
        (31, 30, [31]),
        (1, 30, [1]),
        (3, 1, [1, 1, 1]),
        (0, 30, []),
    ],
)
def test_an_update_is_not_left_alone_at_the_end(
    n_times: int, n_updates: int, lengths: list[int]
) -> None:
    legs = cut_into_legs(range(n_times), n_updates)

    assert [len(leg) for leg in legs] == lengths
