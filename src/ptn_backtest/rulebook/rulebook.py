"""The network's rules as data with dates: one immutable value, read from a TOML file.

Everything that computes with money takes its constants from here, so that another rule set is
another value. Shipped rulebooks stand in `data/rulebooks/`; a user's file names one of them as its
base, and what changes. What is not yet here (challenge period, eliminations) arrives with the
stages that use it.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from ptn_backtest.clock import HOUR_MS, NEVER_MS, format_time, parse_time
from ptn_backtest.errors import ConfigError
from ptn_backtest.trade_pairs import TradePair, TradePairCategory

SHIPPED: Final = ("2024-05", "2024-07", "2025-07", "2025-11")
"""Names of the shipped rulebooks, by date."""
DEFAULT_NAME: Final = "2025-11"

_TIMES = {("fees", "v4"), ("carry", "from"), ("slippage", "from")}
_NEVER = "never"
_ABOUT = ("name", "base", "in_force")


@dataclass(frozen=True, slots=True)
class CarryRule:
    """Carry fee of an asset class: each interval multiplies the value by `factor ** leverage`.

    Attributes:
        period_hours: length of an interval.
        phase_hours: an interval ends at every multiple of the period since 1970 plus this.
        yearly_rate: what `intervals_a_year` intervals cost at leverage 1 (fraction).
        intervals_a_year: see there.
        weekdays_only: intervals sampled on Saturday and Sunday are free, Wednesday counts thrice.
    """

    period_hours: int
    phase_hours: int
    yearly_rate: float
    intervals_a_year: int
    weekdays_only: bool

    @property
    def period_ms(self) -> int:
        """Length of an interval, ms."""
        return self.period_hours * HOUR_MS

    @property
    def phase_ms(self) -> int:
        """Offset of the interval ends, ms."""
        return self.phase_hours * HOUR_MS

    @property
    def factor(self) -> float:
        """Value kept per interval at leverage 1."""
        return float((1 - self.yearly_rate) ** (1 / self.intervals_a_year))


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The rules that turn orders and prices into returns.

    Attributes:
        name: how a run records it.
        in_force: when the network used it, in words.
        fee_v4_ms: before it, the fee is trade pair fee x largest leverage; from it on carry x spread.
        crypto_spread_rate: spread fee of crypto, per unit of cumulative leverage.
        pair_fee_share: share of each pair's own fee that is a spread fee, likewise.
        spread_until_slippage: whether the spread fee falls away once slippage counts.
        carry_from_ms: carry fees accrue from here.
        carry_rules: by asset class.
        slippage_v1_ms: slippage enters entry and exit prices from here.
    """

    name: str
    in_force: str
    fee_v4_ms: int
    crypto_spread_rate: float
    pair_fee_share: float
    spread_until_slippage: bool
    carry_from_ms: int
    carry_rules: tuple[tuple[TradePairCategory, CarryRule], ...]
    slippage_v1_ms: int

    def carry(self, pair: TradePair) -> CarryRule:
        """The carry rule of a pair."""
        return dict(self.carry_rules)[pair.category]

    def spread_rate(self, pair: TradePair) -> float:
        """Spread fee per unit of cumulative leverage."""
        own = self.crypto_spread_rate if pair.is_crypto else 0.0
        return own + self.pair_fee_share * pair.fee

    def slippage_from_ms(self, use_slippage: bool | None) -> int:
        """The time from which slippage counts: `True` always, `False` never, `None` by the date."""
        if use_slippage is None:
            return self.slippage_v1_ms
        return -NEVER_MS if use_slippage else NEVER_MS

    def spread_until_ms(self, use_slippage: bool | None) -> int:
        """The time until which the spread fee is charged."""
        return self.slippage_from_ms(use_slippage) if self.spread_until_slippage else NEVER_MS

    def to_dict(self) -> dict[str, Any]:
        """Whole, in the shape of its file, times as text; `rulebook_from` gives it back."""
        return {
            "name": self.name,
            "in_force": self.in_force,
            "fees": {
                "v4": _time_text(self.fee_v4_ms),
                "crypto_spread_rate": self.crypto_spread_rate,
                "pair_fee_share": self.pair_fee_share,
                "spread_until_slippage": self.spread_until_slippage,
            },
            "carry": {
                "from": _time_text(self.carry_from_ms),
                **{
                    category.value: {name: getattr(rule, name) for name in CarryRule.__slots__}
                    for category, rule in self.carry_rules
                },
            },
            "slippage": {"from": _time_text(self.slippage_v1_ms)},
        }


