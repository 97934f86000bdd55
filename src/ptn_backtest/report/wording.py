"""How a report puts things: figures and reasons, the same on the page and in the terminal."""

import math
from collections.abc import Iterable

from ptn_backtest.backtest.result import RunResult
from ptn_backtest.clock import format_time

SYNTHETIC = "Synthetic data"
SYNTHETIC_NOTICE = "Positions or candles are made up for tests; no figure is a track record."

_HOTKEY_LETTERS = 46
"""Addresses have 46 to 48; a shorter one was cut."""


def percent(fraction: float, digits: int = 2) -> str:
    """A fraction as 1.23%, without a sign for what rounds to 0."""
    if not math.isfinite(fraction):
        return "n/a"
    return f"{_without_minus_zero(100 * fraction, digits):,.{digits}f}%"


def signed_percent(fraction: float, digits: int = 2) -> str:
    """A change as +1.23% or -1.23%."""
    text = percent(fraction, digits)
    return f"+{text}" if fraction > 0 and text.strip("0.,%") else text


def usd(amount: float) -> str:
    """An amount of USD, rounded, with its sign: +1,235 or -12."""
    if not math.isfinite(amount):
        return "n/a"
    whole = _without_minus_zero(amount, 0)
    return f"{whole:+,.0f}" if whole else "0"


def tone(change: float) -> str:
    """How a change is coloured: "up", "down", or "" for none."""
    return "up" if change > 0 else "down" if change < 0 else ""


def figure(number: float) -> str:
    """A score, factor or metric: 4 digits that count, 1 and 0 as they are."""
    if not math.isfinite(number):
        return "n/a"
    return f"{number:,.0f}" if abs(number) >= 10_000 else f"{number:.4g}"  # noqa: PLR2004


def count(number: int, singular: str, plural: str = "") -> str:
    """1 order, 2,000 orders."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def shorten(text: str, width: int = 13, tail: int = 6) -> str:
    """A hotkey cut in its middle, its last `tail` letters kept: 5HDmzy…covxKwZ."""
    if len(text) <= width:
        return text
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def short_names(texts: Iterable[str]) -> dict[str, str]:
    """Each hotkey with a short form: the shortest cuts that tell all of them apart.

    Real hotkeys differ in their first letters; made-up ones may differ in the middle only.
    """
    texts = list(texts)
    for width, tail in ((13, 6), (13, 3), (16, 2), (19, 1)):
        names = {text: shorten(text, width, tail) for text in texts}
        if len(set(names.values())) == len(names):
            return names
    return {text: shorten(text) for text in texts}


def why_nothing(result: RunResult) -> tuple[str, list[str]]:
    """Why a run has no ledger: the reason, and what to do about it."""
    period = f"{format_time(result.start_ms)} to {format_time(result.end_ms)}"
    if result.failed_traders and not result.positions:
        return (
            f"Every trader failed ({count(len(result.failed_traders), 'trader')}).",
            ["Read the messages under “Failed traders”: each says what to do."],
        )
    if result.positions:
        loaded = count(len(result.positions), "position")
        return (
            f"{loaded} came out of the source, but none became a ledger in {period}.",
            [
                "Check that the end of the run is after the first order.",
                "Read the warnings, and the messages of failed traders, if there are any.",
            ],
        )
    if result.rejections:
        return (
            f"All that the source held was set aside ({count(len(result.rejections), 'position')}).",
            [
                "Read under “Set aside” what was wrong with the rows, and where they are.",
                "If every row has the same fault, the mapping of columns or the time unit is wrong.",
            ],
        )
    hotkey = result.settings.get("test_single_hotkey")
    trader = f" for the hotkey {hotkey}" if hotkey else ""
    check = "Check the list of hotkeys, if one was given."
    if hotkey:
        whole = "" if len(hotkey) >= _HOTKEY_LETTERS else " (it must be given whole)"
        check = f"Check the hotkey{whole}, or leave it out to load all traders."
    what_to_do = [
        check,
        f"Check that the source is the one you mean: {result.source}.",
    ]
    if not result.end_ms:  # neither settings nor positions gave one
        return f"The source holds no positions{trader}.", what_to_do
    return (
        f"The source holds no positions{trader} that were open by {format_time(result.end_ms)}.",
        [
            f"Check the time range: {period}. Times are milliseconds, or ISO dates in UTC.",
            *what_to_do,
        ],
    )


def _without_minus_zero(number: float, digits: int) -> float:
    return round(number, digits) or 0.0
