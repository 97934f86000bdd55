"""Rows in order: by whole numbers, then by text."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.sources.database.joining import _rows_by

NUMBERS = st.one_of(
    st.integers(0, 3),
    st.integers(0, 2**17),
    st.sampled_from([0, 2**16 - 1, 2**16, 2**32, 2**48 - 1, 2**62, 2**63 - 1]),
)
TEXTS = st.sampled_from(["", "a", "b", "B", "é", "\U0001d11e"])
ROW = st.tuples(NUMBERS, NUMBERS, TEXTS)


@given(st.lists(ROW, unique=True))
def test_by_numbers_then_by_text(found: list[tuple[int, int, str]]) -> None:
    first, second = (np.array([row[at] for row in found], dtype=np.int64) for at in (0, 1))
    rows = _rows_by([first, second], pa.array([row[2] for row in found], pa.string()))
    assert [found[row] for row in rows] == sorted(found)
