"""The readable definition of a performance ledger: plain Python, one tick at a time.

The compiled kernel is tested against it, to the last bit. It is written for reading, from the text
of the network's rules, not from the kernel, and takes seconds where that takes milliseconds; only
the arithmetic of a single position (`positions.accounting`) is shared. What a position is worth and
how a value is recorded stand in `valuing` and `recording`, time here. The
quirks of the network are named by their numbers in `docs/arithmetic.md`.

A trader's orders are replayed in steps. A step ends at the orders of one millisecond (a batch), or
with an update; it covers the time since the step before, with the positions as they stood before its
batch.
"""

import bisect
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ptn_backtest.clock import DAY_MS, MINUTE_MS, NEVER_MS, SECOND_MS
from ptn_backtest.ledger.breach import DRAWDOWN_LIMIT, Breach, HeldAtBreach
from ptn_backtest.ledger.checkpoint import PORTFOLIO, WINDOW_MS, LastKnownPrices
from ptn_backtest.ledger.definition.recording import (
    OpenLedger,
    Reading,
    drop_old_checkpoints,
    open_ledger,
    perf_ledger,
    record,
)
from ptn_backtest.ledger.definition.valuing import Holding, make_holding
from ptn_backtest.ledger.state import LedgerState
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import CandleSource, Timespan
from ptn_backtest.rulebook import DEFAULT_RULEBOOK, Rulebook
from ptn_backtest.sessions import session_edges

_BY_SECOND_MS = 30 * MINUTE_MS
"""A step up to this long has a tick every second."""


@dataclass(frozen=True, slots=True)
class _Step:
    """The time from `start_ms` (1 ms after the step before) to the orders of its batch."""

    start_ms: int
    end_ms: int
    batch: list[Holding]

    @property
    def closes_a_position(self) -> bool:
        after = [(h, h.orders_until(self.end_ms)) for h in self.batch]
        return any(h.is_closed_after(n) and not h.is_closed_after(h.n_orders) for h, n in after)

    def concerns(self, name: str) -> bool:
        """Whether the batch is empty or has an order of this ledger's pair."""
        return not self.batch or any(h.pair_id == name for h in self.batch)


@dataclass(slots=True)
class _Replay:
    """One trader's ledgers on their way through time.

    `in_ledger_order`: pairs by first trade, in a pair by open time, ties as stored. `holdings` are the
    same in the order of products, `stored` as they were given.
    """

    stored: list[Holding]
    in_ledger_order: list[Holding]
    holdings: list[Holding]
    closes: dict[tuple[str, Timespan], dict[int, float]]
    session_ms: dict[str, list[int]]
    account_sizes: list[tuple[int, float]]
    smallest_usd: float
    portfolio_only: bool
    window_ms: int
    ledgers: dict[str, OpenLedger] = field(default_factory=dict)
    last_known_prices: LastKnownPrices = field(default_factory=dict)
    drawdown_limit: float = DRAWDOWN_LIMIT
    last_update_ms: int | None = None
    breach: Breach | None = None
    liquidation: Breach | None = None

    def ledger_names(self, at_ms: int) -> list[str]:
        """The ledgers that exist after the orders up to a time."""
        pairs = dict.fromkeys(h.pair_id for h in self.holdings if h.orders_until(at_ms))
        return [PORTFOLIO] if self.portfolio_only else [PORTFOLIO, *pairs]

    def in_ledger(self, name: str) -> list[Holding]:
        return [h for h in self.holdings if name in (PORTFOLIO, h.pair_id)]


def define_ledgers(
    positions: Sequence[Position],
    candles: CandleSource,
    update_times_ms: Sequence[int],
    *,
    account_sizes: Sequence[tuple[int, float]] = (),
    rulebook: Rulebook = DEFAULT_RULEBOOK,
    use_slippage: bool | None = None,
    portfolio_only: bool = False,
    window_ms: int = WINDOW_MS,
    drawdown_limit: float = DRAWDOWN_LIMIT,
) -> LedgerState:
    """Build one trader's ledgers through these update times.

    Args:
        positions: all of one trader, at least one, in stored order.
        candles: where closes come from.
        update_times_ms: ascending, at least one; a ledger belongs to its sequence of them.
        account_sizes: (update time in ms, USD); an update counts from the next UTC day.
        rulebook: fees and dates.
        use_slippage: True always, False never, None by the rulebook's date.
        portfolio_only: build no ledgers by pair.
        window_ms: time that a ledger's checkpoints may cover.
        drawdown_limit: percent; the first record that reaches it is kept in the state.

    Returns:
        The state after the last update; `ledger.builder.update_ledgers` gives the same one.
    """
    stored = [make_holding(position, rulebook, use_slippage) for position in positions]
    by_open = sorted(stored, key=lambda h: h.position.orders[0].processed_ms)
    pairs = {h.pair_id: h.position.trade_pair for h in by_open}
    begin_ms = by_open[0].position.orders[0].processed_ms - MINUTE_MS
    closes = {}
    for pair_id in pairs:
        for timespan in Timespan:
            found = candles.read(pair_id, timespan, begin_ms, update_times_ms[-1])
            both = zip(found.start_ms.tolist(), found.close.tolist(), strict=True)
            closes[pair_id, timespan] = dict(both)
    ordered = [h for pair_id in pairs for h in by_open if h.pair_id == pair_id]
    replay = _Replay(
        stored=stored,
        in_ledger_order=ordered,
        holdings=list(ordered),
        closes=closes,
        session_ms={pair_id: session_edges(p.category).tolist() for pair_id, p in pairs.items()},
        account_sizes=sorted(account_sizes),
        smallest_usd=rulebook.accounts.smallest_usd,
        portfolio_only=portfolio_only,
        window_ms=window_ms,
        drawdown_limit=drawdown_limit,
    )
    for until_ms in update_times_ms:
        if replay.liquidation is None:
            _update(replay, until_ms)
    return _state(replay)


