"""The fingerprint of candles, held to its definition in Python's whole numbers."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ptn_backtest.clock import MINUTE_MS
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.fingerprint import CandleSum, _sum_of, candle_sum
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.prices.table import price_table
from ptn_backtest.trade_pairs import TradePair

CANDLES = st.lists(
    st.tuples(st.integers(0, 2**42), st.floats(1e-9, 1e9, allow_subnormal=False)), max_size=20
)


def mixed(word: int) -> int:
    """The finalizer of SplitMix64, as published."""
    word = (word + 0x9E3779B97F4A7C15) % 2**64
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
    return word ^ word >> 31


def sum_of(name: str, candles: list[tuple[int, float]]) -> CandleSum:
    sums = []
    for seed in (1, 2):
        word = zlib.crc32(name.encode(), seed)
        bits = [struct.unpack("<Q", struct.pack("<d", close))[0] for _, close in candles]
        sums.append(
            sum(
                mixed(mixed((s + word) % 2**64) ^ b)
                for (s, _), b in zip(candles, bits, strict=True)
            )
        )
    return CandleSum(len(candles), sums[0] % 2**64, sums[1] % 2**64)


@given(CANDLES, CANDLES)
@settings(max_examples=60)
def test_it_is_its_definition_and_adds_up(
    one: list[tuple[int, float]], other: list[tuple[int, float]]
) -> None:
    def found(candles: list[tuple[int, float]]) -> CandleSum:
        starts = np.array([start for start, _ in candles], np.int64)
        return _sum_of("BTCUSD minute", starts, np.array([c for _, c in candles], np.float64))

    assert found(one) == sum_of("BTCUSD minute", one)
    assert found(one).plus(found(other)) == found(one + other)
    assert CandleSum.of_text(len(one), found(one).text) == found(one)


def test_stretches_of_a_table(tmp_path: Path) -> None:
    store = CandleStore.create(tmp_path / "candles")
    starts = [i * MINUTE_MS for i in range(10)]
    closes = [100.0 + i for i in range(10)]
    store.write("BTCUSD", Timespan.MINUTE, pa.table({"timestamp_ms": starts, "close": closes}))
    pair = TradePair.from_trade_pair_id("BTCUSD")
    table = price_table(store, [pair], {"BTCUSD": (0, 10 * MINUTE_MS)}, {})
    candles = list(zip(starts, closes, strict=True))
    # from the first time on, before the second one
    found = candle_sum(table, ["BTCUSD"], 2 * MINUTE_MS, 5 * MINUTE_MS)
    assert found == sum_of("BTCUSD minute", candles[2:5])
    assert candle_sum(table, ["BTCUSD"]) == sum_of("BTCUSD minute", candles)
    assert candle_sum(table, ["ETHUSD"]) != sum_of("BTCUSD minute", candles)
