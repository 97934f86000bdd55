"""A replay bundle: a folder that holds one exact replay.

    scenario.json     settings and positions
    candles.parquet   the prices
    expected.json     results to compare with (optional)

`docs/bundles.md` describes every field.
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

from ptn_backtest.bundles.candle_file import BundleCandles
from ptn_backtest.clock import NEVER_MS
from ptn_backtest.errors import BundleError, ConfigError
from ptn_backtest.ledger.checkpoint import WINDOW_MS
from ptn_backtest.positions.conversion import convert, explain
from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook import (
    DEFAULT_NAME,
    DEFAULT_RULEBOOK,
    Rulebook,
    load_rulebook,
    rulebook_from,
)
from ptn_backtest.sources.numeric import real_number
from ptn_backtest.sources.plagiarism import PlagiarismEvent
from ptn_backtest.sources.shapes import position_record

FORMAT_VERSION = 1
SCENARIO_FILE = "scenario.json"
CANDLES_FILE = "candles.parquet"
EXPECTED_FILE = "expected.json"

Mode = Literal["ledger", "backtest"]

_N_EXAMPLES = 3
_PLAGIARISM = "plagiarism_events"


@dataclass(frozen=True, slots=True)
class BundleSettings:
    """What decides the figures of a replay, beside positions and prices.

    Attributes:
        mode: "ledger" builds ledgers; "backtest" steps with the network's rules, where they are on.
        update_times_ms: every time at which ledgers are updated, ascending.
        start_time_ms: first step of mode "backtest", None in mode "ledger".
        account_sizes: {hotkey: ((update time in ms, USD), ...)}.
        use_slippage: True always, False never, None by the network's date.
        rulebook: fees and dates.
        build_portfolio_ledgers_only: no ledgers by trade pair.
        target_ledger_window_ms: time that a ledger's checkpoints may cover.
        run_challenge: challenge period rules.
        run_elimination: elimination rules.
        run_scoring: scores at the end.
        plagiarism_events: recorded ones, in time order; challenge period rules use them.
    """

    mode: Mode
    update_times_ms: tuple[int, ...]
    start_time_ms: int | None = None
    account_sizes: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    use_slippage: bool | None = None
    rulebook: Rulebook = DEFAULT_RULEBOOK
    build_portfolio_ledgers_only: bool = False
    target_ledger_window_ms: int = WINDOW_MS
    run_challenge: bool = False
    run_elimination: bool = False
    run_scoring: bool = False
    plagiarism_events: tuple[PlagiarismEvent, ...] = ()

    @property
    def start_ms(self) -> int:
        """First update time."""
        return self.update_times_ms[0]

    @property
    def end_ms(self) -> int:
        """Last update time."""
        return self.update_times_ms[-1]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle, read and checked; candles are read when they are asked for.

    Attributes:
        folder: where it is.
        name: what its maker called it.
        settings: what decides the figures.
        positions: in stored order.
        candles: its prices.
        expected: expected.json as it stands, or None.
        synthetic: True where positions or candles are made up for tests.
    """

    folder: Path
    name: str
    settings: BundleSettings
    positions: tuple[Position, ...]
    candles: BundleCandles
    expected: Mapping[str, Any] | None
    synthetic: bool = False


