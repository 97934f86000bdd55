"""Numbers as sources hold them: floats, ints, decimals of a database, digits in a text."""

from decimal import Decimal, InvalidOperation
from numbers import Integral, Real


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
    raise ValueError(f"{value!r} is not a number that a float can hold")


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
    raise ValueError(f"{value!r} is not a whole number")
