from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from ptn_backtest.sources.numeric import hint_of_unit, real_number, whole_number

NOON = datetime(2025, 6, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (NOON, "2025-06-02 12:00:00+00:00 is not a whole number"),
        (Decimal("1748843705.901"), "1748843705.901 is not a whole number"),
        ("noon", "'noon' is not a whole number"),
        (1.5, "1.5 is not a whole number"),
    ],
)
def test_a_value_is_told_as_a_person_writes_it(value: Any, told: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is looked at
        whole_number(value)
    assert str(raised.value) == told


def test_so_is_what_is_no_number() -> None:
    with pytest.raises(ValueError, match=r"^2025-06-02 12:00:00"):
        real_number(NOON)


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (NOON, '"datetime"'),
        (date(2025, 6, 2), '"datetime"'),
        (Decimal("1748843705.901"), '"s"'),
        (1748843705.901, '"s"'),
        ("1748843705.901", '"s"'),
        ("2025-06-02T12:00:00Z", '"iso"'),
        (1_748_843_705_901_000, '"us" (or "ms", where it says "s")'),
        ("noon", None),
        (1.5, None),
        (None, None),
        (float("nan"), None),
        (1_748_843_705_901.5, None),
    ],
)
def test_the_unit_that_may_be_meant(value: Any, unit: str | None) -> None:
    expected = f"; in a mapping, unit = {unit} may be meant" if unit else ""
    assert hint_of_unit(value) == expected
