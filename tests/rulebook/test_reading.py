import math
from dataclasses import replace
from pathlib import Path

import pytest

from ptn_backtest.errors import ConfigError
from ptn_backtest.positions.accounting import carry_fee_at, replay
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook import (
    DEFAULT_RULEBOOK,
    EliminationRules,
    Rulebook,
    load_rulebook,
    rulebook_from,
)
from ptn_backtest.trade_pairs import TradePair

DAY = 86_400_000
V4, V6 = 1_713_198_680_000, 1_720_843_707_000


def held(opened: int, days: int, pair: str = "BTCUSD", slippage: float = 0.0) -> Position:
    """0.5x bought and sold at the same price."""
    orders = (
        Order("a", OrderType.LONG, 0.5, 100.0, opened, slippage=slippage),
        Order("b", OrderType.FLAT, -0.5, 100.0, opened + days * DAY, slippage=slippage),
    )
    return Position("5Test", "p", TradePair.from_trade_pair_id(pair), opened, orders)


def test_the_dates_are_the_networks() -> None:
    assert DEFAULT_RULEBOOK.fee_v4_ms == V4
    assert DEFAULT_RULEBOOK.carry_from_ms == V6
    assert DEFAULT_RULEBOOK.slippage_v1_ms == 1_739_937_600_000


@pytest.mark.parametrize(
    ("name", "pair", "opened", "days", "fee"),
    [
        # before V4 all alike: the pair's fee x the largest leverage
        ("2024-05", "BTCUSD", V4 - 3 * DAY, 1, 1 - 0.001 * 0.5),
        ("2025-11", "EURUSD", V4 - 3 * DAY, 1, 1 - 0.00007 * 0.5),
        # spread: half the pair's fee x 1.0 of leverage changed; no carry before V6
        ("2024-05", "EURUSD", V4 + DAY, 3, 1 - 0.00007 / 2),
        ("2025-07", "BTCUSD", V4 + DAY, 3, 1 - 0.001 / 2),
        ("2025-11", "BTCUSD", V4 + DAY, 3, 1 - 0.001),
        ("2025-11", "EURUSD", V4 + DAY, 3, 1.0),
        # 2024-05 never charges carry, the others do: 3 intervals a day at 0.5x
        ("2024-05", "BTCUSD", V6 + DAY, 2, 1 - 0.001 / 2),
        ("2024-07", "BTCUSD", V6 + DAY, 2, (1 - 0.001 / 2) * (1 - 0.1095) ** (6 * 0.5 / 1095)),
        # once slippage counts, 2025-07 charges no spread fee
        ("2025-07", "BTCUSD", 1_740_787_200_000, 2, (1 - 0.1095) ** (6 * 0.5 / 1095)),
    ],
)
def test_each_rulebook_charges_what_its_day_did(
    name: str, pair: str, opened: int, days: int, fee: float
) -> None:
    state = replay(held(opened, days, pair), load_rulebook(name))
    assert state.return_at_close == pytest.approx(fee, rel=1e-12)


def test_slippage_is_never_on_in_2024() -> None:
    slipped = held(1_740_787_200_000, 1, slippage=0.01)
    assert replay(slipped, load_rulebook("2024-07")).current_return == 1.0
    assert replay(slipped, load_rulebook("2025-07")).current_return < 1.0


