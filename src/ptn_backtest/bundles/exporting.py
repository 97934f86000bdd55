"""Making a bundle from what a run read: chosen traders, a range, and just the candles it needs."""

import json
import logging
import shutil
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ptn_backtest.bundles.bundle import (
    CANDLES_FILE,
    EXPECTED_FILE,
    SCENARIO_FILE,
    BundleSettings,
    read_bundle,
    scenario_json,
)
from ptn_backtest.bundles.candle_file import write_candles
from ptn_backtest.bundles.replay import replay_bundle
from ptn_backtest.clock import MINUTE_MS, format_time
from ptn_backtest.errors import BundleError, ConfigError, some_of
from ptn_backtest.ledger.timeline import build_timeline, open_ranges
from ptn_backtest.positions.accounting import replay
from ptn_backtest.positions.manager import PositionManager, up_to
from ptn_backtest.positions.order import Order
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import Candles, CandleSource, Timespan, merged_ranges
from ptn_backtest.prices.coverage import require_candles

log = logging.getLogger(__name__)

Needs = Mapping[str, Sequence[tuple[int, int]]]
"""{trade pair id: ranges (start, end) in ms}."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote.

    Attributes:
        folder: the bundle.
        settings: those of the bundle, within its range.
        n_traders: traders in it.
        n_positions: positions in it.
        n_orders: orders in it.
        n_candles: candles in it, of both timespans.
        warnings: sentences on candles that the run lacks too.
    """

    folder: Path
    settings: BundleSettings
    n_traders: int
    n_positions: int
    n_orders: int
    n_candles: int
    warnings: tuple[str, ...]


def export_bundle(
    folder: Path | str,
    positions: Iterable[Position],
    candles: CandleSource,
    settings: BundleSettings,
    *,
    name: str | None = None,
    hotkeys: Collection[str] | None = None,
    start_ms: int | None = None,
    end_ms: int | None = None,
    missing_candles: Literal["error", "hold"] = "error",
    expected: bool = True,
    synthetic: bool = False,
) -> Exported:
    """Write a bundle, whole or not at all.

    Without `start_ms` the bundle gives the very ledgers of the run, as they stood at the end. With
    it, positions closed before and earlier updates are left out, so that ledgers begin later.

    Args:
        folder: where to; new or empty.
        positions: those of the run, each trader's in stored order.
        candles: where the run reads prices.
        settings: those of the run; update times outside the range are left out.
        name: by default that of the folder.
        hotkeys: only these traders; None means all.
        start_ms: first update; by default that of the run.
        end_ms: last update; orders after it are left out. By default that of the run.
        missing_candles: "error" refuses where the run lacks candles; a replay of the bundle always
            lets values stay.
        expected: also replay the bundle and write the results as its expected.json.
        synthetic: label the bundle as made up for tests.

    Raises:
        BundleError: there is something in the folder.
        ConfigError: an unknown trader, a range outside the run's, or nothing to export.
        MissingCandles: with "error".
    """
    folder = Path(folder).resolve()
    _refuse_what_is_there(folder)
    settings = _within(settings, start_ms, end_ms)
    chosen = _chosen(PositionManager(positions), hotkeys)
    chosen = PositionManager(_known(chosen, settings, start_ms))
    if not len(chosen):
        raise ConfigError(
            f"nothing to export: no position was open between {format_time(settings.start_ms)} "
            f"and {format_time(settings.end_ms)}; choose other traders or another range"
        )
    settings = replace(settings, account_sizes=_sizes_of(chosen.hotkeys, settings))
    needs = _needs(chosen, settings)
    warnings = require_candles(candles, needs, missing_candles)
    with _made_at_once(folder) as building:
        label = {"made_by": _made_by(), **({"synthetic": True} if synthetic else {})}
        scenario = scenario_json(name or folder.name, settings, [_position(p) for p in chosen])
        _write_json(building / SCENARIO_FILE, {**label, **scenario}, indent=1)
        n_candles = write_candles(building / CANDLES_FILE, _needed(candles, needs))
        if expected:
            results = replay_bundle(read_bundle(building))
            _write_json(building / EXPECTED_FILE, {**label, **results})
    exported = Exported(
        folder=folder,
        settings=settings,
        n_traders=len(chosen.hotkeys),
        n_positions=len(chosen),
        n_orders=sum(len(position.orders) for position in chosen),
        n_candles=n_candles,
        warnings=tuple(warnings),
    )
    log.info(
        "bundle %s: %d traders, %d positions, %d orders, %d candles",
        folder,
        exported.n_traders,
        exported.n_positions,
        exported.n_orders,
        n_candles,
    )
    return exported


