"""A replay with rules: stepping equals running, and who leaves keeps what it had."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from ptn_backtest.backtest.manager import BacktestManager
from ptn_backtest.clock import DAY_MS, HOUR_MS
from ptn_backtest.ledger.manager import LedgerSettings
from ptn_backtest.positions.conversion import convert
from ptn_backtest.positions.manager import PositionManager
from ptn_backtest.positions.position import Position
from ptn_backtest.prices.candles import CandleSource
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.rulebook import DEFAULT_RULEBOOK, Rulebook, with_rules
from ptn_backtest.rules.events import EliminationReason, EventKind
from ptn_backtest.rules.scoring import Scores
from ptn_backtest.rules.standing import NetworkState
from ptn_backtest.sources.bundled import (
    END_MS,
    START_MS,
    BundledPositionSource,
    bundled_candles,
)
from ptn_backtest.sources.plagiarism import PlagiarismEvent
from tests.ledger.strategies import Trader, traders

ALL = {"run_challenge": True, "run_elimination": True, "run_scoring": True}
SHORT = with_rules(
    DEFAULT_RULEBOOK,
    [
        "challenge.challenge_days=14",
        "challenge.probation_days=3",
        'challenge.grace_until="2025-09-05T00:00:00Z"',
        "challenge.full_days=3",
        "challenge.ranks=2",
        "eliminations.drawdown_limit=1.15",
        "eliminations.plagiarism_days=5",
    ],
)
"""Rules under which a month brings everything about."""


@pytest.fixture(scope="module")
def candles(tmp_path_factory: pytest.TempPathFactory) -> CandleStore:
    return bundled_candles(tmp_path_factory.mktemp("bundled") / "candles")


@pytest.fixture(scope="module")
def positions() -> list[Position]:
    return list(convert(BundledPositionSource().read()).positions)


def month(
    positions: Sequence[Position],
    candles: CandleSource,
    rulebook: Rulebook = SHORT,
    **settings: Any,
) -> BacktestManager:
    hotkeys = sorted({position.miner_hotkey for position in positions})
    flagged = PlagiarismEvent(hotkeys[-1], START_MS + 12 * DAY_MS + 5, flagged=True)
    return BacktestManager(
        PositionManager(positions),
        candles,
        START_MS + 6 * HOUR_MS,
        END_MS,
        settings=LedgerSettings(rulebook=rulebook),
        account_sizes=BundledPositionSource().read_account_sizes(),
        plagiarism_events=[flagged],
        **settings,
    )


def plain(manager: BacktestManager) -> dict[str, Any]:
    """All that a replay leaves, as text."""
    network = manager.network
    return {
        "ledgers": ledgers_of(manager),
        "states": {h: one.to_dict() for h, one in manager.perf_ledger_manager.states.items()},
        "failed": manager.perf_ledger_manager.failed,
        "standings": network.state.to_dict(),
        "events": list(map(repr, network.events)),
        "scores": list(map(plain_scores, network.scores)),
        "competitions": list(map(plain_scores, network.competitions)),
        "positions": {h: list(map(repr, mine)) for h, mine in network.positions.items()},
    }


def plain_scores(scores: Scores) -> str:
    return repr((scores.time_ms, dict(scores.min_days), dict(scores.traders)))


def ledgers_of(manager: BacktestManager) -> dict[str, Any]:
    return {
        hotkey: {name: ledger.to_dict() for name, ledger in mine.items()}
        for hotkey, mine in manager.get_perf_ledgers().items()
    }


def stepped(manager: BacktestManager, switches: Mapping[str, bool]) -> BacktestManager:
    for t_ms in manager.update_times_ms:
        manager.update(t_ms, **switches)
    return manager


@pytest.fixture(scope="module")
def whole(positions: list[Position], candles: CandleStore) -> BacktestManager:
    manager = month(positions, candles)
    manager.run(**ALL)
    return manager


def test_the_month_has_something_of_everything(whole: BacktestManager) -> None:
    """Or the tests below would prove little."""
    kinds = {event.kind for event in whole.network.events}
    assert kinds >= {
        EventKind.ENTERED,
        EventKind.PROMOTED,
        EventKind.DEMOTED,
        EventKind.PLAGIARISM_FLAGGED,
        EventKind.ELIMINATED,
        EventKind.COLLATERAL_SLASHED,
        EventKind.POSITION_CLOSED,
    }
    assert len(whole.network.state.eliminations) > 1
    assert whole.network.state.standings


def test_stepping_through_a_month_equals_running_through(
    whole: BacktestManager, positions: list[Position], candles: CandleStore
) -> None:
    assert plain(stepped(month(positions, candles), ALL)) == plain(whole)


def test_running_on_from_the_middle_equals_running_through(
    whole: BacktestManager, positions: list[Position], candles: CandleStore
) -> None:
    manager = month(positions, candles)
    for t_ms in manager.update_times_ms[:11]:
        manager.update(t_ms, **ALL)
    manager.run(**ALL)
    assert plain(manager) == plain(whole)
    manager.run(**ALL)
    assert plain(manager) == plain(whole)


def test_the_state_of_the_network_can_be_stored_in_between(
    whole: BacktestManager, positions: list[Position], candles: CandleStore
) -> None:
    manager = month(positions, candles)
    for t_ms in manager.update_times_ms:
        manager.update(t_ms, **ALL)
        stored = json.dumps(manager.network.state.to_dict())
        manager.network.state = NetworkState.from_dict(json.loads(stored))
    assert plain(manager) == plain(whole)


def test_who_left_keeps_the_ledgers_of_its_last_update(
    whole: BacktestManager, positions: list[Position], candles: CandleStore
) -> None:
    times = whole.update_times_ms
    for hotkey, end in whole.network.state.eliminations.items():
        k = next(k for k, t_ms in enumerate(times) if t_ms >= end.time_ms)
        mine = [position for position in positions if position.miner_hotkey == hotkey]
        until = month(mine, candles, update_times_ms=times[: k + 1])
        until.run()
        # who waited too long with its first order has none
        assert ledgers_of(until).get(hotkey) == ledgers_of(whole).get(hotkey)
    assert set(ledgers_of(whole)) & set(whole.network.state.eliminations)


def test_who_left_holds_nothing_and_the_breach_is_exact(whole: BacktestManager) -> None:
    network = whole.network
    for hotkey, end in network.state.eliminations.items():
        last = {position.orders[-1].processed_ms for position in network.positions[hotkey]}
        assert max(last, default=0) <= end.time_ms
        closed = [
            event.figures["position_uuid"]
            for event in network.events
            if event.kind is EventKind.POSITION_CLOSED and event.miner_hotkey == hotkey
        ]
        assert closed == list(end.returns)
        by_drawdown = end.reason in (
            EliminationReason.MAX_TOTAL_DRAWDOWN,
            EliminationReason.FAILED_CHALLENGE_PERIOD_DRAWDOWN,
        )
        assert bool(end.breach) is by_drawdown
        if end.breach:
            assert end.breach.time_ms <= end.time_ms
            assert end.breach.drawdown * 100 >= SHORT.eliminations.drawdown_limit
            assert end.drawdown_percent >= round(end.breach.drawdown * 100, 2)


def test_without_rules_nobody_leaves_and_nothing_is_kept_of_updates(
    positions: list[Position], candles: CandleStore
) -> None:
    manager = month(positions, candles)
    manager.run()
    assert manager.network.state.eliminations == {}
    assert {event.kind for event in manager.network.events} == {EventKind.ENTERED}
    assert (manager.network.scores, manager.network.competitions) == ([], [])


RANDOM_RULES = replace(
    DEFAULT_RULEBOOK,
    challenge=replace(
        DEFAULT_RULEBOOK.challenge,
        challenge_days=1,
        probation_days=1,
        grace_until_ms=0,
        full_days=0,
        ranks=1,
    ),
    eliminations=replace(DEFAULT_RULEBOOK.eliminations, drawdown_limit=0.5),
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)
@given(traders())
def test_stepping_equals_running_whatever_is_traded(trader: Trader) -> None:
    """Each pair of the drawn trader is a trader of its own."""
    positions = [
        replace(position, miner_hotkey=f"5{position.trade_pair.trade_pair_id}")
        for position in trader.positions
    ]

    def manager() -> BacktestManager:
        return BacktestManager(
            PositionManager(positions),
            trader.candles,
            trader.update_times_ms[0],
            trader.update_times_ms[-1],
            settings=LedgerSettings(
                rulebook=RANDOM_RULES,
                use_slippage=trader.use_slippage,
                portfolio_only=trader.portfolio_only,
                window_ms=trader.window_ms,
            ),
            account_sizes={position.miner_hotkey: trader.account_sizes for position in positions},
            missing_candles="hold",
            update_times_ms=trader.update_times_ms,
        )

    through = manager()
    through.run(**ALL)
    assert plain(stepped(manager(), ALL)) == plain(through)
    state = through.network.state
    assert not set(state.standings) & set(state.eliminations)
    first_orders = {position.miner_hotkey for position in through.positions}
    assert set(state.standings) | set(state.eliminations) == first_orders
