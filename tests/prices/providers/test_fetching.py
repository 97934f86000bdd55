"""What each provider's answers mean, asked of a local server over HTTP."""

import traceback
from urllib.parse import quote

import pytest

from ptn_backtest.clock import DAY_MS, MINUTE_MS, SECOND_MS
from ptn_backtest.errors import ConfigError, ProviderError
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.providers.contract import CandleRequest, KeyRefused, TryAgain
from ptn_backtest.prices.providers.exchange import ExchangeProvider
from ptn_backtest.trade_pairs import TradePair
from tests.prices.providers.candle_server import KEY, MONDAY, price

ALL = ("massive", "tiingo", "ccxt")


def request(pair="BTCUSD", timespan=Timespan.MINUTE, start=MONDAY, count=120):
    return CandleRequest(
        TradePair.from_trade_pair_id(pair), timespan, start, start + count * timespan.ms
    )


def inside(page, asked):
    """{start: close} of an answer's candles that were asked for."""
    rows = page.table.to_pylist()
    return {
        row["timestamp_ms"]: row["close"]
        for row in rows
        if asked.start_ms <= row["timestamp_ms"] < asked.end_ms
    }


def expected(asked):
    pair = asked.pair.trade_pair_id
    return {t: price(pair, t) for t in range(asked.start_ms, asked.end_ms, asked.timespan.ms)}


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("massive", "BTCUSD"),
        ("massive", "EURUSD"),
        ("massive", "NVDA"),
        ("tiingo", "BTCUSD"),
        ("tiingo", "EURUSD"),
        ("tiingo", "NVDA"),
        ("ccxt", "BTCUSD"),
    ],
)
def test_minutes_arrive_by_their_starts(providers, name, pair):
    asked = request(pair)
    page = providers[name].fetch(asked)
    assert inside(page, asked) == expected(asked)
    assert page.covered_ms == asked.end_ms
    assert page.lacks_the_rest


def test_other_values_are_kept(providers):
    [first, *_] = providers["massive"].fetch(request()).table.to_pylist()
    close = price("BTCUSD", MONDAY)
    assert first["high"] == close * 1.0001
    assert first["low"] == close * 0.9999
    assert first["volume"] == 2.5


def test_massive_has_seconds(providers):
    asked = request(timespan=Timespan.SECOND)
    assert inside(providers["massive"].fetch(asked), asked) == expected(asked)


@pytest.mark.parametrize("name", ALL)
def test_nothing_there_is_an_empty_answer_and_no_error(providers, server, name):
    server.begins_ms = MONDAY + 30 * DAY_MS
    page = providers[name].fetch(request())
    assert len(page.table) == 0
    assert page.lacks_the_rest


def test_a_full_page_covers_only_what_it_holds(providers, server):
    server.page = 50
    page = providers["massive"].fetch(request())
    assert page.covered_ms == MONDAY + 50 * MINUTE_MS


def test_an_exchange_that_gives_less_is_asked_again(providers, server):
    server.gaps = {MONDAY + k * MINUTE_MS for k in range(100, 120)}
    page = providers["ccxt"].fetch(request())
    assert page.covered_ms == MONDAY + 100 * MINUTE_MS


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "fault", ["429", "500", "503", "truncated", "cut-json", "html", "slow 1", "drop"]
)
def test_what_may_pass_is_worth_another_try(providers, server, name, fault):
    providers["ccxt"].fetch(request())  # its markets are loaded
    server.faults = [fault]
    with pytest.raises(TryAgain):
        providers[name].fetch(request())
    assert len(providers[name].fetch(request()).table) >= 120


@pytest.mark.parametrize("name", ALL)
def test_a_provider_says_how_long_to_wait(providers, server, name):
    server.faults = ["429 17"]
    with pytest.raises(TryAgain) as failure:
        providers[name].fetch(request())
    assert failure.value.wait_s == 17


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refusal_is_final_and_says_why(providers, server, name, status):
    server.faults = [str(status)]
    with pytest.raises(ProviderError, match=f"status {status}") as failure:
        providers[name].fetch(request())
    assert not isinstance(failure.value, TryAgain)


@pytest.mark.parametrize("name", ["massive", "tiingo"])
def test_a_wrong_key_is_said_to_be_one(providers, server, name):
    server.faults = ["401"]
    with pytest.raises(KeyRefused, match="is the key right"):
        providers[name].fetch(request())