def _within(settings: BundleSettings, start_ms: int | None, end_ms: int | None) -> BundleSettings:
    """The settings with the update times of the range, its ends included."""
    first = settings.start_ms if start_ms is None else start_ms
    last = settings.end_ms if end_ms is None else end_ms
    if first > last:
        raise ConfigError(
            f"the start ({format_time(first)}) is later than the end ({format_time(last)})"
        )
    if last > settings.end_ms:
        raise ConfigError(
            f"the end ({format_time(last)}) is later than that of the run "
            f"({format_time(settings.end_ms)}): choose an earlier one"
        )
    inside = {t for t in settings.update_times_ms if first <= t <= last}
    ends = {last} if start_ms is None else {first, last}
    times = tuple(sorted(inside | ends))
    begins = times[0] if settings.mode == "backtest" else None
    return replace(settings, update_times_ms=times, start_time_ms=begins)


def _chosen(positions: PositionManager, hotkeys: Collection[str] | None) -> PositionManager:
    if hotkeys is None:
        return positions
    unknown = sorted(set(hotkeys) - set(positions.hotkeys))
    if unknown:
        raise ConfigError(
            f"the run has no trader {', '.join(unknown)}; it has {some_of(positions.hotkeys)}"
        )
    return PositionManager(p for p in positions if p.miner_hotkey in set(hotkeys))


def _known(
    positions: Iterable[Position], settings: BundleSettings, start_ms: int | None
) -> Iterator[Position]:
    """Positions as known at the end; with a start, without those closed before it."""
    for position in up_to(positions, settings.end_ms):
        close_ms = replay(position, use_slippage=settings.use_slippage).close_ms
        if start_ms is None or close_ms is None or close_ms >= start_ms:
            yield position


def _sizes_of(
    hotkeys: Sequence[str], settings: BundleSettings
) -> dict[str, tuple[tuple[int, float], ...]]:
    return {
        hotkey: tuple(size for size in settings.account_sizes[hotkey] if size[0] <= settings.end_ms)
        for hotkey in hotkeys
        if hotkey in settings.account_sizes
    }


def _needs(positions: PositionManager, settings: BundleSettings) -> Needs:
    """When a replay may ask for a candle: from the minute of an open until its close, or the end."""
    timelines = [
        build_timeline(mine, use_slippage=settings.use_slippage)
        for mine in positions.by_hotkey().values()
    ]
    return {
        pair: merged_ranges((opened - opened % MINUTE_MS, closed) for opened, closed in ranges)
        for pair, ranges in open_ranges(timelines, settings.end_ms).items()
    }


def _needed(candles: CandleSource, needs: Needs) -> Iterator[tuple[str, Timespan, Candles]]:
    for pair, ranges in sorted(needs.items()):
        for timespan in Timespan:
            parts = [candles.read(pair, timespan, start, end) for start, end in ranges]
            yield (
                pair,
                timespan,
                Candles(
                    np.concatenate([*(each.start_ms for each in parts), np.empty(0, np.int64)]),
                    np.concatenate([*(each.close for each in parts), np.empty(0)]),
                ),
            )


def _position(position: Position) -> dict[str, Any]:
    size = {"account_size": position.account_size} if position.account_size else {}
    return {
        "miner_hotkey": position.miner_hotkey,
        "position_uuid": position.position_uuid,
        "open_ms": position.open_ms,
        "trade_pair_id": position.trade_pair.trade_pair_id,
        **size,
        "orders": [_order(order) for order in position.orders],
    }


def _order(order: Order) -> dict[str, Any]:
    return {
        "order_uuid": order.order_uuid,
        "order_type": order.order_type.value,
        "leverage": order.leverage,
        "price": order.price,
        "bid": order.bid,
        "ask": order.ask,
        "slippage": order.slippage,
        "processed_ms": order.processed_ms,
        "src": order.src,
    }


def _write_json(file: Path, content: Mapping[str, Any], indent: int | None = None) -> None:
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(content, indent=indent, separators=separators, allow_nan=False)
    file.write_text(text + "\n", encoding="utf-8", newline="\n")


def _made_by() -> str:
    return f"ptn-backtest {version('ptn-backtest')}"


def _refuse_what_is_there(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise BundleError(f"{folder} is there already: name a new or empty folder for the bundle")


@contextmanager
def _made_at_once(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` that takes its place if the block succeeds."""
    building = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.new")
    try:
        building.mkdir(parents=True)
    except OSError as error:
        raise BundleError(
            f"{folder} cannot be made: {error.strerror}. Name a folder in which you may write"
        ) from None
    try:
        yield building
        building.replace(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
