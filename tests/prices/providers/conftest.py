import pytest

from ptn_backtest.prices.providers.exchange import ExchangeProvider
from ptn_backtest.prices.providers.keys import ApiKey
from ptn_backtest.prices.providers.massive import MassiveProvider
from ptn_backtest.prices.providers.tiingo import TiingoProvider
from tests.prices.providers.candle_server import KEY, CandleServer, running

TIMEOUT_S = 0.5


@pytest.fixture
def server():
    with running(CandleServer()) as started:
        yield started


@pytest.fixture
def providers(server):
    """All three, by name, at the local server."""
    key = ApiKey(KEY, "a test")
    return {
        "massive": MassiveProvider(key, url=server.url, timeout_s=TIMEOUT_S),
        "tiingo": TiingoProvider(key, url=server.url, timeout_s=TIMEOUT_S),
        "ccxt": ExchangeProvider(url=server.url, timeout_s=TIMEOUT_S),
    }
