"""Bid and ask of the past: what Massive's answers mean, and the engine that asks for them."""

import json
import traceback
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from ptn_backtest.errors import CandleError, ConfigError, ProviderError
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.providers.contract import (
    DatedQuote,
    KeyRefused,
    QuotePage,
    QuoteRequest,
    TryAgain,
)
from ptn_backtest.prices.providers.opening import open_quote_providers
from ptn_backtest.prices.providers.quote_pulling import (
    OLDEST_QUOTE_MS,
    plan_quotes,
    pull_quotes,
)
from ptn_backtest.prices.quote_shelf import QuoteShelf
from ptn_backtest.prices.quotes import Quote, quote_lookup
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.trade_pairs import TradePair
from tests.prices.made_candles import table
from tests.prices.providers.candle_server import KEY, MONDAY, bid_ask
from tests.prices.providers.test_pulling import StoppedClock

NOW = MONDAY + 30 * DAY_MS
NOON = MONDAY + 12 * HOUR_MS
AT = NOON + 3_456
"""A moment; the latest quote was made at noon and a quarter of a millisecond."""


@pytest.fixture
def store(tmp_path):
    return CandleStore.create(tmp_path / "prices")


def request(pair="EURUSD", at=AT):
    return QuoteRequest(TradePair.from_trade_pair_id(pair), at, at - OLDEST_QUOTE_MS)


def bring(store, wants, *providers, now=NOW, clock=None, **options):
    clock = clock or StoppedClock()
    return pull_quotes(store, wants, providers, now_ms=now, clock=clock, **options)


@pytest.mark.parametrize("pair", ["EURUSD", "NVDA"])
def test_the_latest_quote_at_or_before_the_moment(providers, server, pair):
    page = providers["massive"].fetch_quote(request(pair))
    assert page.quote == DatedQuote(NOON, *bid_ask(pair, NOON))
    [path] = server.paths
    assert path.startswith("/v3/quotes/" + {"EURUSD": "C:EUR-USD", "NVDA": "NVDA"}[pair])


def test_a_quote_of_the_moments_own_millisecond_may_be_later(providers):
    """It is stamped a quarter of a millisecond after noon, and an order knows only whole ones."""
    page = providers["massive"].fetch_quote(request(at=NOON))
    assert page.quote == DatedQuote(NOON - 5_000, *bid_ask("EURUSD", NOON - 5_000))
    page = providers["massive"].fetch_quote(request(at=NOON + 1))
    assert page.quote is not None
    assert page.quote.quoted_ms == NOON


def test_the_order_of_an_answer_does_not_matter(providers, server):
    server.shuffle = lambda rows: rows[::-1]
    page = providers["massive"].fetch_quote(request())
    assert page.quote == DatedQuote(NOON, *bid_ask("EURUSD", NOON))


def test_an_older_quote_than_a_minute_is_none(providers, server):
    server.gaps = {NOON - k * 5_000 for k in range(13)}
    page = providers["massive"].fetch_quote(request(at=NOON))
    assert page == QuotePage()
    server.gaps.remove(NOON - 55_000)
    page = providers["massive"].fetch_quote(request(at=NOON))
    assert page.quote is not None
    assert page.quote.quoted_ms == NOON - 55_000


def test_a_quote_that_lacks_a_side_is_passed_over(providers, server):
    server.one_sided = {NOON, NOON - 5_000}
    page = providers["massive"].fetch_quote(request())
    assert page.quote is not None
    assert (page.quote.quoted_ms, page.n_one_sided) == (NOON - 10_000, 2)


def test_pages_without_a_quote_of_both_sides_lead_to_earlier_ones(store, providers, server):
    server.page = 2
    server.one_sided = {NOON - k * 5_000 for k in range(5)}
    report = bring(store, {"EURUSD": [AT]}, providers["massive"])
    done = report.pairs["EURUSD"]
    assert (done.n_added, done.requests["massive"], done.findings["one-sided"]) == (1, 3, 5)
    [row] = QuoteShelf(store).read("EURUSD").to_pylist()
    bid, ask = bid_ask("EURUSD", NOON - 25_000)
    assert row == {
        "at_ms": AT,
        "quoted_ms": NOON - 25_000,
        "bid": bid,
        "ask": ask,
        "provider": "massive",
    }
    # the next page is asked for by time, and no older than the bound of the moment itself
    assert {each.start_ms for each in server.asked} == {AT - OLDEST_QUOTE_MS}


