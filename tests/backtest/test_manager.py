"""The replay on real files: bundled positions and candles."""

from dataclasses import replace

import pytest

from ptn_backtest.backtest.legs import update_times
from ptn_backtest.backtest.manager import BacktestManager
from ptn_backtest.errors import ConfigError, MissingCandles
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.ledger.manager import LedgerSettings
from ptn_backtest.positions.conversion import convert
from ptn_backtest.positions.manager import PositionManager
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sources.bundled import BundledPositionSource, bundled_candles
from ptn_backtest.trade_pairs import TradePair

HOUR = 3_600_000
DAY = 24 * HOUR


@pytest.fixture(scope="session")
def candles(tmp_path_factory) -> CandleStore:
    return bundled_candles(tmp_path_factory.mktemp("bundled") / "candles")


@pytest.fixture
def positions() -> PositionManager:
    return PositionManager(convert(BundledPositionSource().read()).positions)


def made(positions, candles, days=6, **settings) -> BacktestManager:
    start = min(p.open_ms for p in positions)
    sizes = BundledPositionSource().read_account_sizes()
    return BacktestManager(
        positions, candles, start, start + days * DAY + 1234, account_sizes=sizes, **settings
    )


def plain(ledgers):
    return {h: {n: ledger.to_dict() for n, ledger in mine.items()} for h, mine in ledgers.items()}


def test_stepping_through_time_equals_running_through(positions, candles):
    stepped, whole = made(positions, candles), made(positions, candles)
    for t_ms in stepped.update_times_ms:
        stepped.update(t_ms)
    whole.run()
    assert plain(stepped.get_perf_ledgers()) == plain(whole.get_perf_ledgers())
    assert stepped.perf_ledger_manager.states.keys() == whole.perf_ledger_manager.states.keys()


def test_a_time_outside_the_schedule_is_refused(positions, candles):
    manager = made(positions, candles)
    with pytest.raises(ConfigError, match="update_times_ms"):
        manager.update(manager.update_times_ms[0] + 1)


def test_ledgers_reach_the_end_and_portfolio_only_leaves_out_pairs(positions, candles):
    manager = made(positions, candles, settings=LedgerSettings(portfolio_only=True))
    manager.run()
    ledgers = manager.get_perf_ledgers()
    assert ledgers
    assert {name for mine in ledgers.values() for name in mine} == {PORTFOLIO}
    ends = {mine[PORTFOLIO].last_update_ms for mine in ledgers.values()}
    assert ends == {manager.update_times_ms[-1]}


def test_orders_after_the_end_are_not_known(positions, candles):
    manager = made(positions, candles, days=2)
    end = manager.update_times_ms[-1]
    known = [order for position in manager.positions for order in position.orders]
    assert known
    assert max(order.processed_ms for order in known) <= end
    assert len(known) < sum(len(position.orders) for position in positions)


def test_one_failing_trader_is_set_aside_and_the_others_go_on(positions, candles):
    manager = made(positions, candles)
    manager.update(manager.update_times_ms[0])
    ledgers = manager.perf_ledger_manager
    hotkey = next(h for h, state in ledgers.states.items() if state.orders_seen)
    state = ledgers.states[hotkey]
    ledgers.states[hotkey] = replace(state, orders_seen=state.orders_seen + 1)
    manager.update(manager.update_times_ms[1])
    assert list(ledgers.failed) == [hotkey]
    assert "build its ledgers anew" in ledgers.failed[hotkey]
    others = [s for h, s in ledgers.states.items() if h != hotkey]
    assert {s.last_update_ms for s in others if s.ledgers} == {manager.update_times_ms[1]}


def test_missing_candles_are_named_before_the_replay_starts(positions, tmp_path):
    pair = TradePair.from_trade_pair_id("BTCUSD").trade_pair_id
    empty = CandleStore.create(tmp_path / "empty")
    with pytest.raises(MissingCandles, match=pair):
        made(positions, empty)
    held = made(positions, empty, missing_candles="hold")
    assert any(pair in sentence for sentence in held.warnings)
    held.run()  # order prices stand in
    assert held.get_perf_ledgers()


def test_update_times_begin_with_the_start_and_end_with_the_end():
    assert update_times(100, 350, 100) == [100, 200, 300, 350]
    assert update_times(100, 300, 100) == [100, 200, 300]
    assert update_times(100, 100, 100) == [100]
    with pytest.raises(ConfigError, match="later than the end"):
        update_times(200, 100, 10)
