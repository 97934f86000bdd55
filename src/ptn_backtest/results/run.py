"""A run folder for analysis in Python: what is asked for is read, and nothing else."""

import html
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ptn_backtest.errors import ConfigError
from ptn_backtest.ledger.checkpoint import PORTFOLIO, PerfLedger
from ptn_backtest.results import tables
from ptn_backtest.results.catalogue import ELIMINATIONS, catalogue
from ptn_backtest.results.frames import FrameKind, frame, indexed, require, time_index
from ptn_backtest.results.hotkeys import find_hotkey
from ptn_backtest.results.parquet import open_table
from ptn_backtest.results.query import NO_LIMITS, QueryLimits, select
from ptn_backtest.results.run_folder import read_info
from ptn_backtest.results.series import daily_simple_returns, values_over_time

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow.dataset as ds

__all__ = ["DAYS_PER_YEAR", "Run", "TableReader", "load_run"]

DAYS_PER_YEAR = 365
"""Of the daily returns: every calendar day is one, also those on which a market is closed."""


class TableReader:
    """One table of a run; calling it gives a frame with the columns of the file.

    What each column means: `ptn-backtest query RUN --tables`, and `docs/run-folder.md`.
    """

    def __init__(self, run: "Run", name: str) -> None:
        """Take a run and the table's name."""
        self._run = run
        self._name = name

    @overload
    def __call__(
        self, hotkey: str | None = ..., *, as_: Literal["pandas"] = ...
    ) -> "pd.DataFrame": ...
    @overload
    def __call__(self, hotkey: str | None = ..., *, as_: Literal["polars"]) -> "pl.DataFrame": ...
    def __call__(self, hotkey: str | None = None, *, as_: FrameKind = "pandas") -> Any:
        """The table's rows, of everybody or of one trader.

        Args:
            hotkey: a trader, also cut short.
            as_: "pandas" or "polars".

        Raises:
            ConfigError: no such trader, or the file cannot be read.
            SourceUnavailable: the package of the frames is not installed.
        """
        if hotkey is None:
            return frame(self._run.table(self._name), as_)
        mine = pc.field("miner_hotkey") == self._run.hotkey(hotkey)
        return frame(self._run.dataset(self._name).to_table(filter=mine), as_)

    def __repr__(self) -> str:
        return f"<table {self._name} of {self._run.path}>"