def test_pages_end_at_the_bound(store, providers, server):
    server.page = 2
    server.one_sided = {NOON - k * 5_000 for k in range(40)}
    report = bring(store, {"EURUSD": [AT]}, providers["massive"])
    done = report.pairs["EURUSD"]
    assert (done.n_added, done.n_known_missing, done.requests["massive"]) == (0, 1, 6)


@pytest.mark.parametrize(
    "fault", ["429", "500", "503", "truncated", "cut-json", "html", "slow 1", "drop"]
)
def test_what_may_pass_is_worth_another_try(providers, server, fault):
    server.faults = [fault]
    with pytest.raises(TryAgain):
        providers["massive"].fetch_quote(request())
    assert providers["massive"].fetch_quote(request()).quote is not None


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refusal_is_final_and_says_why(providers, server, status):
    server.faults = [str(status)]
    with pytest.raises(ProviderError, match=f"status {status}") as failure:
        providers["massive"].fetch_quote(request())
    assert not isinstance(failure.value, TryAgain)


@pytest.mark.parametrize("fault", ["401", "403", "429", "500", "truncated", "html", "slow 1"])
def test_no_failure_shows_a_key(providers, server, fault):
    server.faults = [fault]
    with pytest.raises(ProviderError) as failure:
        providers["massive"].fetch_quote(request())
    shown = "".join(traceback.format_exception(failure.value)) + repr(failure.value)
    assert KEY not in shown
    assert quote(KEY, safe="") not in shown
    assert not any(KEY in path or quote(KEY, safe="") in path for path in server.paths)


@pytest.mark.parametrize(
    "answer",
    [
        b"[1]",
        b'"text"',
        b"{}",
        b'{"status":"OK"}',
        b'{"status":"OK","results":[{"bid_price":1}]}',
        b'{"status":"OK","results":[{"participant_timestamp":"soon"}]}',
        b'{"status":"NOT_FOUND","results":[]}',
    ],
)
def test_an_answer_of_another_form_is_no_gap(providers, monkeypatch, answer):
    from ptn_backtest.prices.providers import massive  # noqa: PLC0415
    from ptn_backtest.prices.providers.answers import document  # noqa: PLC0415

    changed = lambda title, given: document(title, type(given)(200, {}, answer))  # noqa: E731
    monkeypatch.setattr(massive, "document", changed)
    with pytest.raises(ProviderError, match="Massive answered the quote of EURUSD at"):
        providers["massive"].fetch_quote(request())


def test_quotes_of_other_times_prove_nothing(store, providers, monkeypatch):
    """A provider that ignores the bounds gives its latest: that says nothing about the past."""
    from ptn_backtest.prices.providers import massive  # noqa: PLC0415

    row = {"bid_price": 1.0, "ask_price": 1.1, "participant_timestamp": NOW * 1_000_000}
    monkeypatch.setattr(
        massive, "document", lambda *_: {"status": "OK", "request_id": "1", "results": [row]}
    )
    done = bring(store, {"EURUSD": [AT]}, providers["massive"]).pairs["EURUSD"]
    assert (done.n_missing, done.n_known_missing) == (1, 0)
    assert "with other times only" in done.failures[0]


@pytest.mark.parametrize("name", ["tiingo", "ccxt", "massive,tiingo"])
def test_providers_without_quotes_of_the_past_say_so(name):
    with pytest.raises(ConfigError, match="of now, and none of the past: --provider massive has"):
        open_quote_providers(name, {"MASSIVE_API_KEY": KEY, "TIINGO_API_KEY": KEY})


def test_massive_has_no_quotes_of_crypto(providers, server):
    assert providers["massive"].quote_refusal(TradePair.from_trade_pair_id("BTCUSD")) == (
        "Massive has no quotes of crypto (BTCUSD)"
    )
    assert server.paths == []


def test_over_http_through_rate_limit_faults_and_gaps_and_nothing_twice(store, server, providers):
    wants = {"EURUSD": [AT, AT + HOUR_MS, AT, AT + 2 * HOUR_MS], "NVDA": [AT]}
    server.gaps = {NOON + HOUR_MS - k * 5_000 for k in range(13)}
    server.faults = ["429", "500", "truncated", "html", "slow 1", "drop"]
    clock = StoppedClock()
    [planned, _] = plan_quotes(store, wants, [providers["massive"]])
    assert (len(planned.moments_ms), planned.n_to_ask) == (3, 3)
    report = bring(store, wants, providers["massive"], clock=clock)
    euro, nvidia = report.pairs["EURUSD"], report.pairs["NVDA"]
    assert (euro.n_wanted, euro.n_added, euro.n_known_missing, euro.n_missing) == (3, 2, 1, 0)
    assert (nvidia.n_added, nvidia.requests["massive"]) == (1, 1)
    assert report.complete
    assert len(clock.slept) >= 6  # one backoff a fault, and the pace of the free plan
    lookup = quote_lookup(store)
    assert lookup("EURUSD", AT) == Quote(*bid_ask("EURUSD", NOON))
    assert lookup("EURUSD", AT + HOUR_MS) is None
    n_asked = len(server.asked)
    again = bring(CandleStore(store.root), wants, providers["massive"])
    assert again.complete
    assert len(server.asked) == n_asked
    assert [each.n_to_ask for each in plan_quotes(store, wants, [providers["massive"]])] == [0, 0]


