"""Bid and ask from a candle store."""

from pathlib import Path

import pytest

from ptn_backtest.clock import MINUTE_MS, SECOND_MS, parse_time
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.quotes import Quote, quote_lookup
from ptn_backtest.prices.store import CandleStore
from tests.prices.made_candles import table

NOON = parse_time("2025-01-31T12:00:00")
T = NOON + 30 * SECOND_MS + 250


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore.create(tmp_path / "prices")


def write(
    store: CandleStore, timespan: Timespan, quotes: dict[int, tuple[float | None, float | None]]
) -> None:
    bids, asks = zip(*quotes.values(), strict=True)
    store.write(
        "EURUSD", timespan, table(list(quotes), [1.1] * len(quotes), bid=list(bids), ask=list(asks))
    )


def test_the_quote_of_the_second_then_of_the_minute(store: CandleStore) -> None:
    write(store, Timespan.MINUTE, {NOON - MINUTE_MS: (1.0, 1.1), NOON: (1.2, 1.3)})
    lookup = quote_lookup(store)
    assert lookup("EURUSD", T) == Quote(1.2, 1.3)
    assert lookup("EURUSD", NOON - 1) == Quote(1.0, 1.1)
    write(store, Timespan.SECOND, {NOON + 30 * SECOND_MS: (1.4, 1.5)})
    assert lookup("EURUSD", T) == Quote(1.4, 1.5)
    assert lookup("EURUSD", NOON + 31 * SECOND_MS) == Quote(1.2, 1.3)


def test_a_quote_is_never_an_older_one(store: CandleStore) -> None:
    write(store, Timespan.MINUTE, {NOON: (1.2, 1.3)})
    lookup = quote_lookup(store)
    assert lookup("EURUSD", NOON + MINUTE_MS) is None
    assert lookup("GBPUSD", NOON) is None


@pytest.mark.parametrize("second", [(None, 1.5), (1.4, None), (None, None), (0.0, 1.5)])
def test_half_a_quote_is_none(
    store: CandleStore, second: tuple[float | None, float | None]
) -> None:
    write(store, Timespan.SECOND, {NOON + 30 * SECOND_MS: second})
    assert quote_lookup(store)("EURUSD", T) is None
    write(store, Timespan.MINUTE, {NOON: (1.2, 1.3)})
    assert quote_lookup(store)("EURUSD", T) == Quote(1.2, 1.3)


def test_candles_of_closes_alone_have_none(store: CandleStore) -> None:
    store.write("EURUSD", Timespan.MINUTE, table([NOON], [1.1]))
    assert quote_lookup(store)("EURUSD", T) is None
