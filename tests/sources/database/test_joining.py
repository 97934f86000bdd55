"""Rows in order: by digits as by any other sort."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.sources.database.joining import _argsort

NUMBERS = st.one_of(
    st.integers(0, 3),
    st.integers(0, 2**17),
    st.sampled_from([0, 2**16 - 1, 2**16, 2**32, 2**48 - 1, 2**62, 2**63 - 1]),
)


@given(st.lists(NUMBERS))
def test_equal_numbers_stay_as_they_stand(numbers: list[int]) -> None:
    rows = _argsort(np.array(numbers, dtype=np.int64))
    assert rows.tolist() == sorted(range(len(numbers)), key=numbers.__getitem__)
