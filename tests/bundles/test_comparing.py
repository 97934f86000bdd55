"""Comparing two JSON values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.bundles.comparing import ABSENT, Comparison

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def compared(
    found: object, expected: object, rtol: float = 1e-9, atol: float = 1e-12
) -> Comparison:
    comparison = Comparison(rtol, atol)
    comparison.compare("x", found, expected)
    return comparison


@given(JSON)
def test_a_value_equals_itself_to_the_bit(value: object) -> None:
    comparison = compared(value, value, 0, 0)
    assert comparison.differences == []
    assert comparison.largest is None


@given(JSON, JSON)
def test_it_does_not_matter_which_side_is_which(one: object, other: object) -> None:
    there, back = compared(one, other), compared(other, one)
    assert there.n_values == back.n_values
    assert sorted(d.path for d in there.differences) == sorted(d.path for d in back.differences)


@given(st.floats(1e-3, 1e12), st.floats(-3e-9, 3e-9))
def test_floats_may_differ_by_the_tolerance(value: float, change: float) -> None:
    other = value * (1 + change)
    equal = math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-12)
    assert (compared(value, other).differences == []) == equal


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (1_747_206_012_345, 1_747_206_012_346),
        (1, 1.0000000001),
        (1, True),
        (0, None),
        (0, False),
        ("inf", 1.0),
        ("a", "b"),
        ([], {}),
        ([1], 1),
        (2e-12, 0.0),
    ],
)
def test_everything_else_may_not_differ(found: object, expected: object) -> None:
    (difference,) = compared(found, expected).differences
    assert difference.path == "x"
    assert difference.beyond


@pytest.mark.parametrize(
    ("found", "expected"), [(1, 1.0), (-0.0, 0.0), (1e-13, 0.0), ("inf", "inf")]
)
def test_what_counts_as_equal(found: object, expected: object) -> None:
    assert compared(found, expected).differences == []


def test_keys_and_elements_that_one_side_lacks_are_differences() -> None:
    comparison = compared({"a": [1, 2], "c": 3}, {"a": [1], "b": {"d": 1}})
    assert [str(difference) for difference in comparison.differences] == [
        "x/a/1: 2 vs '(missing)'",
        "x/b: '(missing)' vs '(present)'",
        "x/c: 3 vs '(missing)'",
    ]
    assert comparison.n_values == 1
    assert len(compared(ABSENT, []).differences) == 1


def test_the_largest_is_one_beyond_the_tolerance_if_there_is_one() -> None:
    # an integer that is off by 1 in 13 digits is beyond, a float that is off by more is not
    small, large = {"ms": 1_747_206_012_346}, {"ms": 1_747_206_012_345}
    comparison = compared({"f": 1.0 + 5e-10, **small}, {"f": 1.0, **large})
    assert comparison.largest is not None
    assert comparison.largest.path == "x/ms"
    # within the tolerance it is told too, and noise around 0 does not hide what matters
    comparison = compared({"f": 1.0 + 5e-10, "zero": 3e-17}, {"f": 1.0, "zero": 1e-17})
    assert comparison.differences == []
    assert comparison.largest is not None
    assert comparison.largest.path == "x/f"
    assert comparison.largest.relative == pytest.approx(5e-10, rel=1e-6)
