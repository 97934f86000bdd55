"""Times: integer milliseconds since 1970-01-01 UTC, everywhere."""

from datetime import UTC, datetime
from typing import SupportsIndex

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

FIRST_MS = 100_000_000_000
"""March 1973. A smaller number is a time in seconds, which as ms would be a day of 1970."""

NEVER_MS = 2**62
"""Later than every time that can occur; stands for "not closed" and "never"."""


def parse_time(value: float | str | datetime) -> int:
    """Milliseconds of a time given as whole ms, as an ISO 8601 date or date-time, or as a datetime.

    A text of digits is taken as milliseconds. A date-time without an offset is UTC.

    Raises:
        ValueError: the value is none of these; the message shows it.
    """
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(f"{value!r} is not a time: give milliseconds or an ISO date")
    if isinstance(value, float):
        return int(value)
    if isinstance(value, SupportsIndex):  # also NumPy's whole numbers
        return value.__index__()
    if isinstance(value, str):
        value = _from_text(value)
        if isinstance(value, int):
            return value
    if not hasattr(value, "year"):
        raise ValueError(f"{value!r} is not a time: give milliseconds or an ISO date")
    if not hasattr(value, "hour"):  # a TOML file's plain date
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    since = value - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000


def _from_text(value: str) -> int | datetime:
    text = value.strip().replace("_", "")
    if text.removeprefix("-").isdigit() and "-" not in text[1:]:
        # eight digits could be meant as a compact ISO date: as ms it would be a day of 1970
        if len(text) == 8:  # noqa: PLR2004
            raise ValueError(f"{value!r} is ambiguous: write 2025-01-31, or milliseconds")
        return int(text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{value!r} is not a time: give milliseconds (1735689600000) "
            "or an ISO date (2025-01-01, 2025-01-01T12:00:00Z)"
        ) from None


def format_time(ms: int) -> str:
    """A time as people read it: 2025-01-31 12:00:00.500 UTC, without a zero fraction."""
    moment = datetime.fromtimestamp(ms // 1_000, tz=UTC)
    fraction = f".{ms % 1_000:03d}" if ms % 1_000 else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} UTC"


def format_date(ms: int) -> str:
    """The UTC date of a time: 2025-01-31."""
    return f"{datetime.fromtimestamp(ms // 1_000, tz=UTC):%Y-%m-%d}"
