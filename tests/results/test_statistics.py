import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptn_backtest.clock import DAY_MS, HOUR_MS
from ptn_backtest.ledger.checkpoint import CHECKPOINT_MS, PORTFOLIO, PerfLedger
from ptn_backtest.results import statistics
from tests.results.made_runs import FIRST_ORDER_MS, MIDNIGHT_MS, ledger, made_run

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
FOLDERS = sorted(folder.name for folder in GOLDEN.glob("*/")) or ["golden replays"]


def test_figures_of_a_ledger() -> None:
    # 1.00 -> 1.02 -> 0.96 -> 1.05; the lowest of the middle checkpoint is 5 % under the peak
    led = ledger([1.02, 0.96, 1.05], mdd=[1.0, 0.95, 0.97], fee=0.998)
    figures = statistics.summarize_ledger(led)
    assert figures.value == 1.05
    assert figures.total_return == pytest.approx(0.05)
    assert figures.max_drawdown == pytest.approx(0.05)
    assert figures.gain == pytest.approx(math.log(1.02) + math.log(1.05 / 0.96))
    assert figures.loss == pytest.approx(math.log(0.96 / 1.02))
    assert figures.spread_fee == pytest.approx(0.002)
    assert figures.carry_fee == 0
    assert figures.pnl_usd == pytest.approx(5_000 * (0.02 + 0.96 / 1.02 - 1 + 1.05 / 0.96 - 1))
    assert figures.time_in_market == 1
    assert (figures.n_updates, figures.n_checkpoints) == (3, 3)
    assert (figures.start_ms, figures.end_ms) == (FIRST_ORDER_MS, MIDNIGHT_MS + 36 * HOUR_MS)
    assert not figures.truncated


def test_time_in_market_is_a_fraction_of_the_time_since_the_first_order() -> None:
    led = ledger([1.0, 1.0])
    led.cps["open_ms"] = [0, 7 * HOUR_MS]
    assert statistics.time_in_market(led) == pytest.approx(7 / 21)


def test_time_in_market_of_an_instant_is_zero() -> None:
    led = ledger([1.0])
    led.cps["last_update_ms"] = led.initialization_time_ms
    led.cps["accum_ms"] = 3 * HOUR_MS
    assert statistics.time_in_market(led) == 0


def test_a_ledger_that_lost_checkpoints_tells_from_the_start_of_its_window() -> None:
    led = ledger([1.02, 0.96, 1.05])
    shorter = replace(led, cps=led.cps[1:])
    figures = statistics.summarize_ledger(shorter)
    assert figures.truncated
    assert figures.start_ms == MIDNIGHT_MS + CHECKPOINT_MS
    assert figures.total_return == pytest.approx(0.05)  # since the first order all the same
    assert len(statistics.equity_curve(shorter).value) == 2  # no point before the window


def test_equity_curve_starts_at_the_first_order() -> None:
    curve = statistics.equity_curve(ledger([1.10, 0.99], mdd=[0.95, 0.88]))
    assert curve.time_ms.tolist() == [
        FIRST_ORDER_MS,
        MIDNIGHT_MS + CHECKPOINT_MS,
        MIDNIGHT_MS + DAY_MS,
    ]
    assert curve.value.tolist() == [1.0, 1.10, 0.99]
    assert curve.peak.tolist() == [1.0, 1.10, 1.10]
    assert curve.drawdown == pytest.approx([0.0, -0.05, -0.12])
    assert curve.lowest == pytest.approx([1.0, 1.045, 0.968])


def test_sums_of_many_ledgers_are_those_of_each() -> None:
    many = [ledger([1.1, 0.9]), ledger([1.2]), ledger([0.8, 0.7, 0.6])]
    sums = statistics.sums_of_many(many)
    for name in ("gain", "loss", "spread_fee_loss", "mdd", "pnl_gain", "pnl_loss"):
        assert sums[name] == pytest.approx([float(one.cps[name].sum()) for one in many]), name
    assert all(not len(each) for each in statistics.sums_of_many([]).values())


def test_only_days_of_two_full_checkpoints_count() -> None:
    led = ledger([1.01, 1.02, 1.03, 1.04, 1.05])
    led.cps["accum_ms"][-1] = 5 * HOUR_MS
    led.cps["last_update_ms"][-1] -= 7 * HOUR_MS
    dates, returns = statistics.daily_returns(led)
    assert dates.tolist() == [
        np.datetime64("2025-01-15").item(),
        np.datetime64("2025-01-16").item(),
    ]
    assert returns == pytest.approx([math.log(1.02), math.log(1.04 / 1.02)])


def test_no_full_day_gives_empty_arrays() -> None:
    dates, pnl = statistics.daily_pnl(ledger([1.01]))
    assert (len(dates), len(pnl)) == (0, 0)


def test_ranking_is_by_return_with_liquidated_traders_last() -> None:
    ranked = statistics.rank_traders(made_run())
    assert [(s.rank, s.miner_hotkey) for s in ranked] == [(1, "5Up"), (2, "5Down"), (3, "5Zero")]
    assert ranked[2].liquidation is not None
    assert (len(ranked[0].positions), ranked[0].n_orders, ranked[0].n_open) == (2, 4, 0)


@pytest.mark.parametrize("name", FOLDERS)
def test_daily_values_of_the_golden_replays(name: str, shared: Path) -> None:
    expected = json.loads((shared / "golden" / name / "expected.json").read_text())
    ledgers = {
        (hotkey, ledger_name): PerfLedger.from_dict(fields)
        for hotkey, own in expected["ledgers"].items()
        for ledger_name, fields in own.items()
    }
    assert expected["daily"].keys() == expected["ledgers"].keys()
    for hotkey, days in expected["daily"].items():
        assert _by_date(statistics.daily_returns(ledgers[hotkey, PORTFOLIO])) == _close(days)
    for hotkey, days in expected["daily_pnl"].items():
        assert _by_date(statistics.daily_pnl(ledgers[hotkey, PORTFOLIO])) == _close(days)
    for hotkey, pairs in expected["daily_by_trade_pair"].items():
        for pair, days in pairs.items():
            assert _by_date(statistics.daily_returns(ledgers[hotkey, pair])) == _close(days)


@pytest.mark.parametrize("name", FOLDERS)
def test_figures_of_the_golden_replays(name: str, shared: Path) -> None:
    expected = json.loads((shared / "golden" / name / "expected.json").read_text())
    for hotkey, metrics in expected["metrics"].items():
        own = {k: PerfLedger.from_dict(v) for k, v in expected["ledgers"][hotkey].items()}
        figures = statistics.summarize_ledger(own[PORTFOLIO])
        assert 1 - figures.max_drawdown == pytest.approx(metrics["mdd"], rel=1e-9)
        assert figures.pnl_usd == pytest.approx(metrics["raw_pnl"], rel=1e-9, abs=1e-9)
        assert 0 <= figures.time_in_market <= 1
        if not figures.truncated:
            assert figures.gain + figures.loss == pytest.approx(math.log(figures.value), abs=1e-9)
            taken = 1 - math.exp(own[PORTFOLIO].cps["spread_fee_loss"].sum())
            assert figures.spread_fee == pytest.approx(taken, abs=1e-9)


def _by_date(daily: tuple[statistics.Dates, statistics.Floats]) -> dict[str, float]:
    dates, values = daily
    return {str(date): float(value) for date, value in zip(dates, values, strict=True)}


def _close(days: dict[str, float]) -> Any:
    return pytest.approx(days, rel=1e-9, abs=1e-12)