def test_a_users_file_names_a_base_and_what_changes(tmp_path: Path) -> None:
    file = tmp_path / "cheap.toml"
    file.write_text(
        'base = "2025-11"\n[fees]\ncrypto_spread_rate = 0\n[carry]\nfrom = 2025-03-05\n'
        "[carry.crypto]\nyearly_rate = 0.2\n"
    )
    cheap = load_rulebook(file)
    assert cheap.name == "cheap"
    position = held(1_740_787_200_000, 10)
    fee, _ = carry_fee_at(position, position.orders[-1].processed_ms, cheap)
    intervals = 3 * 6  # 2025-03-05 to 2025-03-11
    assert math.log(fee) == pytest.approx(intervals * 0.5 * math.log(0.8) / 1095, rel=1e-9)
    assert replay(position, cheap).return_at_close == pytest.approx(fee, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('base = "2025-12"', ["base", "2025-12", "2025-11"]),
        ("[fees]\ncrypto_spread_rat = 1", ["fees.crypto_spread_rat", "crypto_spread_rate"]),
        ('[fees]\ncrypto_spread_rate = "x"', ["fees.crypto_spread_rate", "'x'"]),
        ("[fees]\npair_fee_share = -1", ["fees.pair_fee_share", "-1"]),
        ("[fees]\nspread_until_slippage = 1", ["fees.spread_until_slippage", "true or false"]),
        ('[carry]\nfrom = "soon"', ["carry.from", "soon", "never"]),
        ("[carry.crypto]\nperiod_hours = 0", ["carry.crypto.period_hours", "0"]),
        ("carry = 5", ["carry", "table"]),
        ("= 1", ["not a rulebook"]),
        ('base = "none"', ["fees", "missing"]),
        ("name = 5", ["name", "5", "text"]),
        ("[slipage]", ["slipage", "did you mean slippage"]),
        ("[slippage]\nlargest = 1.5", ["slippage.largest", "1.5", "from 0 to 1"]),
        ("[slippage]\nforex = nan", ["slippage.forex", "nan"]),
        ("[slippage]\nrollover_hour = 24", ["slippage.rollover_hour", "24", "23"]),
        ("[slippage.crypto_before_v2]\nBTCUSDT = 0", ["BTCUSDT", "did you mean BTCUSD"]),
        ('[slippage]\ncrypto_table = "none.csv"', ["slippage.crypto_table", "none.csv"]),
        ("[slippage]\ncrypto_table = [[1]]", ["slippage.crypto_table", "usd_from"]),
        ("[leverage]\norders_per_position = 0", ["leverage.orders_per_position", "0"]),
        ("[leverage]\norders_per_position = 1.5", ["orders_per_position", "whole number"]),
        ('[leverage]\nblocked = "indices"', ["leverage.blocked", "list"]),
        ('[leverage]\nblocked = ["index"]', ["leverage.blocked", "did you mean indices"]),
        ('[leverage.multipliers]\nforex = "none"', ["leverage.multipliers.forex", "missing"]),
        ("[leverage.changes.mine.largest]\ncrypto = 1", ["leverage.changes.mine.from", "missing"]),
        (
            '[leverage.changes.v2.largest]\ncrypto = "its own"',
            ["leverage.changes.v2.largest.crypto", "'own'"],
        ),
        (
            '[leverage.changes.mine]\nfrom = "2024-07-26T18:28:03Z"\nlargest = { crypto = 1 }',
            ["leverage.changes.mine", "v2", "largest.crypto", "2024-07-26"],
        ),
        ("[challenge]\ngrace_until = 2.5", ["challenge.grace_until", "2.5"]),
        ('[challenge]\ngrace_until = "0999-01-01"', ["challenge.grace_until", "always"]),
        ("[challenge]\nranks = true", ["challenge.ranks", "True"]),
        ("[challenge]\nchalenge_days = 9", ["chalenge_days", "did you mean challenge_days"]),
        ("[eliminations]\ndrawdown_limit = 110", ["drawdown_limit", "110", "100"]),
        ("[eliminations]\ndrawdown_slash = 1.1", ["drawdown_slash", "1.1"]),
        ("[scoring]\ndrawdown_limit = 5", ["scoring.drawdown_limit", "eliminations.drawdown_lim"]),
        ("[scoring]\nsoftmax_temperature = 0", ["softmax_temperature", "above 0"]),
        ("[scoring.metric_weights]\npnl = 2", ["scoring.metric_weights.pnl", "2"]),
        ("[scoring.metric_weights]\nprofit = 0.1", ["metric_weights.profit", "calmar"]),
        ("[scoring.minimum_days]\nleast = 61", ["scoring.minimum_days.least", "61", "60"]),
        ("[scoring.asset_classes.forex]\nemission = 0.6", ["scoring.asset_classes", "1.1"]),
        ("[scoring.asset_classes.equities]\nemission = 0", ["equities.days_in_year", "missing"]),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path: Path, text: str, named: list[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_rulebook(file)
    for word in (*named, "mine.toml"):
        assert word in str(caught.value)


def test_an_unknown_name_lists_the_shipped_ones() -> None:
    with pytest.raises(ConfigError, match=r"2025-11.*did you mean 2025-07"):
        load_rulebook("2025-7")


def test_a_rulebook_is_a_value() -> None:
    assert isinstance(hash(load_rulebook("2024-05")), int)
    assert load_rulebook("2024-05") != load_rulebook("2024-07")
    assert isinstance(DEFAULT_RULEBOOK, Rulebook)


ROWS = "trade_pair_id,side,usd_from,usd_to,slippage\nBTCUSD,long,0,1000000,0.001\n"


def test_a_users_table_is_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "flat.csv").write_text(ROWS)
    file = tmp_path / "mine.toml"
    file.write_text('[slippage]\ncrypto_table = "flat.csv"\n')
    (row,) = load_rulebook(file).slippage.crypto_table
    assert (row.trade_pair_id, row.side, row.usd_to, row.slippage) == ("BTCUSD", "long", 1e6, 0.001)


@pytest.mark.parametrize(
    ("good", "bad", "named"),
    [
        (",0.001", ",x", ["row 2", "slippage", "'x'"]),
        (",0.001", "", ["row 2", "5 cells"]),
        ("long", "buy", ["row 2", "side", "long, short"]),
        ("BTCUSD", "BTC", ["row 2", "trade_pair_id", "did you mean"]),
        ("usd_from,", "from,", ["usd_from"]),
    ],
)
def test_a_mistake_in_a_table_names_file_and_row(
    tmp_path: Path, good: str, bad: str, named: list[str]
) -> None:
    (tmp_path / "flat.csv").write_text(ROWS.replace(good, bad))
    file = tmp_path / "mine.toml"
    file.write_text('[slippage]\ncrypto_table = "flat.csv"\n')
    with pytest.raises(ConfigError) as caught:
        load_rulebook(file)
    for word in (*named, "mine.toml", "flat.csv", "slippage.crypto_table"):
        assert word in str(caught.value)


def test_a_recorded_rulebook_names_no_files() -> None:
    with pytest.raises(ConfigError, match="rows are wanted"):
        rulebook_from({"slippage": {"crypto_table": "/etc/hosts"}}, "run.json")


def test_the_drawdown_limit_is_one_number() -> None:
    loose = rulebook_from({"eliminations": {"drawdown_limit": 15}}, "loose")
    assert loose.eliminations.drawdown_limit == loose.scoring.drawdown_limit == 15.0
    tight = replace(loose, eliminations=EliminationRules(drawdown_limit=5.0))
    assert tight.scoring.drawdown_limit == 5.0
    assert "drawdown_limit" not in loose.to_dict()["scoring"]


def test_a_file_changes_only_what_it_names() -> None:
    mine = rulebook_from(
        {
            "base": "2024-07",
            "scoring": {
                "asset_classes": {"forex": {"emission": 0.25}},
                "metric_weights": {"pnl": 1},
            },
            "leverage": {"blocked": []},
        },
        "mine",
    )
    base = load_rulebook("2024-07")
    assert mine.fees == base.fees
    assert mine.slippage == base.slippage
    assert {c.value: a.emission for c, a in mine.scoring.asset_classes.items()} == {
        "crypto": 0.5,
        "forex": 0.25,
    }
    assert mine.scoring.metric_weights == {**base.scoring.metric_weights, "pnl": 1.0}
    assert not mine.leverage.blocked
    assert mine.leverage.changes == base.leverage.changes


def test_none_takes_an_entry_out_for_good() -> None:
    crypto_only = rulebook_from({"scoring": {"asset_classes": {"forex": "none"}}}, "crypto")
    assert [c.value for c in crypto_only.scoring.asset_classes] == ["crypto"]
    assert rulebook_from(crypto_only.to_dict(), "again") == crypto_only