def _update(replay: _Replay, until_ms: int) -> None:
    """Continue to an update time, which ends a step."""
    batches = _batches(replay, until_ms)
    last_ms = replay.last_update_ms
    if not batches and (last_ms is None or last_ms >= until_ms):
        return  # nothing new, or no order yet (quirk 14)
    for ledger in replay.ledgers.values():
        ledger.peak = max(1.0, *(cp.mpv for cp in ledger.cps))  # quirk 16
    _arrange(replay, quiet=not batches, until_ms=until_ms)
    _stand_at_last_known_prices(replay)
    batches.setdefault(until_ms, [])  # unless orders come at the very update time (quirk 31)
    for i, (end_ms, batch) in enumerate(batches.items()):
        if i > 0:
            _stand_as_ordered(batch)  # quirk 12: up to its next order, from its last order's price
        start_ms = end_ms if replay.last_update_ms is None else replay.last_update_ms + 1
        _run(replay, _Step(start_ms, end_ms, batch))
        for h in batch:
            h.n_orders = h.orders_until(end_ms)
        _stand_as_ordered(batch)
        replay.last_update_ms = end_ms
        for ledger in replay.ledgers.values():
            drop_old_checkpoints(ledger, replay.window_ms)
        if replay.liquidation is not None:
            break
    _forget_dropped(replay)


def _arrange(replay: _Replay, *, quiet: bool, until_ms: int) -> None:
    """Put the holdings into the order of products.

    In an update without orders since the last one the network works through its own list, which is
    sorted by close, open positions last (quirk 35).
    """
    last_ms = max((h.last_order_ms(until_ms) for h in replay.stored), default=-NEVER_MS)
    if quiet and replay.last_update_ms is not None and last_ms < replay.last_update_ms:
        listed = sorted(
            replay.stored, key=lambda h: h.close_ms if h.close_ms <= until_ms else NEVER_MS
        )
    else:
        listed = sorted(replay.stored, key=lambda h: h.position.orders[0].processed_ms)
    pairs = dict.fromkeys(h.pair_id for h in listed if h.orders_until(until_ms))
    known = [h for pair_id in pairs for h in listed if h.pair_id == pair_id]
    replay.holdings = known + [h for h in listed if h.pair_id not in pairs]


def _batches(replay: _Replay, until_ms: int) -> dict[int, list[Holding]]:
    """{time: positions with an order then}, by close time as known at the update, then as stored."""

    def close_ms(h: Holding) -> int:
        return h.close_ms if h.close_ms <= until_ms else NEVER_MS

    after_ms = -NEVER_MS if replay.last_update_ms is None else replay.last_update_ms
    batches: dict[int, list[Holding]] = {}
    for h in sorted(replay.stored, key=close_ms):
        for at_ms in dict.fromkeys(order.processed_ms for order in h.position.orders):
            if after_ms < at_ms <= until_ms:
                batches.setdefault(at_ms, []).append(h)
    return dict(sorted(batches.items()))


def _stand_as_ordered(holdings: Sequence[Holding]) -> None:
    for h in holdings:
        if h.n_orders > 0:
            h.stand_as_ordered()


def _stand_at_last_known_prices(replay: _Replay) -> None:
    """Value open positions by their orders, or by a candle that started after the last of them."""
    if replay.last_update_ms is None:
        return
    _stand_as_ordered(replay.holdings)
    for h in replay.holdings:
        price, price_ms = replay.last_known_prices.get(h.pair_id, (0.0, -NEVER_MS))
        if h.is_open and price_ms > h.position.orders[h.n_orders - 1].processed_ms:
            h.ask_fees(replay.last_update_ms, h.n_orders)
            h.stand_at_price(price, replay.last_update_ms, price_ms)