def test_the_free_plan_of_massive_is_kept_to(store, server, providers):
    clock = StoppedClock()
    moments = [AT + k * MINUTE_MS for k in range(11)]
    bring(store, {"EURUSD": moments}, providers["massive"], clock=clock)
    assert len(server.asked) == 11
    assert clock.at == pytest.approx(120.0)


class MadeUp:
    """Has a quote of every whole second but for gaps, and fails as it is told."""

    rate = None

    def __init__(self, name="made-up", gaps=(), level=1.05, spread=0.0002):
        self.name, self.gaps = name, set(gaps)
        self.bid, self.ask = level * (1 - spread / 2), level * (1 + spread / 2)
        self.asked = []
        self.failures = []

    def quote_refusal(self, pair):
        return f"{self.name} has no equities" if not pair.is_forex else None

    def fetch_quote(self, request):
        if self.failures:
            failure = self.failures.pop(0)
            if failure is not None:
                raise failure
        self.asked.append(request.at_ms)
        if request.at_ms in self.gaps:
            return QuotePage()
        made = request.at_ms - request.at_ms % SECOND_MS
        return QuotePage(DatedQuote(made, self.bid, self.ask))


def moments(count):
    return [AT + k * MINUTE_MS for k in range(count)]


def test_another_provider_is_asked_for_what_one_lacks(store):
    wanted = moments(6)
    first, second = MadeUp("first", wanted[:3]), MadeUp("second", wanted[:1])
    done = bring(store, {"EURUSD": wanted}, first, second).pairs["EURUSD"]
    assert second.asked == wanted[:3]
    assert (done.added, done.n_known_missing) == ({"first": 3, "second": 2}, 1)
    # a provider that was not asked yet may have it
    third = MadeUp("third")
    bring(store, {"EURUSD": wanted}, third)
    assert third.asked == wanted[:1]


def test_a_young_moment_is_asked_for_again(store):
    provider = MadeUp(gaps=[AT])
    report = bring(store, {"EURUSD": [AT]}, provider, now=AT + HOUR_MS)
    assert report.complete
    assert report.pairs["EURUSD"].n_young == 1
    bring(store, {"EURUSD": [AT]}, provider, now=AT + HOUR_MS)
    assert provider.asked == [AT, AT]


def test_what_was_kept_before_a_failure_stays(store):
    provider = MadeUp()
    provider.failures = [None, None, ProviderError("not in your plan")]
    report = bring(store, {"EURUSD": moments(5), "GBPUSD": moments(1)}, provider)
    bad, good = report.pairs["EURUSD"], report.pairs["GBPUSD"]
    assert (bad.n_added, bad.n_missing, bad.failures) == (2, 3, ["not in your plan"])
    assert good.n_added == 1
    assert not report.complete
    rest = MadeUp()
    bring(store, {"EURUSD": moments(5), "GBPUSD": moments(1)}, rest)
    assert rest.asked == moments(5)[2:]


def test_a_wrong_key_ends_the_pull(store):
    provider = MadeUp()
    provider.failures = [None, KeyRefused("wrong key")]
    with pytest.raises(KeyRefused):
        bring(store, {"EURUSD": moments(3)}, provider)
    assert len(QuoteShelf(store).read("EURUSD")) == 1


def test_a_quote_of_another_instrument_is_not_kept(store):
    store.write("EURUSD", Timespan.MINUTE, table([NOON], [1.05]))
    done = bring(store, {"EURUSD": moments(2)}, MadeUp(level=160.0)).pairs["EURUSD"]
    assert (done.n_added, done.n_missing, done.findings["implausible"]) == (0, 2, 2)
    assert "does not fit to the close 1.05" in done.failures[0]
    assert len(QuoteShelf(store).read("EURUSD")) == 0