def read_bundle(folder: Path | str) -> Bundle:
    """Read a bundle and check it.

    A replay is exact or it is none: a position that cannot be replayed is not set aside here.

    Raises:
        BundleError: something is missing or malformed; the message names file and field.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise BundleError(
            f"{folder} {what}: give a folder with {SCENARIO_FILE} and {CANDLES_FILE} in it"
        )
    file = folder / SCENARIO_FILE
    scenario = _Place(str(file), _read_json(file))
    version = scenario.integer("format_version", FORMAT_VERSION)
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{file}: format_version {version} is not the {FORMAT_VERSION} that this version of "
            "ptn-backtest reads; use the version that made the bundle, or a newer one"
        )
    expected_file = folder / EXPECTED_FILE
    return Bundle(
        folder=folder,
        name=scenario.text("name", folder.resolve().name),
        settings=_settings(_Place(f"{file}: settings", scenario.value("settings"))),
        positions=tuple(_positions(file, scenario.value("positions"))),
        candles=BundleCandles(folder / CANDLES_FILE),
        expected=_read_json(expected_file) if expected_file.exists() else None,
        synthetic=scenario.flag("synthetic"),
    )


def scenario_json(
    name: str, settings: BundleSettings, positions: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Content of scenario.json; `read_bundle` reads it back."""
    times: dict[str, Any] = {"update_times_ms": list(settings.update_times_ms)}
    if settings.mode == "ledger" and len(settings.update_times_ms) == 1:
        times = {"now_ms": settings.end_ms}
    plain = {f.name: getattr(settings, f.name) for f in fields(settings)}
    for told_otherwise in ("update_times_ms", "account_sizes", "plagiarism_events"):
        del plain[told_otherwise]
    if settings.mode == "ledger":
        for of_backtests in ("start_time_ms", "run_challenge", "run_elimination", "run_scoring"):
            del plain[of_backtests]
    plain["rulebook"] = settings.rulebook.to_dict()
    sizes = {k: [list(size) for size in v] for k, v in sorted(settings.account_sizes.items())}
    recorded = [[e.miner_hotkey, e.time_ms, e.flagged] for e in settings.plagiarism_events]
    events = {_PLAGIARISM: recorded} if recorded else {}
    return {
        "format_version": FORMAT_VERSION,
        "name": name,
        "settings": {**plain, **times, "account_sizes": sizes, **events},
        "positions": list(positions),
    }


