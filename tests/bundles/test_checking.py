"""A check must fail when anything is wrong, and say where; these change one thing at a time."""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ptn_backtest.bundles.checking import check_bundle
from ptn_backtest.clock import HOUR_MS, MINUTE_MS
from ptn_backtest.errors import BundleError
from tests.bundles.made_bundles import (
    ALICE,
    BOB,
    START_MS,
    change_expected,
    order,
    position,
    scenario,
    write_bundle,
    write_candles,
    write_expected,
)

Expected = dict[str, Any]
FOLDER_NAME = "bundle"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / FOLDER_NAME)


@pytest.fixture
def expected(folder: Path) -> Expected:
    return write_expected(folder)


def test_a_bundle_agrees_with_its_own_results_to_the_bit(folder: Path, expected: Expected) -> None:
    check = check_bundle(folder, 0, 0)
    assert check.agrees
    assert check.largest is None
    assert check.n_values == sum(map(_count, expected.values()))
    assert not check.not_compared
    assert [section.section for section in check.sections] == list(expected)


def _float(expected: Expected) -> None:
    expected["ledgers"][ALICE]["portfolio"]["cps"][1]["gain"] *= 1 + 1e-8


def _integer(expected: Expected) -> None:
    expected["ledgers"][BOB]["BTCUSD"]["cps"][0]["last_update_ms"] += 1


def _count_of_updates(expected: Expected) -> None:
    expected["ledgers"][ALICE]["ETHUSD"]["cps"][0]["n_updates"] -= 1


def _key(expected: Expected) -> None:
    del expected["ledgers"][ALICE]["portfolio"]["cps"][2]["mdd"]


def _trader(expected: Expected) -> None:
    expected["ledgers"]["5Carol"] = expected["ledgers"][BOB]


def _pair(expected: Expected) -> None:
    del expected["ledgers"][ALICE]["ETHUSD"]


def _checkpoint(expected: Expected) -> None:
    expected["ledgers"][ALICE]["portfolio"]["cps"].pop()


def _day(expected: Expected) -> None:
    expected["daily"][BOB]["2025-03-04"] = 0.0


def _daily_pnl(expected: Expected) -> None:
    expected["daily_pnl"][ALICE]["2025-03-04"] += 1e-6


def _position(expected: Expected) -> None:
    expected["positions"][2]["average_entry_price"] *= 1 + 1e-8


def _fee(expected: Expected) -> None:
    for fee in expected["positions"][0]["carry_fee_at"].values():
        fee["carry_fee"] -= 1e-8


def _no_position(expected: Expected) -> None:
    expected["positions"].pop()


def _price(expected: Expected) -> None:
    expected["ledgers"][ALICE]["portfolio"]["last_known_prices"]["ETHUSD"][1] -= 60_000


def _section(expected: Expected) -> None:
    del expected["daily_pnl"]


def _elimination(expected: Expected) -> None:
    expected["perf_ledger_eliminations"] = [{"hotkey": BOB, "reason": "LIQUIDATED"}]


def _infinite(expected: Expected) -> None:
    expected["ledgers"][ALICE]["portfolio"]["cps"][0]["mpv"] = "inf"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (_float, f"ledgers/{ALICE}/portfolio/cps/1/gain"),
        (_integer, f"ledgers/{BOB}/BTCUSD/cps/0/last_update_ms"),
        (_count_of_updates, f"ledgers/{ALICE}/ETHUSD/cps/0/n_updates"),
        (_key, f"ledgers/{ALICE}/portfolio/cps/2/mdd"),
        (_trader, "ledgers/5Carol"),
        (_pair, f"ledgers/{ALICE}/ETHUSD"),
        (_checkpoint, f"ledgers/{ALICE}/portfolio/cps/2"),
        (_day, f"daily/{BOB}/2025-03-04"),
        (_daily_pnl, f"daily_pnl/{ALICE}/2025-03-04"),
        (_position, "positions/b1/average_entry_price"),
        (_fee, f"positions/a1/carry_fee_at/{START_MS + 14 * HOUR_MS + 250}/carry_fee"),
        (_no_position, "positions/b1"),
        (_price, f"ledgers/{ALICE}/portfolio/last_known_prices/ETHUSD/1"),
        (_section, "daily_pnl"),
        (_elimination, "perf_ledger_eliminations"),
        (_infinite, f"ledgers/{ALICE}/portfolio/cps/0/mpv"),
    ],
)
def test_one_wrong_thing_is_found(
    folder: Path, expected: Expected, change: Callable[[Expected], None], path: str
) -> None:
    before = copy.deepcopy(expected)
    change(expected)
    assert expected != before
    change_expected(folder, expected)
    check = check_bundle(folder)
    assert not check.agrees
    assert check.differences[0].path == path
    assert check.largest in check.differences


