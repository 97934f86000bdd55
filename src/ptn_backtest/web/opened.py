"""An opened run: what its pages show, read as it is asked for.

Of a network, only what the leaderboard shows stays in memory; what belongs to one trader is read from
the files for its page.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ptn_backtest.backtest.loading import TEST_CANDLES
from ptn_backtest.errors import CandleError
from ptn_backtest.ledger.checkpoint import PORTFOLIO, PerfLedger
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.report import rule_wording
from ptn_backtest.results import rule_tables
from ptn_backtest.results.bucket_history import Stay, bucket_stays
from ptn_backtest.results.run import Run
from ptn_backtest.results.statistics import LedgerSummary, summarize_ledger
from ptn_backtest.results.tables import read_ledgers
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Elimination, Event

__all__ = ["LeaderRow", "NoSuchTrader", "OpenRun"]


class NoSuchTrader(LookupError):  # noqa: N818 - reads as what it is
    """A hotkey that a run knows nothing of."""


@dataclass(frozen=True, slots=True)
class LeaderRow:
    """One trader of the leaderboard.

    Attributes:
        rank: 1 for the highest return; liquidated portfolios come last.
        miner_hotkey: the trader.
        standing: its bucket at the end, "out", "not entered", or "" in a run without rules.
        portfolio: its ledger in figures.
        score: final weight at the last evaluation; None where it was not scored there.
        score_rank: by that weight.
        n_positions: how many.
        elimination: its end, if it left.
        liquidated: whether its portfolio reached 0.
    """

    rank: int
    miner_hotkey: str
    standing: str
    portfolio: LedgerSummary
    score: float | None
    score_rank: int | None
    n_positions: int
    elimination: Elimination | None
    liquidated: bool

    @property
    def fees(self) -> float:
        """Fraction of the value that spread and carry fees took together."""
        return 1 - (1 - self.portfolio.spread_fee) * (1 - self.portfolio.carry_fee)


class OpenRun:
    """A run for its pages.

    Attributes:
        name: of its folder.
        run: the folder, opened.
        info: run.json.
    """

    def __init__(self, name: str, run: Run, store: Path | None) -> None:
        """Take an opened run, and a candle store to look into in place of its own."""
        self.name = name
        self.run = run
        self.info: Mapping[str, Any] = run.info
        self._store = store

    # ---- the network

    @property
    def settings(self) -> Mapping[str, Any]:
        """As recorded."""
        settings: Mapping[str, Any] = self.info["settings"]
        return settings

    @property
    def synthetic(self) -> bool:
        """Whether data are made up."""
        return bool(self.info["synthetic"])

    @property
    def rules_ran(self) -> bool:
        """Whether any of the network's rules were on."""
        return any(
            self.settings.get(f"run_{one}") for one in ("challenge", "elimination", "scoring")
        )

    @property
    def limit(self) -> float | None:
        """The drawdown limit as a fraction, where eliminations or the challenge were on."""
        percent = rule_wording.limit_percent(self.settings) if self.rules_ran else None
        return None if percent is None else percent / 100

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """What the rules did, in their order."""
        return rule_tables.read_events(self.run.path)

    @cached_property
    def stays(self) -> Mapping[str, tuple[Stay, ...]]:
        """{hotkey: its buckets}."""
        return bucket_stays(self.events)

    @cached_property
    def eliminations(self) -> Mapping[str, Elimination]:
        """{hotkey: its end}."""
        every = (Elimination.from_dict(one) for one in self.info["eliminations"])
        return {one.miner_hotkey: one for one in every}

    @cached_property
    def leaders(self) -> tuple[LeaderRow, ...]:
        """Every trader with a portfolio ledger, best return first, liquidated ones last."""
        liquidated = {event["miner_hotkey"] for event in self.info["liquidations"]}
        positions = self.run.dataset("positions").to_table(columns=["miner_hotkey"])
        counts = Counter(positions["miner_hotkey"].to_pylist())
        scores = self._last_scores()
        figures = [
            (hotkey, summarize_ledger(own[PORTFOLIO]))
            for hotkey, own in read_ledgers(self.run.path, pc.field("ledger") == PORTFOLIO).items()
            if len(own[PORTFOLIO].cps)
        ]
        figures.sort(key=lambda row: (row[0] in liquidated, -_number(row[1].total_return), row[0]))
        return tuple(
            LeaderRow(
                rank=rank,
                miner_hotkey=hotkey,
                standing=self.standing(hotkey),
                portfolio=portfolio,
                score=scores.get(hotkey, (None, None))[0],
                score_rank=scores.get(hotkey, (None, None))[1],
                n_positions=counts[hotkey],
                elimination=self.eliminations.get(hotkey),
                liquidated=hotkey in liquidated,
            )
            for rank, (hotkey, portfolio) in enumerate(figures, start=1)
        )

    @cached_property
    def places(self) -> Mapping[str, LeaderRow]:
        """{hotkey: its row}."""
        return {row.miner_hotkey: row for row in self.leaders}

    def standing(self, hotkey: str) -> str:
        """Where a trader stands at the end, in a word; "" where no rules ran."""
        if not self.rules_ran:
            return ""
        if hotkey in self.info["standings"]:
            return rule_wording.BUCKETS[Bucket(self.info["standings"][hotkey]["bucket"])]
        return rule_wording.OUT if hotkey in self.eliminations else rule_wording.NOT_ENTERED

    def _last_scores(self) -> dict[str, tuple[float, int]]:
        """{hotkey: weight and rank} at the last evaluation, of everybody or else of competitors."""
        columns = ["time_ms", "scored_with", "miner_hotkey", "final_weight", "final_rank"]
        table = self.run.dataset("scores").to_table(columns=columns)
        for scored_with in (rule_tables.WITH_ALL, rule_tables.WITH_COMPETITION):
            own = table.filter(pc.field("scored_with") == scored_with)
            if len(own):
                last = own.filter(pc.field("time_ms") == pc.max(own["time_ms"]))
                return {
                    row["miner_hotkey"]: (row["final_weight"], row["final_rank"])
                    for row in last.to_pylist()
                }
        return {}

    # ---- one trader

    def ledgers(self, hotkey: str) -> Mapping[str, PerfLedger]:
        """{"portfolio" or trade pair id: ledger}; {} where it has none."""
        found = read_ledgers(self.run.path, pc.field("miner_hotkey") == hotkey)
        return found.get(hotkey, {})

    def rows(self, table: str, hotkey: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A trader's rows of a table."""
        mine = pc.field("miner_hotkey") == hotkey
        return self.run.dataset(table).to_table(
            columns=None if columns is None else list(columns), filter=mine
        )

    def require_trader(self, hotkey: str) -> None:
        """See to it that the run knows a trader.

        Raises:
            NoSuchTrader: it has no ledger, position or event, and did not fail.
        """
        known = hotkey in self.places or hotkey in self.info["failed_traders"]
        if not known and not any(
            len(self.rows(name, hotkey, ["miner_hotkey"]))
            for name in ("positions", "events", "rejected")
        ):
            raise NoSuchTrader(hotkey)

    # ---- prices

    @cached_property
    def candles(self) -> CandleStore | None:
        """The candles of the run, where they can be reached from here."""
        recorded = self.settings.get("candles")
        if self._store is not None:
            path = self._store
        elif isinstance(recorded, str):
            path = Path(recorded)
        elif self.settings.get("use_test_positions"):
            path = self.run.path.parent / TEST_CANDLES
        else:
            return None
        try:
            return CandleStore(path)
        except (CandleError, OSError):
            return None


def _number(value: float) -> float:
    return value if math.isfinite(value) else -math.inf