class Run:
    """A run folder, opened by `load_run`.

    Attributes:
        path: the folder.
        info: run.json as it stands.
        attribution: where each checkpoint's change came from (attribution.parquet).
        eliminations: who left, when and why (from run.json).
        events: what the network's rules did (events.parquet).
        order_findings: orders that the network would have reduced or refused.
        orders: every order and what it made of its position (orders.parquet).
        positions: every replayed position (positions.parquet).
        rejected: positions that were set aside (rejected.parquet).
        scores: every evaluation's scores (scores.parquet).

    The tables are called: `run.events()`, `run.orders("5HDmzy", as_="polars")`.
    """

    def __init__(self, path: Path) -> None:
        """Open a folder; see `load_run`."""
        self.path = path
        self.info: Mapping[str, Any] = read_info(path)
        self.attribution = TableReader(self, "attribution")
        self.eliminations = TableReader(self, "eliminations")
        self.events = TableReader(self, "events")
        self.order_findings = TableReader(self, "order_findings")
        self.orders = TableReader(self, "orders")
        self.positions = TableReader(self, "positions")
        self.rejected = TableReader(self, "rejected")
        self.scores = TableReader(self, "scores")

    def __repr__(self) -> str:
        return f"<run {self.path}>"

    # ---- who and what

    @cached_property
    def hotkeys(self) -> tuple[str, ...]:
        """Every trader with a ledger, sorted."""
        return tuple(sorted(self._ledgers))

    def hotkey(self, text: str) -> str:
        """The one trader that is meant, also by the beginning of its hotkey.

        Raises:
            ConfigError: none, or several; the message names those that are near.
        """
        return find_hotkey(text, self._everybody, str(self.path))

    def pairs(self, hotkey: str) -> tuple[str, ...]:
        """The trade pairs that a trader has a ledger of; () in a run of portfolios only."""
        own = self._ledgers.get(self.hotkey(hotkey), {})
        return tuple(name for name in own if name != PORTFOLIO)

    # ---- tables

    def dataset(self, name: str) -> "ds.Dataset":
        """A table by its name, unread.

        Raises:
            ConfigError: there is no table of that name; the message lists those that there are.
        """
        if name == "eliminations":
            import pyarrow.dataset as ds  # noqa: PLC0415 - it imports pandas, where there is one

            return ds.dataset(self._eliminations)
        if name not in catalogue():
            there = ", ".join(sorted({*catalogue(), "eliminations"}))
            raise ConfigError(f"a run has no table {name!r}; it has {there}")
        return open_table(self.path / f"{name}.parquet", catalogue()[name].schema)

    def table(self, name: str) -> pa.Table:
        """A table by its name, as Arrow.

        Raises:
            ConfigError: there is no table of that name.
        """
        return self.dataset(name).to_table()

    @overload
    def sql(self, query: str, *, as_: Literal["pandas"] = ...) -> "pd.DataFrame": ...
    @overload
    def sql(self, query: str, *, as_: Literal["polars"]) -> "pl.DataFrame": ...
    def sql(self, query: str, *, as_: FrameKind = "pandas") -> Any:
        """What a SELECT over the run's tables gives; they are named like the files.

        Raises:
            QueryError: it cannot be answered; the message names what is near.
            SourceUnavailable: DuckDB, or the package of the frames, is not installed.
        """
        return frame(self.select(query), as_)

    def select(self, query: str, limits: QueryLimits = NO_LIMITS) -> pa.Table:
        """As `sql`, as an Arrow table, within these limits."""
        return select(query, {name: self.dataset(name) for name in catalogue()}, limits)

    # ---- ledgers

    def perf_ledger(self, hotkey: str, pair: str = PORTFOLIO) -> PerfLedger:
        """A ledger as the run built it.

        Args:
            hotkey: the trader, also cut short.
            pair: a trade pair id, or "portfolio".

        Raises:
            ConfigError: no such trader or ledger; the message names those that there are.
        """
        hotkey = self.hotkey(hotkey)
        own = self._ledgers.get(hotkey, {})
        if pair not in own:
            there = f"it has {', '.join(own)}" if own else "it has none"
            raise ConfigError(f"no ledger {pair!r} of {hotkey} in {self.path}: {there}")
        return own[pair]

    @overload
    def ledger(
        self, hotkey: str, pair: str = ..., *, as_: Literal["pandas"] = ...
    ) -> "pd.DataFrame": ...
    @overload
    def ledger(self, hotkey: str, pair: str = ..., *, as_: Literal["polars"]) -> "pl.DataFrame": ...
    def ledger(self, hotkey: str, pair: str = PORTFOLIO, *, as_: FrameKind = "pandas") -> Any:
        """The checkpoints of a ledger by the time of their last record.

        Returns:
            The columns of checkpoints.parquet from `last_update_ms` on; in pandas with a UTC index
            "time", in polars with a column "time".
        """
        cps = self.perf_ledger(hotkey, pair).cps
        columns = {name: np.ascontiguousarray(cps[name]) for name in cps.dtype.names or ()}
        return indexed(cps["last_update_ms"], pa.table(columns), as_)

    @overload
    def equity(
        self, hotkey: None = ..., *, pair: str = ..., as_: Literal["pandas"] = ...
    ) -> "pd.DataFrame": ...
    @overload
    def equity(
        self, hotkey: str, *, pair: str = ..., as_: Literal["pandas"] = ...
    ) -> "pd.Series[float]": ...
    @overload
    def equity(
        self, hotkey: str | None = ..., *, pair: str = ..., as_: Literal["polars"]
    ) -> "pl.DataFrame": ...
    def equity(
        self, hotkey: str | None = None, *, pair: str = PORTFOLIO, as_: FrameKind = "pandas"
    ) -> Any:
        """Values over time, 1.0 = unchanged: at the first order, then at each checkpoint's end.

        Args:
            hotkey: a trader, also cut short; without one, every trader is a column, and there is
                NaN (null in polars) where a trader has no value at that time.
            pair: a trade pair id, or "portfolio".
            as_: "pandas" or "polars".

        Returns:
            In pandas, a series named by the hotkey (of all traders: a frame) with a UTC index
            "time"; in polars, a frame with a column "time".
        """
        if hotkey is not None:
            times_ms, values = values_over_time(self.perf_ledger(hotkey, pair))
            name = self.hotkey(hotkey)
            made = indexed(times_ms, pa.table({name: values}), as_)
            return made[name] if as_ == "pandas" else made
        points = {
            name: values_over_time(own[pair])
            for name, own in sorted(self._ledgers.items())
            if pair in own
        }
        every_ms = np.unique(
            np.concatenate([np.zeros(0, np.int64), *(t for t, _ in points.values())])
        )
        columns = {}
        for name, (times_ms, values) in points.items():
            column = np.full(len(every_ms), np.nan)
            column[np.searchsorted(every_ms, times_ms)] = values
            columns[name] = pa.array(column, from_pandas=True)
        return indexed(every_ms, pa.table(columns), as_)

    @overload
    def returns(
        self, hotkey: str, *, pair: str = ..., as_: Literal["pandas"] = ...
    ) -> "pd.Series[float]": ...
    @overload
    def returns(
        self, hotkey: str, *, pair: str = ..., as_: Literal["polars"]
    ) -> "pl.DataFrame": ...
    def returns(self, hotkey: str, *, pair: str = PORTFOLIO, as_: FrameKind = "pandas") -> Any:
        """Simple returns of full UTC days, as quantstats, empyrical and pyfolio take them.

        The return of a day is the value at its end / the value at its start - 1
        (`results.series.daily_simple_returns`); every calendar day is one, so a year has 365.

        Returns:
            In pandas, a series named by the hotkey with a UTC index "date" of frequency "D"; in
            polars, a frame of "date" and a column named by the hotkey.
        """
        dates, values = daily_simple_returns(self.perf_ledger(hotkey, pair))
        name = self.hotkey(hotkey)
        if as_ == "pandas":
            pandas: Any = require("pandas", "pandas", "a series of returns")
            index: Any = time_index(dates, "date")
            index.freq = "D" if len(index) else None
            return pandas.Series(values, index=index, name=name)
        times = pa.array(dates.astype("datetime64[ms]")).cast(pa.timestamp("ms", "UTC"))
        return frame(pa.table({"date": times, name: values}), as_)

    def tear_sheet(self, hotkey: str, path: str | Path) -> Path:
        """Write quantstats' report on a trader's daily returns, one HTML file.

        Raises:
            ConfigError: the trader has no full day.
            SourceUnavailable: quantstats is not installed.
        """
        with _without_noise():
            quantstats = require("quantstats", "tearsheet", "a tear sheet")
            hotkey = self.hotkey(hotkey)
            returns = self.returns(hotkey)
            if not len(returns):
                raise ConfigError(f"{hotkey} has no full day in {self.path}, so no daily returns")
            synthetic = "SYNTHETIC DATA, no track record: " if self.info["synthetic"] else ""
            quantstats.reports.html(
                returns.tz_localize(None),  # its charts know no time zones
                output=str(path),
                title=html.escape(synthetic + hotkey),
                periods_per_year=DAYS_PER_YEAR,
            )
        return Path(path)

    # ---- read once

    @cached_property
    def _ledgers(self) -> dict[str, dict[str, PerfLedger]]:
        return tables.read_ledgers(self.path)

    @cached_property
    def _everybody(self) -> frozenset[str]:
        column = ["miner_hotkey"]
        named = [self.dataset(one).to_table(columns=column) for one in ("positions", "events")]
        return frozenset(
            [*self._ledgers, *self.info["failed_traders"]]
            + [hotkey for table in named for hotkey in pc.unique(table["miner_hotkey"]).to_pylist()]
        )

    @cached_property
    def _eliminations(self) -> pa.Table:
        rows = []
        for one in self.info["eliminations"]:
            breach = one["breach"] or {}
            rows.append(
                {
                    **one,
                    "breach_ms": breach.get("time_ms"),
                    # JSON has no infinity: such a number stands there as a text
                    **{f"breach_{n}": float(breach[n]) for n in ("value", "peak") if n in breach},
                }
            )
        return pa.Table.from_pylist(rows, schema=ELIMINATIONS)


def load_run(path: str | Path) -> Run:
    """Open a run folder for analysis.

    Example:
        >>> run = load_run("runs/first")  # doctest: +SKIP
        >>> run.returns(run.hotkeys[0]).add(1).prod()  # doctest: +SKIP

    Args:
        path: a folder that `ptn-backtest run` wrote.

    Raises:
        ConfigError: it is not a run folder, or of another format version.
    """
    return Run(Path(path))


@contextmanager
def _without_noise() -> Iterator[None]:
    """Keep warnings of other packages about themselves away from our users."""
    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    fonts.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        fonts.setLevel(level)
