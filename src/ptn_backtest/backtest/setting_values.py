"""What each setting of a run may be given as: texts of the environment and options, values of TOML."""

import difflib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ptn_backtest.backtest.execution import ParallelizationMode
from ptn_backtest.clock import FIRST_MS, MINUTE_MS, format_time, parse_time
from ptn_backtest.errors import CandleError, ConfigError, UnknownTradePair
from ptn_backtest.prices.place import checked_place
from ptn_backtest.trade_pairs import TradePair


def parse_setting(name: str, value: Any, where: str) -> Any:  # noqa: ANN401 - that is what it finds out
    """A setting's value from what a file, a variable, an option or Python code gives.

    Args:
        name: the setting.
        value: as given.
        where: where it was given, for the message.

    Raises:
        ConfigError: no such setting, or a value that it cannot have.
    """
    parser = PARSERS.get(name)
    if parser is None:
        near = difflib.get_close_matches(name, PARSERS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{where}: unknown setting {name!r}{hint}")
    try:
        return parser(value)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{where}: {error}") from None


def _flag(value: bool | str) -> bool:
    text = str(value).strip().lower()
    if text in {"true", "yes", "on", "1"}:
        return True
    if text in {"false", "no", "off", "0"}:
        return False
    raise ValueError(f"{value!r} is not true or false")


def _optional_flag(value: bool | str | None) -> bool | None:
    if value is None or str(value).strip().lower() in {"none", "by-date", ""}:
        return None
    return _flag(value)


def _text(value: str | None) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _name(value: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is not a name or file")
    return value


def _path(value: str | Path | None) -> Path | None:
    return Path(value).expanduser() if value else None


def _store(value: str | Path | None) -> Path | str | None:
    try:
        return checked_place(value) if value else None
    except CandleError as error:
        raise ValueError(str(error)) from None


def _optional_time(value: Any) -> int | None:  # noqa: ANN401 - TOML gives ints, texts and dates
    if value is None or value == "":
        return None
    time_ms = parse_time(value)
    if 0 < time_ms < FIRST_MS:
        raise ValueError(
            f"{value} would be {format_time(time_ms)}: if these are seconds, write {time_ms}000"
        )
    return time_ms


def _interval(value: int | str) -> int:
    number = _positive(value)
    if number < MINUTE_MS:
        raise ValueError(
            f"{value} ms are less than a minute, which is how often a position is valued: if these are "
            f"seconds, write {number}000"
        )
    return number


def _positive(value: int | str) -> int:
    number = int(value)
    if number <= 0:
        raise ValueError(f"{value!r} is not above 0")
    return number


def _amount(value: float | str) -> float:
    number = float(value)
    if not 0 < number < math.inf:
        raise ValueError(f"{value!r} is not an amount above 0")
    return number


def _optional_amount(value: float | str | None) -> float | None:
    return None if value is None or value == "" else _amount(value)


def _not_negative(value: int | str) -> int:
    number = int(value)
    if number < 0:
        raise ValueError(f"{value!r} is below 0")
    return number


def _rules(value: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    """One rule, or several; a text may hold commas, so that it is one."""
    return tuple([value] if isinstance(value, str) else value or ())


def _names(value: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    if not value:
        return ()
    given = [value] if isinstance(value, str) else value
    parts = [part.strip() for each in given for part in each.split(",")]
    return tuple(part for part in parts if part)


def _pairs(value: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    try:
        return tuple(TradePair.from_trade_pair_id(name).trade_pair_id for name in _names(value))
    except UnknownTradePair as error:
        raise ValueError(str(error)) from None


def _choice(*allowed: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:  # noqa: ANN401
        if value not in allowed:
            raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
        return str(value)

    return parse


PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "use_test_positions": _flag,
    "use_database_positions": _flag,
    "database_url": _text,
    "database_mapping": _path,
    "positions_path": _path,
    "plagiarism_events": _path,
    "candles": _store,
    "start_time_ms": _optional_time,
    "end_time_ms": _optional_time,
    "interval_ms": _interval,
    "history": _choice("full", "range"),
    "test_single_hotkey": _text,
    "hotkeys": _names,
    "run_challenge": _flag,
    "run_elimination": _flag,
    "run_scoring": _flag,
    "rulebook": _name,
    "rules": _rules,
    "use_slippage": _optional_flag,
    "recalculate_slippage": _flag,
    "fetch_slippage_data": _flag,
    "capital": _amount,
    "drop_pairs": _pairs,
    "leverage_cap": _optional_amount,
    "delay_orders_ms": _not_negative,
    "apply_order_rules": _flag,
    "what_if_hotkeys": _names,
    "build_portfolio_ledgers_only": _flag,
    "parallel_mode": ParallelizationMode.parse,
    "target_ledger_window_ms": _positive,
    "missing_candles": _choice("error", "hold"),
    "state_interval": _not_negative,
    "split_positions": _flag,
    "strict": _flag,
    "output": Path,
    "run_name": _text,
    "overwrite": _flag,
    "plots": _flag,
}
