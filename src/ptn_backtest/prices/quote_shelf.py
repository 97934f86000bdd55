"""Bid and ask at single moments, beside the candles of a store: those in force when orders were sent.

    quotes/EURUSD/2025-01.parquet          a file a month, a row a moment
    missing/quotes/EURUSD/2025-01.json     moments for which a provider has none

They are no candles: a replay's ticks do not see them, so that bringing them changes no ledger but
through the slippage that they explain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.errors import CandleError
from ptn_backtest.prices.candle_file import Extent, opened_parquet, replacing
from ptn_backtest.prices.candles import Ranges, Timespan, merged_ranges, window
from ptn_backtest.prices.known_missing import read_known_missing, write_known_missing
from ptn_backtest.prices.periods import period_files, periods
from ptn_backtest.prices.place import StorePath, local_folder, reaching
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.trade_pairs import TradePair

_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("at_ms", pa.int64()),
    ("quoted_ms", pa.int64()),
    ("bid", pa.float64()),
    ("ask", pa.float64()),
    ("provider", pa.string()),
]
QUOTE_SCHEMA = pa.schema(_COLUMNS)
"""Columns of every file: the moment that was asked for, when its quote was made, both sides, whose."""

_MONTHLY = Timespan.MINUTE  # files of a month, as minute candles have


@dataclass(frozen=True, slots=True)
class MomentQuote:
    """Best bid and ask that were in force at a moment.

    Attributes:
        at_ms: the moment, such as an order's time.
        quoted_ms: when the quote was made, at or before it.
        bid: in the quote currency, above 0.
        ask: likewise.
        provider: who said so.
    """

    at_ms: int
    quoted_ms: int
    bid: float
    ask: float
    provider: str


class QuoteShelf:
    """The quotes of a candle store."""

    def __init__(self, store: CandleStore) -> None:
        """Nothing is read, and no folder is made, before it is asked for."""
        self._store = store

    def pairs(self) -> list[str]:
        """Ids of the trade pairs that have quotes, sorted."""
        with reaching(self._store.root):
            folders = (self._store.root / "quotes").glob("*")
            return sorted(each.name for each in folders if any(each.glob("*.parquet")))

    def read(
        self, trade_pair_id: str, start_ms: int = -NEVER_MS, end_ms: int = NEVER_MS
    ) -> pa.Table:
        """Quotes of moments in [start_ms, end_ms], ascending, with the columns of `QUOTE_SCHEMA`.

        Raises:
            CandleError: a file is damaged.
        """
        wanted = window(start_ms, end_ms)
        files = period_files(self._folder(trade_pair_id), ".parquet", _MONTHLY, wanted)
        table = pa.concat_tables([QUOTE_SCHEMA.empty_table(), *map(_read_file, files)])
        at_ms = table["at_ms"].to_numpy()
        return table.filter((at_ms >= start_ms) & (at_ms <= end_ms))

    def extent(self, trade_pair_id: str) -> Extent | None:
        """First and last moment and their number; None without quotes."""
        at_ms = self.read(trade_pair_id)["at_ms"].to_numpy()
        return Extent(int(at_ms[0]), int(at_ms[-1]), len(at_ms)) if len(at_ms) else None

    def add(self, trade_pair_id: str, quote: MomentQuote) -> None:
        """Keep a quote, in place of another of the same moment; the file is replaced in one step.

        Raises:
            CandleError: the file is damaged.
            UnknownTradePair: no such pair.
        """
        TradePair.from_trade_pair_id(trade_pair_id)
        folder = local_folder(self._folder(trade_pair_id))
        path = folder / f"{_period(quote.at_ms)}.parquet"
        row = pa.table(
            {name: [getattr(quote, name)] for name in QUOTE_SCHEMA.names}, schema=QUOTE_SCHEMA
        )
        with self._store.writing(folder):
            old = _read_file(path) if path.exists() else QUOTE_SCHEMA.empty_table()
            others = old.filter(old["at_ms"].to_numpy() != quote.at_ms)
            with replacing(path) as temporary:
                merged = pa.concat_tables([others, row]).sort_by("at_ms")
                pq.write_table(merged, temporary, write_page_checksum=True)

    def known_missing(self, trade_pair_id: str, *, provider: str | None = None) -> Ranges:
        """Moments, as [t, t + 1), for which a provider (None: any) said that it has no quote.

        Raises:
            CandleError: a file is damaged.
        """
        everything = window(-NEVER_MS, NEVER_MS)
        folder = self._missing_folder(trade_pair_id)
        return merged_ranges(
            each
            for path in period_files(folder, ".json", _MONTHLY, everything)
            for name, ranges in read_known_missing(path).items()
            if provider in (None, name)
            for each in ranges
        )

    def count_known_missing(self, trade_pair_id: str) -> int:
        """Moments without a quote for which some provider is known to have none.

        Raises:
            CandleError: a file is damaged.
        """
        ranges = self.known_missing(trade_pair_id)
        return len(self.without(trade_pair_id, _moments_in(ranges)))

    def add_known_missing(self, trade_pair_id: str, provider: str, at_ms: int) -> None:
        """Remember that a provider has no quote for a moment.

        Raises:
            CandleError: the file is damaged.
        """
        folder = local_folder(self._missing_folder(trade_pair_id))
        path = folder / f"{_period(at_ms)}.json"
        with self._store.writing(folder):
            known = read_known_missing(path)
            known[provider] = merged_ranges([*known.get(provider, ()), (at_ms, at_ms + 1)])
            write_known_missing(path, known)

    def without(
        self, trade_pair_id: str, moments_ms: Sequence[int], provider: str | None = None
    ) -> list[int]:
        """Of these moments, those that have no quote here.

        Args:
            trade_pair_id: the pair.
            moments_ms: moments, ascending.
            provider: without those, too, for which this one is known to have none.

        Raises:
            CandleError: a file is damaged.
        """
        if not moments_ms:
            return []
        held = self.read(trade_pair_id, moments_ms[0], moments_ms[-1])["at_ms"].to_pylist()
        lacking = self.known_missing(trade_pair_id, provider=provider) if provider else ()
        known = {*held, *_moments_in(lacking)}
        return [t for t in moments_ms if t not in known]

    def _folder(self, trade_pair_id: str) -> StorePath:
        return self._store.root / "quotes" / trade_pair_id

    def _missing_folder(self, trade_pair_id: str) -> StorePath:
        return self._store.root / "missing" / "quotes" / trade_pair_id


def _period(at_ms: int) -> str:
    return str(periods(_MONTHLY, np.array([at_ms], dtype=np.int64))[0])


def _moments_in(ranges: Ranges) -> list[int]:
    return [t for start, end in ranges for t in range(start, end)]


def _read_file(path: StorePath) -> pa.Table:
    try:
        with opened_parquet(path) as file:
            table = file.read(use_threads=False)
    except (OSError, pa.ArrowException) as fault:
        reason = str(fault).partition("\n")[0]
        raise CandleError(f"{path} cannot be read as Parquet ({reason}): {_REMEDY}") from fault
    if not table.schema.equals(QUOTE_SCHEMA):
        names = ", ".join(table.column_names)
        wanted = ", ".join(QUOTE_SCHEMA.names)
        raise CandleError(f"{path} has the columns {names}, not {wanted}: {_REMEDY}")
    return table


_REMEDY = "delete it, and bring its quotes again with 'ptn-backtest candles pull-quotes'"