def _run(replay: _Replay, step: _Step) -> None:
    """Record one step; its batch is booked by the caller."""
    for h in replay.holdings:
        if known := h.orders_until(step.end_ms):
            h.ask_fees(step.end_ms, known)  # a check: the batch counts already
    names = replay.ledger_names(step.end_ms)
    held = {h.pair_id for h in replay.holdings if h.is_open}
    if held:
        _run_with_positions(replay, step, names, held)
        return
    # the one record has the opening fees of the batch already
    readings = {name: _read_after_batch(replay, step, name) for name in names}
    _record_all(replay, step, step.end_ms, readings)


def _run_with_positions(replay: _Replay, step: _Step, names: list[str], held: set[str]) -> None:
    prices = replay.last_known_prices
    replay.last_known_prices = {k: prices[k] for k in prices if k.removesuffix("_prev") in held}
    active = [name for name in names if name == PORTFOLIO or name in held]
    idle = {name: _read_idle(replay, name) for name in names if name not in active}
    traded = {name: reading for name, reading in idle.items() if name in replay.ledgers}
    _record_all(replay, step, step.start_ms, traded)
    if step.start_ms < step.end_ms:
        readings = _walk(replay, step, active)
    else:
        readings = {name: _read_after_batch(replay, step, name) for name in active}
        idle = {name: _read_after_batch(replay, step, name) for name in idle}
    if replay.liquidation is None:
        if not replay.portfolio_only:
            readings = _replace_by_orders(step, readings)  # quirk 10
        _record_all(replay, step, step.end_ms, readings | idle)


def _walk(replay: _Replay, step: _Step, active: Sequence[str]) -> dict[str, Reading]:
    """Value and record the open positions tick by tick; the last readings, one per ledger."""
    members = {
        # closed positions first: the last bit of a product depends on it
        name: sorted((h for h in replay.in_ledger(name) if h.n_orders), key=lambda h: h.is_open)
        for name in active
    }
    readings: dict[str, Reading] = {}
    for at_ms, asked_ms, timespan in _ticks(step):
        open_pairs = {
            h.pair_id for h in replay.holdings if h.is_open and _tick(replay, h, asked_ms, timespan)
        }
        for name, holdings in members.items():
            market_open = bool(open_pairs) if name == PORTFOLIO else name in open_pairs
            readings[name] = _read(holdings, [h.value for h in holdings], market_open)
        _record_all(replay, step, at_ms, readings)
        if replay.liquidation is not None:
            break
    return readings


def _ticks(step: _Step) -> Iterator[tuple[int, int, Timespan]]:
    """Ticks before the end of a step: (time, its second, what candle is asked for)."""
    by_second = step.end_ms - step.start_ms <= _BY_SECOND_MS  # quirk 2
    at_ms = step.start_ms  # quirk 1
    while at_ms < step.end_ms:
        second_ms = at_ms - at_ms % SECOND_MS
        near_end = step.end_ms - second_ms <= MINUTE_MS
        by_minute = second_ms % MINUTE_MS == 0 and not near_end and not by_second
        timespan = Timespan.MINUTE if by_minute else Timespan.SECOND
        yield at_ms, second_ms, timespan
        at_ms += timespan.ms


def _tick(replay: _Replay, h: Holding, at_ms: int, timespan: Timespan) -> bool:
    """Value an open position at a tick; whether its market is open."""
    h.ask_fees(at_ms, h.n_orders)
    if bisect.bisect_right(replay.session_ms[h.pair_id], at_ms) % 2 == 0:
        return False  # quirk 9: the fees go on, the value waits
    close = replay.closes[h.pair_id, timespan].get(at_ms)  # quirk 3: of a candle that starts now
    if close is None:
        h.charge_fees()  # quirk 13: the price stays
        return True
    h.stand_at_price(close, at_ms, at_ms)
    prices = replay.last_known_prices
    if h.pair_id in prices and prices[h.pair_id][1] != at_ms:
        prices[f"{h.pair_id}_prev"] = prices[h.pair_id]
    prices[h.pair_id] = (close, at_ms)
    return True


def _read(
    holdings: Iterable[Holding], values: Iterable[float], market_open: bool | None
) -> Reading:
    spread = math.prod(h.spread for h in holdings)
    carry = math.prod(h.carry for h in holdings)
    return Reading(math.prod(values), spread, carry, market_open)


def _read_idle(replay: _Replay, pair_id: str) -> Reading:
    """A pair without an open position: its closed ones."""
    holdings = [h for h in replay.in_ledger(pair_id) if h.n_orders > 0]
    return _read(holdings, [h.value for h in holdings], market_open=None)


