"""The readable definition, part 2: how a value becomes part of a ledger (compiled: `ledger.recording`)."""

import math
from dataclasses import astuple, dataclass

import numpy as np

from ptn_backtest.ledger.checkpoint import CHECKPOINT, CHECKPOINT_MS, LastKnownPrices, PerfLedger


@dataclass(slots=True)
class OpenCheckpoint:
    """A checkpoint being filled; the fields of `CHECKPOINT`, in its order."""

    last_update_ms: int
    prev_portfolio_ret: float = 1.0
    prev_portfolio_spread_fee: float = 1.0
    prev_portfolio_carry_fee: float = 1.0
    accum_ms: int = 0
    open_ms: int = 0
    n_updates: int = 0
    gain: float = 0.0
    loss: float = 0.0
    spread_fee_loss: float = 0.0
    carry_fee_loss: float = 0.0
    mdd: float = 1.0
    mpv: float = 1.0
    pnl_gain: float = 0.0
    pnl_loss: float = 0.0


@dataclass(slots=True)
class OpenLedger:
    """A ledger being recorded."""

    initialization_ms: int
    cps: list[OpenCheckpoint]
    peak: float = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What a ledger records at one moment: products over its positions.

    `market_open` is None where nothing counts as held. (Whether the price changed, which the network
    notes too, makes no difference to a ledger.)
    """

    value: float
    spread: float
    carry: float
    market_open: bool | None


def open_ledger(at_ms: int) -> OpenLedger:
    """The first record of a ledger only opens it; its value is booked by the next one."""
    return OpenLedger(at_ms, [OpenCheckpoint(at_ms, accum_ms=at_ms % CHECKPOINT_MS)])


def record(ledger: OpenLedger, at_ms: int, reading: Reading, account_size: float) -> None:
    """Book a value and its fees at a time."""
    _advance(ledger, at_ms, is_open=reading.market_open is True)
    ledger.peak = max(ledger.peak, reading.value)
    cp = ledger.cps[-1]
    cp.mdd = min(cp.mdd, reading.value / ledger.peak)
    cp.mpv = max(cp.mpv, reading.value)
    ratio = reading.value / cp.prev_portfolio_ret
    change, pnl = math.log(ratio), (ratio - 1) * account_size
    cp.n_updates += change != 0
    cp.gain, cp.pnl_gain = cp.gain + max(change, 0.0), cp.pnl_gain + max(pnl, 0.0)
    cp.loss, cp.pnl_loss = cp.loss + min(change, 0.0), cp.pnl_loss + min(pnl, 0.0)
    if reading.spread != cp.prev_portfolio_spread_fee:
        cp.spread_fee_loss += math.log(reading.spread / cp.prev_portfolio_spread_fee)
    if reading.carry != cp.prev_portfolio_carry_fee:
        cp.carry_fee_loss += math.log(reading.carry / cp.prev_portfolio_carry_fee)
    cp.prev_portfolio_ret = reading.value
    cp.prev_portfolio_spread_fee = reading.spread
    cp.prev_portfolio_carry_fee = reading.carry


def _advance(ledger: OpenLedger, at_ms: int, *, is_open: bool) -> None:
    """Let time pass up to a record; one exactly at a checkpoint's end belongs to it (quirk 15)."""
    cp = ledger.cps[-1]
    while (left_ms := CHECKPOINT_MS - cp.accum_ms) < at_ms - cp.last_update_ms:
        # what is held is recorded every minute: a whole checkpoint passes only while nothing is
        cp.open_ms += left_ms if is_open else 0
        cp.accum_ms = CHECKPOINT_MS
        cp.last_update_ms += left_ms
        cp = OpenCheckpoint(
            last_update_ms=cp.last_update_ms,
            prev_portfolio_ret=cp.prev_portfolio_ret,
            prev_portfolio_spread_fee=cp.prev_portfolio_spread_fee,
            prev_portfolio_carry_fee=cp.prev_portfolio_carry_fee,
            mdd=cp.prev_portfolio_ret / ledger.peak,
            mpv=cp.prev_portfolio_ret,
        )
        ledger.cps.append(cp)
    elapsed_ms = at_ms - cp.last_update_ms
    cp.accum_ms += elapsed_ms
    cp.open_ms += elapsed_ms if is_open else 0
    cp.last_update_ms = at_ms


def drop_old_checkpoints(ledger: OpenLedger, window_ms: int) -> None:
    """Drop the oldest while the checkpoints cover more than the window."""
    while sum(cp.accum_ms for cp in ledger.cps) > window_ms:
        del ledger.cps[0]


def perf_ledger(
    ledger: OpenLedger, window_ms: int, last_known_prices: LastKnownPrices
) -> PerfLedger:
    """The ledger as the other stages know it."""
    return PerfLedger(
        initialization_time_ms=ledger.initialization_ms,
        max_return=ledger.peak,
        cps=np.array([astuple(cp) for cp in ledger.cps], dtype=CHECKPOINT),
        last_known_prices=last_known_prices,
        target_ledger_window_ms=window_ms,
    )
