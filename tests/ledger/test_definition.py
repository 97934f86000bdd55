"""The readable definition against the network's own results, and against the measured time grid."""

from itertools import pairwise
from pathlib import Path

import pytest

from ptn_backtest.bundles.bundle import Bundle, read_bundle
from ptn_backtest.bundles.comparing import Comparison
from ptn_backtest.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from ptn_backtest.ledger.definition import define_ledgers
from ptn_backtest.ledger.definition.replay import _Step, _ticks
from ptn_backtest.ledger.state import LedgerState

SMALL_GOLDEN = (
    *("carry_fee_start", "daily_updates", "flats_without_price", "liquidation", "one_position"),
    *("same_millisecond", "second_steps", "slippage_false", "slippage_none", "slippage_true"),
    *("weekend_daily", "quirk_16"),
    # 21, 22 need the network's rules
    *(f"quirk_{number:02}" for number in (*range(1, 16), *range(17, 21), *range(23, 31))),
)
"""The kernel is checked on the large ones too; here they would take half a minute."""


@pytest.mark.parametrize("name", SMALL_GOLDEN)
def test_gives_the_ledgers_of_the_reference(shared: Path, name: str) -> None:
    bundle = read_bundle(shared / "golden" / name)
    assert bundle.expected is not None
    states = defined(bundle)
    comparison = Comparison()
    comparison.compare(
        "ledgers",
        {
            hotkey: {name: ledger.to_dict() for name, ledger in state.ledgers.items()}
            for hotkey, state in states.items()
            if state.ledgers
        },
        bundle.expected["ledgers"],
    )
    assert comparison.differences == []
    assert comparison.n_values > 0
    liquidated = {hotkey: state.liquidated_ms for hotkey, state in states.items()}
    assert {hotkey: ms for hotkey, ms in liquidated.items() if ms is not None} == {
        elimination["hotkey"]: elimination["elimination_initiated_time_ms"]
        for elimination in bundle.expected.get("perf_ledger_eliminations", [])
    }


def defined(bundle: Bundle) -> dict[str, LedgerState]:
    settings = bundle.settings
    hotkeys = dict.fromkeys(position.miner_hotkey for position in bundle.positions)
    return {
        hotkey: define_ledgers(
            [position for position in bundle.positions if position.miner_hotkey == hotkey],
            bundle.candles,
            settings.update_times_ms,
            account_sizes=settings.account_sizes.get(hotkey, ()),
            use_slippage=settings.use_slippage,
            portfolio_only=settings.build_portfolio_ledgers_only,
            window_ms=settings.target_ledger_window_ms,
        )
        for hotkey in hotkeys
    }


def test_the_time_grid_that_was_measured() -> None:
    """Quirk 1: an order at 00:00:30.500, a target at 00:40:12.345."""
    start_ms, end_ms = 30_501, 40 * MINUTE_MS + 12_345
    times = [at_ms for at_ms, _, _ in _ticks(_Step(start_ms, end_ms, []))]
    assert times[0] == start_ms
    gaps = [after - before for before, after in pairwise([*times, end_ms])]
    assert gaps == [SECOND_MS] * 30 + [MINUTE_MS] * 39 + [SECOND_MS] * 11 + [844]


@pytest.mark.parametrize(("length_ms", "n_records"), [(1_799_999, 1_801), (1_800_001, 91)])
def test_half_an_hour_decides_between_seconds_and_minutes(length_ms: int, n_records: int) -> None:
    """Quirk 2, whose count has the record at the end of the step too."""
    step = _Step(30_000, 30_000 + length_ms, [])
    assert len(list(_ticks(step))) + 1 == n_records


def test_a_candle_by_the_minute_is_only_asked_for_on_a_whole_minute() -> None:
    start_ms = 7 * HOUR_MS + 1
    for at_ms, asked_ms, timespan in _ticks(_Step(start_ms, start_ms + 3 * HOUR_MS, [])):
        assert asked_ms % timespan.ms == 0
        assert 0 <= at_ms - asked_ms < SECOND_MS