def _read_json(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(
            f"{file} is missing: a bundle has {SCENARIO_FILE} and {CANDLES_FILE}; "
            "see 'ptn-backtest bundle --help'"
        ) from None
    except OSError as error:
        raise BundleError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BundleError(f"{file} is not valid JSON: {error}; get an undamaged copy") from None
    if not isinstance(content, dict):
        raise BundleError(f"{file} holds {_kind(content)} where a JSON object is expected")
    return content


def _settings(place: "_Place") -> BundleSettings:
    place.refuse_unknown({*(f.name for f in fields(BundleSettings)), "now_ms"})
    mode = place.text("mode")
    if mode not in ("ledger", "backtest"):
        raise place.fault("mode", f"{mode!r} is unknown: use 'ledger' or 'backtest'")
    times = _update_times(place, mode)
    start_ms = place.integer("start_time_ms") if mode == "backtest" else None
    if start_ms is not None and start_ms > times[0]:
        raise place.fault("start_time_ms", f"{start_ms} is later than the first update {times[0]}")
    window_ms = place.integer("target_ledger_window_ms", WINDOW_MS)
    if window_ms <= 0:
        raise place.fault("target_ledger_window_ms", f"{window_ms} is not above 0")
    return BundleSettings(
        mode=cast("Mode", mode),
        update_times_ms=times,
        start_time_ms=start_ms,
        account_sizes=_account_sizes(place),
        use_slippage=place.optional_flag("use_slippage"),
        rulebook=_rulebook(place),
        build_portfolio_ledgers_only=place.flag("build_portfolio_ledgers_only"),
        target_ledger_window_ms=window_ms,
        run_challenge=place.flag("run_challenge"),
        run_elimination=place.flag("run_elimination"),
        run_scoring=place.flag("run_scoring"),
        plagiarism_events=_plagiarism_events(place),
    )


def _rulebook(place: "_Place") -> Rulebook:
    """The default, a shipped one by its name, or a whole one as `Rulebook.to_dict` writes it."""
    found = place.value("rulebook", DEFAULT_NAME)
    try:
        return load_rulebook(found) if isinstance(found, str) else rulebook_from(found, "rulebook")
    except (ConfigError, AttributeError) as error:
        raise place.fault("rulebook", f"cannot be used: {error}") from None


def _plagiarism_events(place: "_Place") -> tuple[PlagiarismEvent, ...]:
    """[[hotkey, time in ms, whether flagged], ...]; otherwise it was cleared."""
    found = place.value(_PLAGIARISM, [])
    try:
        events = [
            PlagiarismEvent(_named(h), _whole(ms), _said(flagged)) for h, ms, flagged in found
        ]
    except (TypeError, ValueError) as error:
        raise place.fault(_PLAGIARISM, f"is no list of [hotkey, ms, flagged]: {error}") from None
    return tuple(sorted(events, key=lambda event: (event.time_ms, event.miner_hotkey)))


def _named(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is not a hotkey")
    return value


def _said(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is not true or false")  # noqa: TRY004 - said of a file
    return value


def _update_times(place: "_Place", mode: str) -> tuple[int, ...]:
    if place.has("update_times_ms"):
        if place.has("now_ms"):
            raise place.fault("now_ms", "stands beside update_times_ms: keep one of them")
        times = place.value("update_times_ms")
        if not isinstance(times, list) or not times or not all(type(t) is int for t in times):
            raise place.fault("update_times_ms", "is not a list of times in ms")
        if any(b <= a for a, b in pairwise(times)):
            raise place.fault("update_times_ms", "is not in ascending order")
        return tuple(times)
    if mode == "backtest":
        raise place.fault("update_times_ms", "is missing: mode 'backtest' needs every step's time")
    if not place.has("now_ms"):
        raise place.fault(
            "now_ms", "is missing: mode 'ledger' needs now_ms (one update) or update_times_ms"
        )
    return (place.integer("now_ms"),)


def _account_sizes(place: "_Place") -> dict[str, tuple[tuple[int, float], ...]]:
    """{hotkey: size}, in force from time 0, or {hotkey: [[update time in ms, size], ...]}."""
    found = place.value("account_sizes", {})
    if not isinstance(found, dict):
        raise place.fault("account_sizes", f"is {_kind(found)}, not an object by hotkey")
    sizes = {}
    for hotkey, entries in found.items():
        rows = entries if isinstance(entries, list) else [[0, entries]]
        try:
            sizes[hotkey] = tuple((_whole(ms), real_number(usd)) for ms, usd in rows)
        except (TypeError, ValueError) as error:
            raise place.fault(
                f"account_sizes of {hotkey}",
                f"is neither a size in USD nor a list of [update time in ms, size]: {error}",
            ) from None
    return sizes


def _positions(file: Path, found: object) -> Iterator[Position]:
    if not isinstance(found, list):
        raise BundleError(f"{file}: positions is {_kind(found)}, not a list")
    conversion = convert(
        position_record(raw, origin=f"{file}: positions[{number}]")
        for number, raw in enumerate(found)
    )
    if conversion.rejections:
        examples = [explain(rejection) for rejection in conversion.rejections[:_N_EXAMPLES]]
        rest = len(conversion.rejections) - len(examples)
        raise BundleError(
            "\n".join(examples)
            + (f"\nand {rest} more" if rest else "")
            + "\na bundle is replayed whole or not at all: correct these positions, or remove them"
        )
    yield from conversion.positions


@dataclass(frozen=True, slots=True)
class _Place:
    """A JSON object and where it stands, for messages."""

    where: str
    content: Any

    def __post_init__(self) -> None:
        if not isinstance(self.content, dict):
            raise BundleError(f"{self.where} is {_kind(self.content)}, not a JSON object")

    def fault(self, name: str, what: str) -> BundleError:
        return BundleError(f"{self.where}: {name} {what}")

    def refuse_unknown(self, known: set[str]) -> None:
        for name in self.content:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else "remove it, or update ptn-backtest"
                raise self.fault(name, f"is not a setting that this version knows; {hint}")

    def has(self, name: str) -> bool:
        return self.content.get(name) is not None

    def value(self, name: str, default: object = None) -> Any:  # noqa: ANN401 - as found
        found = self.content.get(name, default)
        if found is None:
            raise self.fault(name, "is missing")
        return found

    def text(self, name: str, default: str | None = None) -> str:
        found = self.value(name, default)
        if not isinstance(found, str):
            raise self.fault(name, f"is {_kind(found)}, not a text")
        return found

    def integer(self, name: str, default: int | None = None) -> int:
        found = self.value(name, default)
        if type(found) is not int or not 0 <= found < NEVER_MS:
            raise self.fault(name, f"is {found!r}, not a whole number of at least 0")
        return found

    def flag(self, name: str) -> bool:
        return bool(self.optional_flag(name))

    def optional_flag(self, name: str) -> bool | None:
        found = self.content.get(name)
        if found is not None and not isinstance(found, bool):
            raise self.fault(name, f"is {found!r}, not true, false or null")
        return found


def _whole(value: object) -> int:
    if type(value) is not int:
        raise ValueError(f"{value!r} is not a time in ms")
    return value


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", type(None): "null", bool: "a flag"}
    return names.get(type(value), "a number")