def load_rulebook(name: str | Path) -> Rulebook:
    """A shipped rulebook by its name, or one from a TOML file.

    Raises:
        ConfigError: no such rulebook or file, or a mistake in the file; the message names the key.
    """
    if str(name) in SHIPPED:
        return _shipped(str(name))
    path = Path(name)
    if not path.is_file():
        near = difflib.get_close_matches(str(name), SHIPPED, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(
            f"no rulebook {str(name)!r}: it is neither a file nor one of {', '.join(SHIPPED)}{hint}"
        )
    try:
        changes = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a rulebook: {error}") from None
    return rulebook_from(changes, str(path))


def rulebook_from(changes: Mapping[str, Any], where: str) -> Rulebook:
    """A rulebook from what a file says: a whole one, or a base and what changes.

    Args:
        changes: the file's tables.
        where: how errors name the file.

    Raises:
        ConfigError: an unknown base or key, or a value of the wrong kind.
    """
    base = changes.get("base")
    if base is not None and base not in SHIPPED:
        raise ConfigError(f"{where}: base {base!r} is not one of {', '.join(SHIPPED)}")
    pattern = _shipped(DEFAULT_NAME).to_dict()
    settings = _shipped(str(base)).to_dict() if base else pattern
    settings |= {"name": Path(where).stem, "in_force": f"as {where} says"}
    _merge(settings, changes, pattern, where, ())
    return _built(settings)


@cache
def _shipped(name: str) -> Rulebook:
    text = files("ptn_backtest").joinpath(f"data/rulebooks/{name}.toml").read_text("utf-8")
    settings = tomllib.loads(text)
    return rulebook_from(settings, name) if "base" in settings else _built(settings)


def _merge(
    settings: dict[str, Any],
    changes: Mapping[str, Any],
    pattern: Mapping[str, Any],
    where: str,
    path: tuple[str, ...],
) -> None:
    """Put the changes in their places; the pattern says what there is, and of what kind."""
    for key, value in changes.items():
        here = (*path, key)
        shown = f"{where}: {'.'.join(here)}"
        if not path and key in _ABOUT:
            settings[key] = str(value)
        elif key not in pattern:
            near = difflib.get_close_matches(key, pattern, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(pattern)}"
            raise ConfigError(f"{shown}: no such rule{hint}")
        elif isinstance(pattern[key], dict):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{shown}: a table of rules is wanted, not {value!r}")
            _merge(settings[key], value, pattern[key], where, here)
        else:
            settings[key] = _checked(value, pattern[key], here, shown)


def _checked(value: Any, like: Any, path: tuple[str, ...], shown: str) -> Any:  # noqa: ANN401
    """The value, if it is of the kind that the rule has."""
    if path in _TIMES:
        try:
            return _time_text(_time_ms(value))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{shown}: {error}, or {_NEVER!r}") from None
    if isinstance(like, bool) or isinstance(value, bool):
        if type(value) is not type(like):
            raise ConfigError(
                f"{shown}: {value!r} is not {'true or false' if isinstance(like, bool) else 'a number'}"
            )
        return value
    if not isinstance(value, int | float) or value < 0:
        raise ConfigError(f"{shown}: {value!r} is not a number of 0 or more")
    if isinstance(like, int) and (value != int(value) or ("phase" not in path[-1] and value < 1)):
        raise ConfigError(f"{shown}: {value!r} is not a whole number above 0")
    return type(like)(value)


def _built(settings: Mapping[str, Any]) -> Rulebook:
    fees, carry = settings["fees"], settings["carry"]
    return Rulebook(
        name=settings["name"],
        in_force=settings["in_force"],
        fee_v4_ms=_time_ms(fees["v4"]),
        crypto_spread_rate=fees["crypto_spread_rate"],
        pair_fee_share=fees["pair_fee_share"],
        spread_until_slippage=fees["spread_until_slippage"],
        carry_from_ms=_time_ms(carry["from"]),
        carry_rules=tuple(
            (category, CarryRule(**carry[category.value])) for category in TradePairCategory
        ),
        slippage_v1_ms=_time_ms(settings["slippage"]["from"]),
    )


def _time_ms(value: Any) -> int:  # noqa: ANN401 - TOML gives ints, texts and dates
    return NEVER_MS if value == _NEVER else parse_time(value)


def _time_text(ms: int) -> str:
    return (
        _NEVER if ms == NEVER_MS else format_time(ms).removesuffix(" UTC").replace(" ", "T") + "Z"
    )


DEFAULT_RULEBOOK = _shipped(DEFAULT_NAME)
