"""Numbers as sources hold them: floats, ints, decimals of a database, digits in a text."""

from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from numbers import Integral, Real

_FIRST_S, _LAST_S = 100_000_000, 100_000_000_000
"""Seconds of the years 1973 to 5138."""


def real_number(value: object) -> float:
    """The float that a stored value stands for; NaN and infinities pass.

    Raises:
        ValueError: not a number, or a whole number that no float can hold exactly.
    """
    if type(value) is float:
        return value
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a number")  # noqa: TRY004 - one error for callers
    try:
        if isinstance(value, Integral):
            if float(value) == value:
                return float(value)
        elif isinstance(value, Real | Decimal | str) and "_" not in str(value):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{_shown(value)} is not a number that a float can hold")


def whole_number(value: object) -> int:
    """The int that a stored value stands for, where nothing is lost by it.

    Raises:
        ValueError: not a whole number; the message shows the value.
    """
    if type(value) is int:
        return value
    try:
        if isinstance(value, Integral) and not isinstance(value, bool):
            return int(value)
        if isinstance(value, Real | Decimal | str) and not isinstance(value, bool):
            exact = Decimal(value if isinstance(value, str | Decimal) else float(value))
            if exact == exact.to_integral_value() and "_" not in str(value):
                return int(exact)
    except (InvalidOperation, ValueError, OverflowError):
        pass
    raise ValueError(f"{_shown(value)} is not a whole number")


def hint_of_unit(value: object) -> str:
    """The end of a message about a value that is no time in ms: the unit that it may have, or "".

    A mapping of a database names units so (docs/mapping.md).
    """
    unit = _likely_unit(value)
    return f"; in a mapping, unit = {unit} may be meant" if unit else ""


def _likely_unit(value: object) -> str:
    if isinstance(value, date):
        return '"datetime"'
    try:
        number = real_number(value)
    except ValueError:
        return '"iso"' if isinstance(value, str) and _is_iso(value) else ""
    if _FIRST_S <= number < _LAST_S:
        return '"s"'
    if _FIRST_S <= number / 1e6 < _LAST_S:
        return '"us" (or "ms", where it says "s")'
    return ""


def _is_iso(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _shown(value: object) -> str:
    """As a person writes it: what a database's driver gives is a number or a moment in disguise."""
    return str(value) if isinstance(value, Decimal | date) else repr(value)
