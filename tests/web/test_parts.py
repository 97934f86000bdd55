"""The parts of the pages that need no browser."""

import os
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest import load_run
from ptn_backtest.web.addresses import name_of, part
from ptn_backtest.web.opened import OpenRun
from ptn_backtest.web.prices import price_chart
from ptn_backtest.web.progress import progress_of
from ptn_backtest.web.recent import Recent
from ptn_backtest.web.runs import RunsFolder
from tests.web.conftest import begin_unfinished, store_leg

NOW_MS = 1_800_000_000_000


@given(st.text(st.characters()))
def test_every_name_is_one_harmless_part_of_a_path(name):
    address = part(name)
    assert name_of(address) == name
    assert all(letter.isascii() and (letter.isalnum() or letter in "~_.-") for letter in address)
    assert address not in ("", ".", "..")


def test_recent_makes_each_once_and_forgets_the_oldest():
    made = []
    recent: Recent[int] = Recent(2)

    def make():
        made.append(1)
        time.sleep(0.05)
        return 7

    asking = [threading.Thread(target=recent.get, args=("a", make)) for _ in range(5)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert len(made) == 1
    recent.get("b", lambda: 1)
    recent.get("c", lambda: 1)
    recent.get("a", make)
    assert len(made) == 2


def test_recent_keeps_no_failure():
    recent: Recent[int] = Recent(2)
    with pytest.raises(ZeroDivisionError):
        recent.get("a", lambda: 1 // 0)
    assert recent.get("a", lambda: 3) == 3


def _at(path: Path, ms: int) -> None:
    os.utime(path, ns=(ms * 1_000_000, ms * 1_000_000))


def test_progress_tells_what_is_left(tmp_path):
    folder = begin_unfinished(tmp_path, "live", 10)
    _at(folder / "states" / "plan.json", NOW_MS)
    begun = progress_of(folder)
    assert begun is not None
    assert (begun.n_done, begun.until_ms, begun.left_ms(NOW_MS)) == (0, None, None)
    for leg, took_s in enumerate((0, 30, 60, 90)):
        store_leg(folder, leg)
        _at(folder / "states" / f"{leg:04}.rules", NOW_MS + took_s * 1_000 + 30_000)
    found = progress_of(folder)
    assert found is not None
    assert (found.n_done, found.n_legs, found.leg_ms) == (4, 10, 30_000)
    assert found.left_ms(NOW_MS + 120_000) == 180_000
    assert found.left_ms(NOW_MS + 130_000) == 170_000
    assert found.quiet_ms(NOW_MS + 130_000) is None
    assert found.quiet_ms(NOW_MS + 120_000 + 200_000) == 200_000
    for leg in range(4, 10):
        store_leg(folder, leg)
    assert progress_of(folder) is None


def test_a_run_that_is_written_anew_is_read_anew(runs, tmp_path):
    root = tmp_path / "runs"
    (root / "live").parent.mkdir()
    (root / "live").symlink_to(runs / "real")
    folder = RunsFolder(root)
    first = folder.open("live")
    assert folder.open("live") is first
    (root / "live").unlink()
    (root / "live").symlink_to(runs / "looser")
    assert folder.open("live") is not first


def test_the_leaderboard_is_what_the_files_say(runs):
    opened = OpenRun("real", load_run(runs / "real"), None)
    scores = opened.run.scores()
    last = scores[scores.time_ms == scores[scores.scored_with == "all"].time_ms.max()]
    weights = last[last.scored_with == "all"].groupby("miner_hotkey").final_weight.first()
    for row in opened.leaders:
        cps = opened.run.ledger(row.miner_hotkey)
        assert row.portfolio.value == cps.prev_portfolio_ret.iloc[-1]
        kept = cps.prev_portfolio_spread_fee.iloc[-1] * cps.prev_portfolio_carry_fee.iloc[-1]
        assert row.fees == pytest.approx(1 - kept, rel=1e-12)
        assert row.score == weights.get(row.miner_hotkey)
        assert row.n_positions == len(opened.run.positions(row.miner_hotkey))


def _orders(*rows):
    names = (
        "position_uuid",
        "trade_pair_id",
        "time_ms",
        "order_type",
        "price",
        "fill_price",
        "net_leverage",
    )
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])


def test_orders_are_marked_for_what_they_did():
    orders = _orders(
        ("p", "BTCUSD", 1_000, "SHORT", 10.0, 9.9, -0.5),
        ("p", "BTCUSD", 2_000, "SHORT", 11.0, 10.9, -0.7),
        ("p", "BTCUSD", 3_000, "FLAT", 12.0, 12.1, 0.0),
        ("p", "BTCUSD", 4_000, "FLAT", 12.0, 12.1, 0.0),  # after the close
        ("q", "BTCUSD", 2_500, "LONG", 11.0, 11.1, 0.1),
        ("q", "BTCUSD", 5_000, "FLAT", 0.0, 0.0, 0.0),  # closed without a price
        ("r", "ETHUSD", 2_500, "LONG", 11.0, 11.1, 0.1),
    )
    chart = price_chart(orders, "BTCUSD", None, None)
    assert chart is not None
    marks = [(mark["x"], mark["y"], mark["tone"]) for mark in chart["marks"]]
    assert marks == [
        (1, 9.9, "short"),
        (2, 10.9, "change"),
        (2.5, 11.1, "long"),
        (3, 12.1, "exit"),
    ]
    one = price_chart(orders, "BTCUSD", "q", None)
    assert one is not None
    assert [mark["tone"] for mark in one["marks"]] == ["long"]
    assert price_chart(orders, "../../etc", None, None) is None
