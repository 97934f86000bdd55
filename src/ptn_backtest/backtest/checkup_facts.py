"""What a check of a setup looks at: the installation, a database, positions, candles, this machine."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from ptn_backtest.backtest.checkup import (
    EXTRAS,
    InstallationFacts,
    PairCandles,
    PositionFacts,
    SparkFacts,
)
from ptn_backtest.backtest.config import BacktestConfig
from ptn_backtest.backtest.legs import update_times
from ptn_backtest.backtest.loading import open_position_source, time_range
from ptn_backtest.errors import ConfigError, SourceError
from ptn_backtest.ledger.timeline import build_timeline, open_ranges
from ptn_backtest.ledger.windows import second_windows
from ptn_backtest.positions.conversion import Conversion, convert
from ptn_backtest.positions.manager import PositionManager
from ptn_backtest.prices.candles import Ranges, Timespan
from ptn_backtest.prices.coverage import count_wanted, missing_ranges
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.rulebook import DEFAULT_RULEBOOK, Rulebook
from ptn_backtest.sources.account_sizes import missing_account_sizes
from ptn_backtest.sources.database.examining import DatabaseFacts, examine_database
from ptn_backtest.sources.database.mapping import load_mapping
from ptn_backtest.sources.record_table import read_records
from ptn_backtest.sources.records import PositionQuery

_PACKAGES = ("ptn-backtest", "numpy", "numba", "pyarrow", "sqlalchemy")
_JAVA_SECONDS = 20


def installation_facts() -> InstallationFacts:
    """Versions, and what the extras lack; nothing of them is imported."""
    missing = {
        extra: [module for module in modules if importlib.util.find_spec(module) is None]
        for extra, modules in EXTRAS.items()
    }
    python = ".".join(map(str, sys.version_info[:3]))
    return InstallationFacts(python, {name: version(name) for name in _PACKAGES}, missing)


def database_facts(config: BacktestConfig) -> DatabaseFacts | None:
    """The database of the settings; None where positions come from elsewhere.

    Raises:
        SourceError: its URL cannot be read.
        ConfigError: its mapping cannot.
    """
    url = config.database_url
    if not config.use_database_positions or url is None:
        return None
    mapping = config.database_mapping
    return examine_database(url, None if mapping is None else load_mapping(mapping))


def position_facts(config: BacktestConfig) -> tuple[PositionFacts, Conversion | None]:
    """What the source holds; the conversion is None where it cannot be read."""
    query = PositionQuery(
        config.start_time_ms, config.end_time_ms, config.wanted_hotkeys, config.history
    )
    where = "the source"
    try:
        source = open_position_source(config)
        where = source.describe()
        conversion = convert(
            read_records(source, query), split=config.split_positions, end_ms=query.end_ms
        )
    except SourceError as error:
        return PositionFacts(where, fault=str(error)), None
    times = [o.processed_ms for position in conversion.positions for o in position.orders]
    kept = {name: conversion.counts[name] for name in ("traders", "positions", "orders")}
    try:
        sizes = source.read_account_sizes(query)
    except SourceError as error:
        return PositionFacts(where, fault=str(error)), None
    smallest_usd = _rulebook(config).accounts.smallest_usd
    notes = conversion.oddities.notes() + missing_account_sizes(source, sizes, smallest_usd)
    rejected = {str(name): n for name, n in conversion.rejections_by_reason().items()}
    first_ms, last_ms = min(times, default=None), max(times, default=None)
    return PositionFacts(where, kept, first_ms, last_ms, rejected, notes=notes), conversion


def _rulebook(config: BacktestConfig) -> Rulebook:
    """The settings' rulebook; the default one where it does not load, which is told by itself."""
    try:
        return config.load_rulebook()
    except ConfigError:
        return DEFAULT_RULEBOOK


def candle_facts(
    config: BacktestConfig, conversion: Conversion, store: CandleStore
) -> list[PairCandles]:
    """The candles that a run of these positions asks for, by pair.

    Raises:
        ConfigError: the time range is empty.
        CandleError: the store cannot be read.
    """
    traders = PositionManager(conversion.positions).by_hotkey()
    timelines = [build_timeline(mine) for mine in traders.values()]
    start_ms, end_ms = time_range(config, conversion.positions, store)
    held = open_ranges(timelines, end_ms)
    windows = second_windows(timelines, update_times(start_ms, end_ms, config.interval_ms))
    return [
        _of_pair(store, pair, ranges, [(a, b) for a, b in windows[pair].tolist()])
        for pair, ranges in held.items()
    ]


def _of_pair(store: CandleStore, pair: str, held: Ranges, windows: Ranges) -> PairCandles:
    missing = missing_ranges(store, {pair: held})
    unknown = [each for each in missing if not each.known]
    seconds = count_wanted(pair, windows, Timespan.SECOND)
    gone = missing_ranges(store, {pair: windows}, Timespan.SECOND)
    return PairCandles(
        trade_pair_id=pair,
        minutes=count_wanted(pair, held),
        minutes_missing=sum(each.n_candles for each in unknown),
        minutes_known=sum(each.n_candles for each in missing if each.known),
        seconds=seconds,
        seconds_there=seconds - sum(each.n_candles for each in gone),
        first_missing=str(unknown[0]) if unknown else "",
    )


def spark_facts() -> SparkFacts:
    """Of this machine and environment; no session is made."""
    pyspark = importlib.util.find_spec("pyspark") is not None
    return SparkFacts(pyspark, _java_version(), os.environ.get("SPARK_REMOTE", ""))


def _java_version() -> int | None:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if not java or not Path(java).exists():
        return None
    # "-version" writes to standard error, and calls Java 8 "1.8"
    told = subprocess.run(  # noqa: S603 - the java that Spark would start
        [java, "-version"], capture_output=True, text=True, timeout=_JAVA_SECONDS, check=False
    )
    found = re.search(r'version "(?:1\.)?(\d+)', told.stderr)
    return int(found[1]) if found else None


def free_disk_bytes(folder: Path) -> int:
    """Free where a folder is, or will be."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def available_memory_bytes() -> int | None:
    """Memory that programs can have without swapping; None where the system does not tell."""
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s+(\d+) kB", told, re.MULTILINE)
    return int(found[1]) * 1_024 if found else None