def test_a_crossed_quote_is_kept_and_counted(store):
    provider = MadeUp(spread=-0.0002)
    done = bring(store, {"EURUSD": [AT]}, provider).pairs["EURUSD"]
    assert (done.n_added, done.findings["crossed"]) == (1, 1)


def test_a_synthetic_store_takes_none(tmp_path):
    synthetic = CandleStore.create(tmp_path / "made", synthetic=True)
    with pytest.raises(CandleError, match="synthetic"):
        bring(synthetic, {"EURUSD": [AT]}, MadeUp())


def test_no_candle_changes(store):
    """Quotes stand beside the candles, so that a replay's ticks stay what they were."""
    store.write("EURUSD", Timespan.SECOND, table([NOON], [1.05]))
    before = {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()}
    bring(store, {"EURUSD": moments(3)}, MadeUp())
    for path, content in before.items():
        assert path.read_bytes() == content
    assert store.pairs() == ["EURUSD"]
    assert CandleStore(store.root).read("EURUSD", Timespan.SECOND, NOON, NOON).close.tolist() == [
        1.05
    ]


def test_a_pulled_quote_beats_a_candle_and_holds_from_when_it_was_made(store):
    store.write("EURUSD", Timespan.MINUTE, table([NOON], [1.05], bid=[1.0], ask=[1.1]))
    bring(store, {"EURUSD": [AT]}, MadeUp())
    lookup = quote_lookup(store)
    pulled = Quote(1.05 * 0.9999, 1.05 * 1.0001)
    assert lookup("EURUSD", AT) == pulled
    assert lookup("EURUSD", NOON + 3_000) == pulled
    assert lookup("EURUSD", NOON + 2_999) == Quote(1.0, 1.1)
    assert lookup("EURUSD", AT + 1) == Quote(1.0, 1.1)
    assert lookup("EURUSD", NOON + MINUTE_MS) is None


def test_months_have_their_own_files(store):
    wanted = [AT, AT + 20 * DAY_MS, AT + 28 * DAY_MS]
    bring(store, {"EURUSD": wanted}, MadeUp(gaps=[wanted[1]]))
    names = sorted(p.relative_to(store.root).as_posix() for p in store.root.rglob("*EUR*/*"))
    assert names == [
        "missing/quotes/EURUSD/2025-01.json",
        "quotes/EURUSD/2025-01.parquet",
        "quotes/EURUSD/2025-02.parquet",
    ]
    shelf = QuoteShelf(store)
    assert shelf.read("EURUSD")["at_ms"].to_pylist() == [wanted[0], wanted[2]]
    assert shelf.count_known_missing("EURUSD") == 1
    said = json.loads((store.root / names[0]).read_text())["missing"]
    assert said == {"made-up": [[wanted[1], wanted[1] + 1]]}


@pytest.mark.parametrize("fault", ["damaged", "columns"])
def test_a_file_that_cannot_be_read_is_named(store, fault):
    bring(store, {"EURUSD": [AT]}, MadeUp())
    [path] = (store.root / "quotes").rglob("*.parquet")
    if fault == "damaged":
        path.write_bytes(b"nothing")
    else:
        pq.write_table(pq.read_table(path).drop_columns(["ask"]), path)
    with pytest.raises(CandleError, match=f"{path.name}.*delete it, and bring its quotes again"):
        quote_lookup(store)("EURUSD", AT)


@settings(max_examples=40, deadline=None)
@given(
    wanted=st.lists(st.integers(0, 50), max_size=30),
    before=st.lists(st.integers(0, 50), max_size=10),
    gaps=st.sets(st.integers(0, 50), max_size=10),
)
def test_a_pull_asks_each_moment_once_and_a_second_one_none(tmp_path_factory, wanted, before, gaps):
    store = CandleStore.create(tmp_path_factory.mktemp("prices"))
    at = [AT + k * 700 for k in range(51)]
    bring(store, {"EURUSD": [at[k] for k in before]}, MadeUp())
    provider = MadeUp(gaps=[at[k] for k in gaps])
    wants = {"EURUSD": [at[k] for k in wanted]}
    done = bring(store, wants, provider).pairs["EURUSD"]
    assert provider.asked == [at[k] for k in sorted(set(wanted) - set(before))]
    held = set(QuoteShelf(store).read("EURUSD")["at_ms"].to_pylist())
    assert held == {at[k] for k in {*before, *(set(wanted) - gaps)}}
    assert done.n_known_missing == len((set(wanted) & gaps) - set(before))
    again = MadeUp()
    again.name = provider.name
    bring(store, wants, again)
    assert again.asked == []