def test_the_size_of_a_difference_is_told(folder: Path, expected: Expected) -> None:
    _float(expected)
    change_expected(folder, expected)
    largest = check_bundle(folder).largest
    assert largest is not None
    assert largest.relative == pytest.approx(1e-8, rel=1e-6)
    assert largest.expected == expected["ledgers"][ALICE]["portfolio"]["cps"][1]["gain"]
    # with a wider tolerance it is no longer beyond, and still told
    check = check_bundle(folder, rtol=1e-7)
    assert check.agrees
    assert check.largest is not None
    assert check.largest.path == largest.path


def test_other_prices_give_other_results(folder: Path, expected: Expected) -> None:
    assert expected
    minutes = range(START_MS - HOUR_MS, START_MS + 30 * HOUR_MS, MINUTE_MS)
    write_candles(
        folder, [(pair, "minute", at, 70.0) for pair in ("BTCUSD", "ETHUSD") for at in minutes]
    )
    assert not check_bundle(folder).agrees


def test_a_section_that_nobody_knows_is_named(folder: Path, expected: Expected) -> None:
    change_expected(folder, {**expected, "moods": {ALICE: {}}, "reference_seconds": 3.5})
    check = check_bundle(folder)
    assert check.agrees
    assert check.not_compared == {"moods": "no section that this version knows"}


def test_a_fee_that_could_not_be_asked_is_left_out_and_counted(
    folder: Path, expected: Expected
) -> None:
    all_values = check_bundle(folder).n_values
    (at, fee), *_ = expected["positions"][0]["carry_fee_at"].items()
    expected["positions"][0]["carry_fee_at"][at] = {"error": "too early"}
    change_expected(folder, expected)
    check = check_bundle(folder)
    assert check.agrees
    assert list(check.not_compared) == [f"positions/a1/carry_fee_at/{at}"]
    assert check.n_values == all_values - len(fee)


def test_returns_at_a_liquidation_that_a_replay_cannot_tell_are_named(tmp_path: Path) -> None:
    content = scenario()
    content["positions"] = [
        position(BOB, "b", "BTCUSD", [order(1, "LONG", 20.0, 100.0, START_MS + 100)]),
        position(
            BOB,
            "c",
            "ETHUSD",
            [
                order(2, "LONG", 0.1, 50.0, START_MS + 100),
                order(3, "FLAT", 0.0, 50.0, START_MS + MINUTE_MS),
            ],
        ),
    ]
    rows = [
        (pair, "minute", START_MS + i * MINUTE_MS, price * (1 - i / 1000))
        for pair, price in (("BTCUSD", 100.0), ("ETHUSD", 50.0))
        for i in range(200)
    ]
    write_bundle(tmp_path, content, rows)
    expected = write_expected(tmp_path)
    event = expected["perf_ledger_eliminations"][0]
    change_expected(
        tmp_path, {**expected, "perf_ledger_eliminations": [{**event, "return_info": {}}]}
    )
    check = check_bundle(tmp_path)
    assert check.agrees
    assert list(check.not_compared) == ["perf_ledger_eliminations/0/return_info"]
    change_expected(
        tmp_path, {**expected, "perf_ledger_eliminations": [{**event, "reason": "ENOUGH"}]}
    )
    assert check_bundle(tmp_path).differences[0].path == "perf_ledger_eliminations/0/reason"


def test_nothing_to_compare_is_no_agreement(tmp_path: Path) -> None:
    content = {**scenario(), "positions": []}
    write_bundle(tmp_path, content)
    empty: Expected = {
        "positions": [],
        "ledgers": {},
        "daily": {},
        "daily_by_trade_pair": {},
        "daily_pnl": {},
    }
    change_expected(tmp_path, empty)
    check = check_bundle(tmp_path)
    assert check.n_values == 0
    assert not check.agrees


def test_without_expected_results_nothing_is_checked(folder: Path) -> None:
    with pytest.raises(BundleError, match=r"has no expected\.json"):
        check_bundle(folder)


@pytest.mark.parametrize(
    "positions",
    [None, {}, [{"miner_hotkey": ALICE}], [{"position_uuid": "a1", "carry_fee_at": {"noon": {}}}]],
)
def test_expected_positions_that_make_no_sense_are_named(
    folder: Path, expected: Expected, positions: object
) -> None:
    change_expected(folder, {**expected, "positions": positions})
    with pytest.raises(BundleError, match=r"expected\.json: positions is not a list"):
        check_bundle(folder)


def _count(value: object) -> int:
    if isinstance(value, dict):
        return sum(map(_count, value.values()))
    if isinstance(value, list):
        return sum(map(_count, value))
    assert not isinstance(value, float) or math.isfinite(value)
    return 1