def _read_after_batch(replay: _Replay, step: _Step, name: str) -> Reading:
    """Without a tick: positions of the batch count by their orders, the others as they stand."""
    counts = {h: h.orders_until(step.end_ms) for h in replay.in_ledger(name)}
    holdings = [h for h in counts if counts[h] > 0]
    values = [h.value_after(counts[h]) if h in step.batch else h.value for h in holdings]
    return _read(holdings, values, market_open=None)


def _replace_by_orders(step: _Step, readings: dict[str, Reading]) -> dict[str, Reading]:
    """Put a position's return after its order in the place of the one at the last tick.

    The portfolio is corrected for the first position of the batch only (quirk 11).
    """
    existed = [h for h in step.batch if h.n_orders > 0]
    replaced = {}
    for name, reading in readings.items():
        value = reading.value
        for h in existed[:1] if name == PORTFOLIO else existed:
            if value > 0 and name in (PORTFOLIO, h.pair_id):
                value = value / h.value * h.value_after(h.orders_until(step.end_ms))
        replaced[name] = replace(reading, value=value)
    return replaced


def _record_all(replay: _Replay, step: _Step, at_ms: int, readings: dict[str, Reading]) -> None:
    """Record one moment in several ledgers; a value of 0 liquidates the trader before it."""
    if replay.ledgers and any(reading.value <= 0 for reading in readings.values()):
        replay.liquidation = _loss(replay, step, at_ms, 0.0)
        replay.breach = replay.breach or replay.liquidation
        return
    for name, reading in readings.items():
        if name not in replay.ledgers:  # its first record only opens it, at its first order
            replay.ledgers[name] = open_ledger(at_ms)
            continue
        cp = replay.ledgers[name].cps[-1]
        fees = (cp.prev_portfolio_spread_fee, cp.prev_portfolio_carry_fee)
        same_fees = reading.market_open is None and fees == (reading.spread, reading.carry)
        if same_fees and not step.closes_a_position and step.concerns(name):
            # nothing happened here: the value shall not drift by the rounding of a product
            reading = replace(reading, value=cp.prev_portfolio_ret)  # noqa: PLW2901
        record(replay.ledgers[name], at_ms, reading, _account_size(replay, at_ms))
        if name == PORTFOLIO:
            _watch_drawdown(replay, step, at_ms, reading.value)


def _watch_drawdown(replay: _Replay, step: _Step, at_ms: int, value: float) -> None:
    """Keep the first record of a window whose drawdown reaches the limit."""
    percent = (1 - value / replay.ledgers[PORTFOLIO].peak) * 100
    known = replay.breach is not None and replay.breach.time_ms >= at_ms - replay.window_ms
    if percent >= replay.drawdown_limit and not known:
        replay.breach = _loss(replay, step, at_ms, value)


def _loss(replay: _Replay, step: _Step, at_ms: int, value: float) -> Breach:
    """A moment with every open position: in the last record of a step, with the batch's orders."""
    held = []
    for h in replay.in_ledger_order:
        if not h.is_open:
            continue
        worth = (h.price, h.candle_ms, h.value)
        if at_ms == step.end_ms and h in step.batch:
            n_orders = h.orders_until(at_ms)
            worth = (h.position.orders[n_orders - 1].price, None, h.value_after(n_orders))
        leverage = float(h.accounts.after["held"][h.n_orders - 1])
        held.append(HeldAtBreach(h.position.position_uuid, h.pair_id, leverage, *worth))
    return Breach(at_ms, value, replay.ledgers[PORTFOLIO].peak, tuple(held))


def _forget_dropped(replay: _Replay) -> None:
    """A drawdown whose checkpoint has left the window is no longer known."""
    if replay.breach is not None:
        oldest = replay.ledgers[PORTFOLIO].cps[0]
        if replay.breach.time_ms <= oldest.last_update_ms - oldest.accum_ms:
            replay.breach = None


def _account_size(replay: _Replay, at_ms: int) -> float:
    """USD in force at a time: an update counts from the next UTC day, the smallest at least (quirk 18)."""
    known = [usd for from_ms, usd in replay.account_sizes if from_ms // DAY_MS < at_ms // DAY_MS]
    return max(known[-1], replay.smallest_usd) if known else replay.smallest_usd


def _state(replay: _Replay) -> LedgerState:
    caches = {h.position.position_uuid: h.cached_carry for h in replay.holdings}
    return LedgerState(
        ledgers={
            name: perf_ledger(
                ledger, replay.window_ms, replay.last_known_prices if name == PORTFOLIO else {}
            )
            for name, ledger in replay.ledgers.items()
        },
        carry_cache={uuid: entry for uuid, entry in caches.items() if entry is not None},
        last_update_ms=replay.last_update_ms,
        orders_seen=sum(h.n_orders for h in replay.holdings),
        breach=replay.breach,
        liquidation=replay.liquidation,
    )
