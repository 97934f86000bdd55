"""How loops over numbers are compiled."""

import pytest

from ptn_backtest.compiled import compiled, inlined


@inlined
def double(number: int) -> int:
    return 2 * number


@compiled
def double_twice(number: int) -> int:
    return double(double(number))


def test_python_is_told_that_a_part_cannot_be_called() -> None:
    """Also once it is compiled; numba would end the process."""
    for _ in range(2):
        with pytest.raises(TypeError, match="double is a part of compiled code"):
            double(1)
        assert double_twice(1) == 4
