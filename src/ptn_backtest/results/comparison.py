"""Two runs held against each other: what differs, in what both have.

Settings and rulebooks may differ without any consequence, so `RunComparison.equal` speaks of results:
fates, ledgers, positions and scores of the common traders in the common time. `docs/compare.md`
describes the JSON document.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ptn_backtest.errors import ConfigError
from ptn_backtest.positions.what_if import WhatIf
from ptn_backtest.results.compared_fates import FateComparison, compare_fates
from ptn_backtest.results.compared_ledgers import LedgerComparison, compare_ledgers
from ptn_backtest.results.compared_positions import PositionComparison, compare_positions
from ptn_backtest.results.compared_scores import ScoreComparison, compare_scores
from ptn_backtest.results.hotkeys import hotkeys_of
from ptn_backtest.results.jsonable import json_ready
from ptn_backtest.results.run_folder import StoredRun
from ptn_backtest.results.situation import rulebook_of
from ptn_backtest.rulebook.describing import difference

DOCUMENT_VERSION = 1
"""Of the JSON document; it rises with every change of a key."""

_WHAT_IF = {"what_if_hotkeys", *(f.name for f in fields(WhatIf) if f.name != "hotkeys")}


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting, rule, input or count that is not the same.

    Attributes:
        key: dotted.
        a: in the first run, None where it has none.
        b: in the second.
    """

    key: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class Side:
    """One of the runs in short.

    Attributes:
        name: how it was given, such as its folder.
        source: its position source in words.
        rulebook: name of its rulebook.
        start_ms: first update.
        end_ms: last update.
        updates: how many updates.
        traders: how many traders.
        synthetic: whether data are made up.
    """

    name: str
    source: str
    rulebook: str
    start_ms: int
    end_ms: int
    updates: int
    traders: int
    synthetic: bool


