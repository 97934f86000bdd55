import pytest

from ptn_backtest.errors import UnknownTradePair
from ptn_backtest.trade_pairs import TradePair


@pytest.mark.parametrize("text", ["btcusd", "BtcUsd", " BTCUSD", "btcusd "])
def test_another_case_alone_suggests_the_one_pair(text: str) -> None:
    with pytest.raises(UnknownTradePair) as raised:
        TradePair.from_trade_pair_id(text)
    assert str(raised.value) == f"unknown trade pair {text!r}; did you mean BTCUSD?"


@pytest.mark.parametrize("text", ["BTC/USD", "btc/usd"])
def test_near_ids_are_found_in_any_case(text: str) -> None:
    with pytest.raises(UnknownTradePair, match="did you mean BTCUSD or "):
        TradePair.from_trade_pair_id(text)


def test_what_is_like_none_suggests_nothing() -> None:
    with pytest.raises(UnknownTradePair, match=r"'\?{9}'$"):
        TradePair.from_trade_pair_id("?????????")
