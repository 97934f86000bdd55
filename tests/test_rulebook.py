import json
import math
from pathlib import Path

import pytest

from ptn_backtest.errors import ConfigError
from ptn_backtest.positions.accounting import carry_fee_at, replay
from ptn_backtest.positions.order import Order, OrderType
from ptn_backtest.positions.position import Position
from ptn_backtest.rulebook import DEFAULT_RULEBOOK, SHIPPED, Rulebook, load_rulebook, rulebook_from
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


@pytest.mark.parametrize("name", SHIPPED)
def test_a_rulebook_comes_back_from_what_it_says_of_itself(name: str) -> None:
    rulebook = load_rulebook(name)
    assert rulebook_from(json.loads(json.dumps(rulebook.to_dict())), "copy") == rulebook


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