@dataclass(frozen=True, slots=True)
class Common:
    """What both runs have.

    Attributes:
        until_ms: the earlier of their ends, or the last update before their updates part: what comes
            later is not compared.
        same_updates: whether up to then both update at the same times; ledgers depend on them.
        traders: how many traders both have.
        only_a: traders of the first alone.
        only_b: traders of the second alone.
    """

    until_ms: int
    same_updates: bool
    traders: int
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """What differs between two runs.

    Attributes:
        a: the first run.
        b: the second.
        rtol: relative tolerance of numbers.
        hotkeys: the traders asked for; empty for all.
        common: what both have.
        rulebook: rules that differ, by dotted key; slippage tables by cell.
        what_if: what-if settings that differ.
        settings: other settings that differ.
        inputs: fingerprints, versions and counts that differ.
        fates: what became of the traders.
        ledgers: their values.
        positions: their positions.
        scores: their scores.
    """

    a: Side
    b: Side
    rtol: float
    hotkeys: tuple[str, ...]
    common: Common
    rulebook: tuple[Difference, ...]
    what_if: tuple[Difference, ...]
    settings: tuple[Difference, ...]
    inputs: tuple[Difference, ...]
    fates: FateComparison
    ledgers: LedgerComparison
    positions: PositionComparison
    scores: ScoreComparison

    @property
    def equal(self) -> bool:
        """Whether no result differs in the common time, and no trader is missing in either."""
        return not (
            self.common.only_a
            or self.common.only_b
            or self.fates.differences
            or self.ledgers.differences
            or self.positions.only_a
            or self.positions.only_b
            or self.positions.differences
            or self.scores.first_difference_ms is not None
        )

    @property
    def same_settings(self) -> bool:
        """Whether both were run under the same rules and settings."""
        return not (self.rulebook or self.what_if or self.settings)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys are those of `docs/compare.md`."""
        document: dict[str, Any] = json_ready(
            {
                "document": "ptn-backtest comparison",
                "document_version": DOCUMENT_VERSION,
                "equal": self.equal,
                "same_settings": self.same_settings,
                **asdict(self),
            },
            sort_keys=False,
        )
        return document


def compare_runs(
    a: StoredRun,
    b: StoredRun,
    *,
    names: tuple[str, str] = ("a", "b"),
    hotkeys: Collection[str] = (),
    rtol: float = 0.0,
) -> RunComparison:
    """Hold two runs against each other.

    Args:
        a: the first.
        b: the second.
        names: how to name them.
        hotkeys: only these traders; empty for all.
        rtol: numbers are equal where |a - b| <= rtol x the larger of them; 0 asks for every bit.

    Raises:
        ConfigError: a recorded rulebook cannot be read, or rtol is no tolerance.
    """
    if not 0 <= rtol < 1:
        raise ConfigError(f"rtol = {rtol} is not a tolerance: give 0 (every bit) or a fraction")
    rulebooks = rulebook_of(a, names[0]), rulebook_of(b, names[1])
    of_a, of_b = (set(hotkeys_of(run)) & set(hotkeys or hotkeys_of(run)) for run in (a, b))
    both = sorted(of_a & of_b)
    until_ms = _common_until(a, b)
    settings = list(_differences(*(_settings(run) for run in (a, b))))
    return RunComparison(
        a=_side(a, names[0], rulebooks[0].name),
        b=_side(b, names[1], rulebooks[1].name),
        rtol=rtol,
        hotkeys=tuple(sorted(hotkeys)),
        common=Common(
            until_ms=until_ms,
            same_updates=_updates(a, until_ms) == _updates(b, until_ms),
            traders=len(both),
            only_a=tuple(sorted(of_a - of_b)),
            only_b=tuple(sorted(of_b - of_a)),
        ),
        rulebook=tuple(Difference(key, *pair) for key, pair in difference(*rulebooks).items()),
        what_if=tuple(one for one in settings if one.key in _WHAT_IF),
        settings=tuple(one for one in settings if one.key not in _WHAT_IF),
        inputs=tuple(_differences(*(_inputs(run) for run in (a, b)))),
        fates=compare_fates(a, b, rulebooks, both, until_ms, rtol),
        ledgers=compare_ledgers(a.ledgers, b.ledgers, both, until_ms, rtol),
        positions=compare_positions(a, b, frozenset(both), until_ms, rtol),
        scores=compare_scores(a.scores, b.scores, both, until_ms, rtol),
    )


def _side(run: StoredRun, name: str, rulebook: str) -> Side:
    info = run.info
    return Side(
        name=name,
        source=info["source"],
        rulebook=rulebook,
        start_ms=info["start_ms"],
        end_ms=info["end_ms"],
        updates=len(info["update_times_ms"]),
        traders=len(hotkeys_of(run)),
        synthetic=info["synthetic"],
    )


def _common_until(a: StoredRun, b: StoredRun) -> int:
    """The last update up to which both took the same ones, or else the earlier of their ends.

    A ledger depends on its update times, and a run's end is one more of them.
    """
    ends = a.info["end_ms"], b.info["end_ms"]
    common = None
    if ends[0] != ends[1]:
        for left, right in zip(a.info["update_times_ms"], b.info["update_times_ms"], strict=False):
            if left != right:
                break
            common = left
    return min(ends) if common is None else int(common)


def _updates(run: StoredRun, until_ms: int) -> list[int]:
    return [time for time in run.info["update_times_ms"] if time <= until_ms]


def _settings(run: StoredRun) -> dict[str, Any]:
    """Without the rulebook, which is compared rule by rule."""
    return {key: one for key, one in run.info["settings"].items() if key != "rulebook"}


def _inputs(run: StoredRun) -> dict[str, Any]:
    return {name: run.info[name] for name in ("inputs", "versions", "counts")}


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    left, right = dict(_flat(a)), dict(_flat(b))
    for key in sorted({*left, *right}):
        if left.get(key) != right.get(key):
            yield Difference(key, left.get(key), right.get(key))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
