"""The replay: from a start to an end in steps, ledgers first, rules after them."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Literal

from ptn_backtest.backtest.execution import ParallelizationMode, check_mode, map_traders
from ptn_backtest.clock import DAY_MS, format_time
from ptn_backtest.errors import ConfigError, NotAvailableYet
from ptn_backtest.ledger.checkpoint import PerfLedger
from ptn_backtest.ledger.manager import LedgerSettings, PerfLedgerManager
from ptn_backtest.ledger.timeline import build_timeline, open_ranges
from ptn_backtest.ledger.windows import second_windows
from ptn_backtest.positions.manager import PositionManager, up_to
from ptn_backtest.prices.candles import CandleSource
from ptn_backtest.prices.coverage import require_candles
from ptn_backtest.prices.table import PriceTable, price_table
from ptn_backtest.trade_pairs import TradePair

log = logging.getLogger(__name__)


class BacktestManager:
    """Replays positions on candles and keeps the traders' ledgers.

    Example:
        >>> manager = BacktestManager(positions, candles, start_ms, end_ms)  # doctest: +SKIP
        >>> manager.run()  # doctest: +SKIP
        >>> manager.get_perf_ledgers()["5F..."]["portfolio"].cps["mdd"]  # doctest: +SKIP

    Attributes:
        update_times_ms: every time at which ledgers are updated: the start, then one per interval,
            and the end. A ledger belongs to its sequence of update times.
        positions: positions as known at the end.
        perf_ledger_manager: the traders' ledgers.
        warnings: sentences on what the replay had to do without.
    """

    def __init__(
        self,
        positions: PositionManager,
        candles: CandleSource,
        start_ms: int,
        end_ms: int,
        *,
        interval_ms: int = DAY_MS,
        settings: LedgerSettings = LedgerSettings(),  # noqa: B008 - it is frozen
        account_sizes: Mapping[str, Sequence[tuple[int, float]]] | None = None,
        parallel_mode: ParallelizationMode = ParallelizationMode.SERIAL,
        missing_candles: Literal["error", "hold"] = "error",
        update_times_ms: Sequence[int] | None = None,
    ) -> None:
        """Read the candles and make every trader's timeline; no ledger is built yet.

        Args:
            positions: all positions; orders after the end are left out.
            candles: where prices come from.
            start_ms: first update time; orders before it are known from the beginning.
            end_ms: last update time.
            interval_ms: time between updates.
            settings: rulebook, slippage, window.
            account_sizes: {hotkey: [(update time in ms, USD), ...]}.
            parallel_mode: how traders are worked on.
            missing_candles: "error" or "hold" (the last value stays).
            update_times_ms: exact update times in place of start, end and interval.

        Raises:
            ConfigError: the times are out of order.
            MissingCandles: with "error", where a position is open and minute candles are missing.
            NotAvailableYet: a mode that this version does not have.
        """
        check_mode(parallel_mode)
        self.update_times_ms = tuple(update_times_ms or update_times(start_ms, end_ms, interval_ms))
        end_ms = self.update_times_ms[-1]
        self.positions = PositionManager(up_to(positions, end_ms))
        timelines = {
            hotkey: build_timeline(
                mine,
                (account_sizes or {}).get(hotkey, ()),
                settings.rulebook,
                use_slippage=settings.use_slippage,
            )
            for hotkey, mine in self.positions.by_hotkey().items()
        }
        needs = open_ranges(timelines.values(), end_ms)
        self.warnings = list(require_candles(candles, needs, missing_candles))
        pairs = [TradePair.from_trade_pair_id(pair) for pair in needs]
        ranges = {pair: (mine[0][0], end_ms) for pair, mine in needs.items()}
        self.perf_ledger_manager = PerfLedgerManager(
            settings=settings,
            timelines=timelines,
            prices=price_table(
                candles, pairs, ranges, second_windows(timelines.values(), self.update_times_ms)
            ),
            price_rows={pair: row for row, pair in enumerate(needs)},
        )
        self.warnings += _without_seconds(pairs, self.perf_ledger_manager.prices)
        self._mode = parallel_mode

    def update(
        self, t_ms: int, *, run_challenge: bool = False, run_elimination: bool = False
    ) -> None:
        """Continue every ledger to one of the update times.

        Raises:
            ConfigError: another time; candles were read for the update times only.
            NotAvailableYet: rules are asked for.
        """
        refuse_rules(run_challenge=run_challenge, run_elimination=run_elimination)
        if t_ms not in self.update_times_ms:
            raise ConfigError(
                f"{format_time(t_ms)} is not one of this replay's update times; hand the times that "
                "you want to BacktestManager(..., update_times_ms=...)"
            )
        self._update((t_ms,))

    def run(self, *, run_challenge: bool = False, run_elimination: bool = False) -> None:
        """Continue every ledger through all update times.

        Without rules no trader's fate depends on another's, so each trader goes through all times
        in one piece; the ledgers are those of `update` called for each time in turn.
        """
        refuse_rules(run_challenge=run_challenge, run_elimination=run_elimination)
        self._update(self.update_times_ms)

    def get_perf_ledgers(self, *, portfolio_only: bool = False) -> dict[str, dict[str, PerfLedger]]:
        """{hotkey: {"portfolio" or trade pair id: ledger}}, hotkeys sorted."""
        return self.perf_ledger_manager.get_perf_ledgers(portfolio_only=portfolio_only)

    @property
    def prices(self) -> PriceTable:
        """The candles that the replay reads."""
        return self.perf_ledger_manager.prices

    def _update(self, times_ms: Sequence[int]) -> None:
        manager = self.perf_ledger_manager
        begun = time.perf_counter()
        units = manager.units(times_ms)
        outcomes = map_traders(self._mode, manager.update_trader, units)
        for unit, outcome in zip(units, outcomes, strict=True):
            manager.keep(unit.timeline.miner_hotkey, outcome)
        log.debug(
            "ledgers of %d traders at %s after %.3f s",
            len(units),
            format_time(times_ms[-1]),
            time.perf_counter() - begun,
        )


def _without_seconds(pairs: Sequence[TradePair], prices: PriceTable) -> list[str]:
    """A sentence on pairs without any second candle: such a run is usual, but coarser."""
    lacking = [
        pair.trade_pair_id
        for pair, row in zip(pairs, prices.rows, strict=True)
        if row["second_first"] == row["second_last"]
    ]
    sentence = (
        f"no second candles of {', '.join(lacking)}: around orders and updates, where the network "
        "looks every second, values hold between whole minutes"
    )
    return [sentence] if lacking else []


def refuse_rules(*, run_challenge: bool, run_elimination: bool) -> None:
    """Refuse what this version cannot do, rather than leave it out in silence.

    Raises:
        NotAvailableYet: either rule set is asked for.
    """
    asked = [
        name
        for name, on in (("run_challenge", run_challenge), ("run_elimination", run_elimination))
        if on
    ]
    if asked:
        raise NotAvailableYet(
            f"{' and '.join(asked)}: the network's rules are not in this version; "
            "set them to false to build ledgers without rules"
        )


def update_times(start_ms: int, end_ms: int, interval_ms: int) -> list[int]:
    """The start, then one time per interval, and the end.

    Raises:
        ConfigError: the start is later than the end.
    """
    if start_ms > end_ms:
        raise ConfigError(
            f"the start ({format_time(start_ms)}) is later than the end ({format_time(end_ms)})"
        )
    times = list(range(start_ms, end_ms, interval_ms))
    return [*times, end_ms]