@pytest.mark.parametrize("name", ["massive", "tiingo"])
@pytest.mark.parametrize("fault", ["401", "403", "429", "500", "truncated", "html", "slow 1"])
def test_no_failure_shows_a_key(providers, server, name, fault):
    """The server says the key in its answers; a library may show a URL. Neither gets out."""
    server.faults = [fault]
    with pytest.raises(ProviderError) as failure:
        providers[name].fetch(request())
    shown = "".join(traceback.format_exception(failure.value)) + repr(failure.value)
    assert KEY not in shown
    assert quote(KEY, safe="") not in shown


@pytest.mark.parametrize("name", ["massive", "tiingo"])
def test_a_library_that_raises_with_a_url_shows_no_key(providers, name, monkeypatch):
    def fails(*_arguments, **_named):
        raise RuntimeError(f"GET https://x.example/?apiKey={quote(KEY, safe='')} and {KEY}")

    asker = providers[name]
    if name == "massive":
        monkeypatch.setattr(asker._client, "list_aggs", fails)
    else:
        monkeypatch.setattr(asker._session, "get", fails)
    with pytest.raises(TryAgain, match="RuntimeError") as failure:
        asker.fetch(request())
    shown = "".join(traceback.format_exception(failure.value))
    assert KEY not in shown
    assert quote(KEY, safe="") not in shown
    assert failure.value.__context__ is None


def test_keys_go_as_headers_and_in_no_url(providers, server):
    for name in ALL:
        providers[name].fetch(request())
    assert {f"Bearer {KEY}", f"Token {KEY}"} <= set(server.keys)
    assert not any(KEY in path or quote(KEY, safe="") in path for path in server.paths)
    assert KEY not in repr(providers["massive"].__dict__)


@pytest.mark.parametrize(
    ("name", "pair", "timespan", "why"),
    [
        ("massive", "SPX", Timespan.MINUTE, "Massive has no indices"),
        ("tiingo", "BTCUSD", Timespan.SECOND, "Tiingo has no second candles"),
        ("ccxt", "EURUSD", Timespan.MINUTE, "ccxt has no forex"),
        ("ccxt", "BTCUSD", Timespan.SECOND, "coinbase has no second candles"),
    ],
)
def test_what_a_provider_does_not_have_is_known_without_asking(
    providers, server, name, pair, timespan, why
):
    assert why in providers[name].refusal(TradePair.from_trade_pair_id(pair), timespan)
    assert server.paths == []


def test_an_exchange_without_the_pair_says_so(providers):
    with pytest.raises(ProviderError, match=r"coinbase has no SOL/USD.*--quote"):
        providers["ccxt"].fetch(request("SOLUSD"))


def test_kraken_keeps_no_history(server):
    kraken = ExchangeProvider("kraken", url=server.url)
    with pytest.raises(ProviderError, match=r"latest 720 minute candles.*--exchange coinbase"):
        kraken.fetch(request())
    assert server.paths == []


def test_candles_of_other_times_prove_nothing(providers, monkeypatch):
    """An exchange that ignores the start gives its latest: that says nothing about the past."""
    later = [[MONDAY + DAY_MS + k * MINUTE_MS, 1.0, 1.0, 1.0, 1.0, 1.0] for k in range(5)]
    monkeypatch.setattr(providers["ccxt"]._client, "load_markets", dict)
    monkeypatch.setattr(providers["ccxt"]._client, "fetch_ohlcv", lambda *_: later)
    assert not providers["ccxt"].fetch(request()).lacks_the_rest


def test_other_exchanges_and_quotes_have_other_names():
    assert ExchangeProvider("bitstamp").name == "ccxt:bitstamp"
    tether = ExchangeProvider("binance", quote="USDT")
    assert tether.name == "ccxt:binance:USDT"
    assert tether.refusal(TradePair.from_trade_pair_id("BTCUSD"), Timespan.SECOND) is None
    assert tether.span_ms(Timespan.SECOND) == 1_000 * SECOND_MS
    with pytest.raises(ConfigError, match="no exchange 'krakn'"):
        ExchangeProvider("krakn")


@pytest.mark.parametrize("name", ["massive", "tiingo"])
@pytest.mark.parametrize(
    "answer", [b"[1]", b'"text"', b'{"status":"OK","results":[{"c":1}]}', b"{}"]
)
def test_an_answer_of_another_form_is_no_gap(providers, name, answer, monkeypatch):
    """What is not understood must not be taken for 'there is nothing'."""
    from ptn_backtest.prices.providers import massive, tiingo  # noqa: PLC0415
    from ptn_backtest.prices.providers.answers import document  # noqa: PLC0415

    module = {"massive": massive, "tiingo": tiingo}[name]
    changed = lambda title, given: document(title, type(given)(200, {}, answer))  # noqa: E731
    monkeypatch.setattr(module, "document", changed)
    with pytest.raises(ProviderError):
        providers[name].fetch(request())
