"""What a finished run knows: the input of the run folder and of the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ptn_backtest.clock import format_time
from ptn_backtest.ledger.checkpoint import PerfLedger
from ptn_backtest.positions.accounting import PositionState
from ptn_backtest.positions.order_checks import OrderFinding
from ptn_backtest.positions.order_log import NO_ORDERS, OrderLog
from ptn_backtest.positions.position import Position
from ptn_backtest.positions.rejection import Rejection
from ptn_backtest.prices.outline import PriceOutline
from ptn_backtest.rules.events import Elimination, Event
from ptn_backtest.rules.scoring import Scores
from ptn_backtest.rules.standing import Standing


@dataclass(frozen=True, slots=True)
class Liquidation:
    """A portfolio whose value reached 0, at a tick.

    Attributes:
        miner_hotkey: the trader.
        elimination_ms: time of the tick.
        last_known_prices: as in a ledger, with the tick's candles.
        previous_return: portfolio value at the record before.
    """

    miner_hotkey: str
    elimination_ms: int
    last_known_prices: Mapping[str, tuple[float, int]]
    previous_return: float


@dataclass(frozen=True, slots=True)
class ReplayedPosition:
    """A position and its state after the last order up to the end of the run."""

    position: Position
    state: PositionState


@dataclass(frozen=True, slots=True)
class Advance:
    """What came of going on with a run whose tables are to be written later.

    Attributes:
        from_ms: last update that was done before; None where there was none.
        end_ms: last update that is done now.
        n_updates: how many were done.
        events: what the network's rules changed, in the order of evaluations.
        failed_traders: {hotkey: message} of traders that were set aside as a whole.
        warnings: sentences for the reader, such as missing candles that were held.
        timings: {phase: seconds}.
    """

    from_ms: int | None
    end_ms: int
    n_updates: int
    events: Sequence[Event]
    failed_traders: Mapping[str, str]
    warnings: Sequence[str]
    timings: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RunResult:
    """Everything that a run folder is written from.

    Attributes:
        settings: the run's configuration, JSON-ready, without credentials.
        source: the position source in words.
        inputs: fingerprints of what was read: {"positions": sha256, "candles": sha256}.
        counts: {"traders": 3, "positions": 80, "orders": 417, "rejected_positions": 0, ...}.
        timings: {phase: seconds}; the only part that differs between equal runs.
        start_ms: first update time.
        end_ms: last update time.
        update_times_ms: every update time.
        ledgers: {hotkey: {"portfolio" or trade pair id: ledger}}, hotkeys sorted.
        positions: replayed positions, by hotkey, then open time.
        rejections: what was set aside.
        liquidations: portfolios that reached 0.
        events: every change that the network's rules made, in the order of evaluations.
        standings: {hotkey: where it stands at the end}, of those still in the network.
        eliminations: who left, in time order.
        scores: of all traders, one per evaluation, where that was asked for.
        competitions: of those who compete for the ranks, one per evaluation that ranked.
        order_findings: orders that the network would have reduced or refused.
        failed_traders: {hotkey: message} of traders that were set aside as a whole.
        warnings: sentences for the reader, such as missing candles that were held.
        synthetic: True where positions or candles are made up for tests.
        orders: of `positions`, in this sequence, with what each did.
        prices: {trade pair id: what its prices did from its first order on}, for charts; a result
            that was made elsewhere may have none.
    """

    settings: Mapping[str, Any]
    source: str
    inputs: Mapping[str, str]
    counts: Mapping[str, int]
    timings: Mapping[str, float]
    start_ms: int
    end_ms: int
    update_times_ms: Sequence[int]
    ledgers: Mapping[str, Mapping[str, PerfLedger]]
    positions: Sequence[ReplayedPosition]
    rejections: Sequence[Rejection] = ()
    liquidations: Sequence[Liquidation] = ()
    events: Sequence[Event] = ()
    standings: Mapping[str, Standing] = field(default_factory=dict)
    eliminations: Sequence[Elimination] = ()
    scores: Sequence[Scores] = ()
    competitions: Sequence[Scores] = ()
    order_findings: Sequence[OrderFinding] = ()
    failed_traders: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    synthetic: bool = False
    orders: OrderLog = NO_ORDERS
    prices: Mapping[str, PriceOutline] = field(default_factory=dict)

    def __repr__(self) -> str:
        gone = f", {len(self.eliminations)} eliminated" if self.eliminations else ""
        return (
            f"<RunResult of {self.source}: {len(self.ledgers)} traders, {len(self.positions)} positions"
            f"{gone}, {format_time(self.start_ms)} to {format_time(self.end_ms)}>"
        )
