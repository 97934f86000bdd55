"""The engine: with a made-up provider where that is enough, with real ones over HTTP else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS, parse_time
from ptn_backtest.errors import CandleError, ProviderError
from ptn_backtest.prices.candles import Timespan, merged_ranges
from ptn_backtest.prices.checking import FindingKind, check_candles
from ptn_backtest.prices.coverage import missing_ranges
from ptn_backtest.prices.providers.contract import KeyRefused, Page, TryAgain, candle_table
from ptn_backtest.prices.providers.conventions import Rate
from ptn_backtest.prices.providers.pacing import Clock, Pace, patiently
from ptn_backtest.prices.providers.planning import Want, plan
from ptn_backtest.prices.providers.pulling import pull
from ptn_backtest.prices.store import CandleStore
from tests.prices.made_candles import table
from tests.prices.providers.candle_server import MONDAY, price

NOW = MONDAY + 30 * DAY_MS
FRIDAY_CLOSE = parse_time("2025-01-10T22:00")


class MadeUp:
    """A provider that has candles but for gaps, and fails as it is told."""

    rate = None

    def __init__(self, name="made-up", gaps=(), span=300, begins=0):
        self.name, self.gaps, self.span, self.begins = name, set(gaps), span, begins
        self.asked = []
        self.failures = []
        self.change = lambda page: page

    def refusal(self, pair, _timespan):
        return f"{self.name} has no equities" if not (pair.is_crypto or pair.is_forex) else None

    def span_ms(self, timespan):
        return self.span * timespan.ms

    def fetch(self, request):
        if self.failures:
            failure = self.failures.pop(0)
            if failure is not None:
                raise failure
        self.asked.append(request)
        first = max(request.start_ms, self.begins)
        times = [t for t in range(first, request.end_ms, request.timespan.ms) if t not in self.gaps]
        closes = [price(request.pair.trade_pair_id, t) for t in times]
        return self.change(Page(candle_table(times, closes), request.end_ms))

    def candles_asked(self):
        return [
            t for each in self.asked for t in range(each.start_ms, each.end_ms, each.timespan.ms)
        ]


class StoppedClock(Clock):
    """Sleeping moves it."""

    def __init__(self):
        self.at, self.slept = 0.0, []
        super().__init__(now_s=lambda: self.at, sleep=self._sleep)

    __slots__ = ("at", "slept")

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)

    def _sleep(self, seconds):
        self.slept.append(seconds)
        self.at += seconds


@pytest.fixture
def store(tmp_path):
    return CandleStore.create(tmp_path / "prices")


def want(start=MONDAY, end=MONDAY + DAY_MS, pair="BTCUSD", timespan=Timespan.MINUTE):
    return Want(pair, timespan, [(start, end)])


def bring(store, wants, *providers, now=NOW, **options):
    wants = [wants] if isinstance(wants, Want) else wants
    clock = options.pop("clock", None) or StoppedClock()
    return pull(store, wants, providers, now_ms=now, clock=clock, **options)


def stored(store, pair="BTCUSD", timespan=Timespan.MINUTE):
    candles = store.read(pair, timespan, 0, NOW)
    return dict(zip(candles.start_ms.tolist(), candles.close.tolist(), strict=True))


def minutes(start, end):
    return list(range(start, end, MINUTE_MS))


def test_everything_wanted_is_there_afterwards(store):
    report = bring(store, want(), MadeUp())
    assert stored(store) == {t: price("BTCUSD", t) for t in minutes(MONDAY, MONDAY + DAY_MS)}
    [series] = report.series.values()
    assert (series.n_wanted, series.n_added, series.n_missing) == (1_440, 1_440, 0)
    assert report.complete


def test_the_plan_says_what_will_be_asked(store):
    provider = MadeUp()
    [planned] = plan(store, [want()], [provider])
    assert (planned.n_wanted, planned.n_to_ask) == (1_440, 1_440)
    bring(store, want(), provider)
    assert planned.n_requests == {"made-up": len(provider.asked)}
    [again] = plan(store, [want()], [provider])
    assert (again.n_wanted, again.n_to_ask, again.n_requests) == (1_440, 0, {})


def test_what_is_stored_is_not_asked_again(store):
    bring(store, want(end=MONDAY + 6 * HOUR_MS), MadeUp())
    provider = MadeUp()
    bring(store, want(), provider)
    assert min(provider.candles_asked()) == MONDAY + 6 * HOUR_MS


def test_what_a_provider_lacks_is_not_asked_again_and_no_gap(store):
    gaps = minutes(MONDAY + HOUR_MS, MONDAY + 2 * HOUR_MS)
    report = bring(store, want(), MadeUp(gaps=gaps))
    [series] = report.series.values()
    assert (series.n_added, series.n_known_missing, series.n_missing) == (1_380, 60, 0)
    assert report.complete
    provider = MadeUp()
    bring(CandleStore(store.root), want(), provider)
    assert provider.asked == []
    checked = check_candles(store)
    assert checked.problems == []
    [finding] = checked.findings
    assert (finding.kind, finding.count) == (FindingKind.KNOWN_MISSING, 60)


def test_another_provider_is_asked_for_what_one_lacks(store):
    gaps = minutes(MONDAY + HOUR_MS, MONDAY + 2 * HOUR_MS)
    first, second = MadeUp("first", gaps), MadeUp("second", gaps[:10])
    report = bring(store, want(), first, second)
    assert second.candles_asked() == gaps
    [series] = report.series.values()
    assert series.added == {"first": 1_380, "second": 50}
    assert series.n_known_missing == 10
    # a provider that was not asked yet may have them
    third = MadeUp("third")
    bring(store, want(), third)
    assert third.candles_asked() == gaps[:10]


def test_a_young_gap_is_asked_for_again(store):
    now = MONDAY + DAY_MS
    gaps = minutes(MONDAY + 12 * HOUR_MS, MONDAY + 13 * HOUR_MS)
    report = bring(store, want(), MadeUp(gaps=gaps), now=now)
    [series] = report.series.values()
    assert (series.n_young, series.n_missing, series.n_known_missing) == (60, 0, 0)
    assert report.complete
    later = MadeUp()
    bring(store, want(), later, now=now + HOUR_MS)
    assert later.candles_asked() == gaps


def test_a_candle_that_is_not_over_is_not_asked_for(store):
    now = MONDAY + HOUR_MS + 30_000
    provider = MadeUp()
    bring(store, want(), provider, now=now)
    assert max(stored(store)) == MONDAY + HOUR_MS - MINUTE_MS


def test_a_deleted_file_is_asked_for_again(store):
    """What is kept is what is missing, not what was asked."""
    gap = MONDAY + HOUR_MS
    bring(store, want(), MadeUp(gaps=[gap]))
    (store.root / "minute" / "BTCUSD" / "2025-01.parquet").unlink()
    provider = MadeUp(gaps=[gap])
    bring(store, want(), provider)
    assert set(stored(store)) == {*minutes(MONDAY, MONDAY + DAY_MS)} - {gap}


def test_a_candle_that_turns_up_elsewhere_is_there(store):
    gap = MONDAY + HOUR_MS
    bring(store, want(), MadeUp(gaps=[gap]))
    store.write("BTCUSD", Timespan.MINUTE, table([gap], [90_000.0]))
    assert missing_ranges(store, {"BTCUSD": [(MONDAY, MONDAY + DAY_MS)]}) == []


def test_stored_candles_stay_as_they_are(store):
    """A hole is asked for together with its neighbours; these keep their values."""
    mine = [t for t in minutes(MONDAY, MONDAY + HOUR_MS) if t % (10 * MINUTE_MS)]
    store.write("BTCUSD", Timespan.MINUTE, table(mine, [price("BTCUSD", t) * 1.01 for t in mine]))
    report = bring(store, want(end=MONDAY + HOUR_MS), MadeUp())
    assert all(stored(store)[t] == price("BTCUSD", t) * 1.01 for t in mine)
    [series] = report.series.values()
    assert series.n_added == 6
    assert series.findings["stored already"] == 45


def test_a_closed_market_is_not_asked_for(store):
    provider = MadeUp()
    start, end = FRIDAY_CLOSE - HOUR_MS, FRIDAY_CLOSE + 3 * DAY_MS
    bring(store, want(start, end, "EURUSD"), provider)
    opens = FRIDAY_CLOSE + 2 * DAY_MS
    assert not any(FRIDAY_CLOSE <= t < opens for t in provider.candles_asked())
    assert check_candles(store).findings == []


def test_candles_outside_market_hours_are_left_out(store):
    def with_a_saturday(page):
        times = [*page.table["timestamp_ms"].to_pylist(), FRIDAY_CLOSE + MINUTE_MS]
        return Page(candle_table(times, [1.05] * len(times)), page.covered_ms + HOUR_MS)

    provider = MadeUp()
    provider.change = with_a_saturday
    report = bring(store, want(FRIDAY_CLOSE - HOUR_MS, FRIDAY_CLOSE, "EURUSD"), provider)
    [series] = report.series.values()
    assert series.findings["other times"] == 1
    assert max(stored(store, "EURUSD")) == FRIDAY_CLOSE - MINUTE_MS


def test_a_failure_is_tried_again_with_growing_waits(store):
    clock, provider = StoppedClock(), MadeUp(span=100_000)
    provider.failures = [TryAgain("down")] * 4
    report = bring(store, want(), provider, clock=clock)
    assert report.complete
    assert len(clock.slept) == 4
    assert all(2**k <= slept <= 2**k + 1 for k, slept in enumerate(clock.slept))


def test_the_wait_that_a_provider_asks_for_is_kept(store):
    clock, provider = StoppedClock(), MadeUp(span=100_000)
    provider.failures = [TryAgain("limit", 600.0)]
    bring(store, want(), provider, clock=clock)
    assert clock.slept == [600.0]


def test_a_wait_of_a_day_is_not_waited(store):
    clock, provider = StoppedClock(), MadeUp(span=100_000)
    provider.failures = [TryAgain("limit", 86_400.0)]
    report = bring(store, want(), provider, clock=clock)
    [series] = report.series.values()
    assert clock.slept == []
    assert "limit" in series.failures[0]
    assert not report.complete


def test_one_pair_that_fails_leaves_the_others(store):
    provider = MadeUp(span=100_000)
    provider.failures = [ProviderError("not in your plan")]
    report = bring(store, [want(), want(pair="ETHUSD")], provider)
    bad, good = report.series.values()
    assert bad.failures == ["not in your plan"]
    assert bad.n_missing == 1_440
    assert good.n_added == 1_440
    assert not report.complete


def test_the_next_provider_makes_a_failure_good(store):
    first, second = MadeUp("first", span=100_000), MadeUp("second")
    first.failures = [ProviderError("not in your plan")]
    report = bring(store, want(), first, second)
    assert report.complete
    # a refusal is no word on what exists
    assert store.known_missing("BTCUSD", Timespan.MINUTE) == []


def test_a_wrong_key_ends_the_pull(store):
    provider = MadeUp()
    provider.failures = [None, KeyRefused("wrong key")]
    with pytest.raises(KeyRefused):
        bring(store, want(), provider)
    assert len(stored(store)) == len(provider.candles_asked())


def test_answers_that_go_nowhere_end(store):
    provider = MadeUp()
    provider.change = lambda page: Page(page.table, MONDAY)
    report = bring(store, want(), provider)
    assert "before it only" in next(iter(report.series.values())).failures[0]


def test_order_and_duplicates_are_mended_and_counted(store):
    def muddled(page):
        times = page.table["timestamp_ms"].to_pylist()
        closes = page.table["close"].to_pylist()
        times = [times[1], times[0], *times[2:], times[5], times[6]]
        closes = [closes[1], closes[0], *closes[2:], closes[5], closes[6] + 1]
        return Page(candle_table(times, closes), page.covered_ms)

    provider = MadeUp()
    provider.change = muddled
    report = bring(store, want(end=MONDAY + HOUR_MS), provider)
    [series] = report.series.values()
    assert series.findings == {"out of order": 2, "repeated": 1, "contradicting": 1}
    assert len(stored(store)) == 60
    assert stored(store)[MONDAY + 6 * MINUTE_MS] == price("BTCUSD", MONDAY + 6 * MINUTE_MS) + 1


def test_what_is_no_candle_is_left_out_and_shown(store):
    def broken(page):
        rows = page.table["timestamp_ms"].to_pylist()
        closes = page.table["close"].to_pylist()
        closes[3], closes[4], closes[5] = None, 0.0, float("inf")
        rows[6] += 1
        rows[7] = None
        return Page(candle_table(rows, closes, high=[float("nan")] * len(rows)), page.covered_ms)

    provider = MadeUp()
    provider.change = broken
    report = bring(store, want(end=MONDAY + HOUR_MS), provider)
    [series] = report.series.values()
    assert series.findings == {"unusable": 5}
    assert "BTCUSD minute: no candle is" in series.remarks[0]
    assert len(stored(store)) == 55


def test_bid_and_ask_are_kept_where_given(store):
    provider = MadeUp()
    provider.change = lambda page: Page(
        candle_table(
            page.table["timestamp_ms"].to_pylist(),
            page.table["close"].to_pylist(),
            bid=[99.0, None, 0.0, *[98.0] * (len(page.table) - 3)],
            ask=[101.0] * len(page.table),
        ),
        page.covered_ms,
    )
    bring(store, want(end=MONDAY + HOUR_MS), provider)
    rows = store.read_table("BTCUSD", Timespan.MINUTE).to_pylist()
    assert [row["bid"] for row in rows[:4]] == [99.0, None, None, 98.0]
    assert {row["ask"] for row in rows} == {101.0}


def test_a_spike_is_stored_and_reported(store):
    provider = MadeUp(span=100_000)

    def spiked(page):
        closes = page.table["close"].to_pylist()
        closes[700] *= 1.2
        return Page(candle_table(page.table["timestamp_ms"].to_pylist(), closes), page.covered_ms)

    provider.change = spiked
    [series] = bring(store, want(), provider).series.values()
    assert series.findings == {"spikes": 1}
    assert "19.99% off its neighbours" in series.remarks[0]
    assert len(stored(store)) == 1_440


@pytest.mark.parametrize("side", ["before", "after"])
def test_prices_of_another_instrument_are_refused(store, side):
    start = MONDAY + (0 if side == "before" else 12 * HOUR_MS)
    bring(store, want(start, start + 6 * HOUR_MS), MadeUp())
    other = MadeUp(span=100_000)
    other.change = lambda page: Page(
        candle_table(page.table["timestamp_ms"].to_pylist(), [3_000.0] * len(page.table)),
        page.covered_ms,
    )
    before = stored(store)
    beside = MONDAY + 6 * HOUR_MS
    report = bring(store, want(beside, beside + 6 * HOUR_MS), other)
    assert "does not fit to what is stored" in next(iter(report.series.values())).failures[0]
    assert stored(store) == before


def test_candles_of_other_times_are_no_proof(store):
    provider = MadeUp(span=100_000)
    provider.change = lambda page: Page(
        candle_table([NOW - MINUTE_MS], [1.0]), page.covered_ms, lacks_the_rest=False
    )
    report = bring(store, want(), provider)
    [series] = report.series.values()
    assert (series.n_known_missing, series.n_missing) == (0, 1_440)
    assert not report.complete


def test_a_synthetic_store_takes_none(tmp_path):
    synthetic = CandleStore.create(tmp_path / "made", synthetic=True)
    with pytest.raises(CandleError, match="synthetic"):
        bring(synthetic, want(), MadeUp())


def test_a_pair_that_no_provider_has_is_missing(store):
    report = bring(store, want(MONDAY + 15 * HOUR_MS, MONDAY + 16 * HOUR_MS, "NVDA"), MadeUp())
    [series] = report.series.values()
    assert series.failures == ["made-up has no equities"]
    assert series.n_missing == 60


@settings(max_examples=60, deadline=None)
@given(
    there=st.sets(st.integers(0, 199), max_size=200),
    gaps=st.sets(st.integers(0, 199), max_size=60),
    ranges=st.lists(st.tuples(st.integers(0, 199), st.integers(1, 60)), min_size=1, max_size=4),
    span=st.integers(1, 90),
)
def test_a_pull_brings_all_that_exists_and_a_second_one_nothing(
    tmp_path_factory, there, gaps, ranges, span
):
    store = CandleStore.create(tmp_path_factory.mktemp("prices"))
    at = [MONDAY + k * MINUTE_MS for k in range(200 + 60)]
    if there:
        mine = [at[k] for k in sorted(there)]
        store.write("BTCUSD", Timespan.MINUTE, table(mine, [price("BTCUSD", t) for t in mine]))
    wanted = Want(
        "BTCUSD",
        Timespan.MINUTE,
        merged_ranges((at[first], at[first] + count * MINUTE_MS) for first, count in ranges),
    )
    provider = MadeUp(gaps=[at[k] for k in gaps], span=span)
    report = bring(store, wanted, provider)
    asked_for = {t for start, end in wanted.ranges for t in range(start, end, MINUTE_MS)}
    exists = {t for t in asked_for if t not in provider.gaps} | {at[k] for k in there}
    assert asked_for & set(stored(store)) == asked_for & exists
    assert report.complete
    # requests keep to the span, and begin and end with something that was missing
    missing = asked_for - {at[k] for k in there}
    for each in provider.asked:
        assert each.end_ms - each.start_ms <= span * MINUTE_MS
        assert {each.start_ms, each.end_ms - MINUTE_MS} & missing or each.start_ms in asked_for
    again = MadeUp()
    bring(store, wanted, again)
    assert again.asked == []


@settings(max_examples=100, deadline=None)
@given(
    n=st.integers(1, 5),
    per_s=st.floats(0.5, 60),
    pauses=st.lists(st.floats(0, 20), min_size=1, max_size=40),
)
def test_no_stretch_of_time_has_more_requests_than_the_rate(n, per_s, pauses):
    clock, sent = StoppedClock(), []
    pace = Pace(Rate(n, per_s), clock)
    for pause in pauses:
        clock.at += pause
        pace.wait()
        sent.append(clock.at)
    for first, beyond in zip(sent, sent[n:], strict=False):
        assert beyond - first >= per_s - 1e-6


def test_patience_ends():
    clock = StoppedClock()

    def down():
        raise TryAgain("server down")

    with pytest.raises(ProviderError, match="server down; given up") as failure:
        patiently(down, clock)
    assert not isinstance(failure.value, TryAgain)
    assert len(clock.slept) == 7


@pytest.mark.parametrize("name", ["massive", "tiingo", "ccxt"])
def test_over_http_through_rate_limit_faults_pages_and_gaps(store, server, providers, name):
    server.gaps = {*minutes(MONDAY + 3 * HOUR_MS, MONDAY + 4 * HOUR_MS)}
    server.page = 500
    server.faults = ["429", "500", "truncated", "html"]
    server.shuffle = lambda rows: rows[::-1]
    clock = StoppedClock()
    report = bring(store, want(), providers[name], clock=clock)
    [series] = report.series.values()
    assert (series.n_added, series.n_known_missing, series.n_missing) == (1_380, 60, 0)
    expected = set(minutes(MONDAY, MONDAY + DAY_MS)) - server.gaps
    assert stored(store) == {t: price("BTCUSD", t) for t in expected}
    n_asked = len(server.asked)
    bring(store, want(), providers[name])
    assert len(server.asked) == n_asked


def test_the_free_plan_of_massive_is_kept_to(store, server, providers):
    server.page = 100
    clock = StoppedClock()
    bring(store, want(), providers["massive"], clock=clock)
    assert len(server.asked) == 15
    assert np.isclose(clock.at, 120.0)
    unlimited = StoppedClock()
    other = CandleStore.create(store.root.parent / "other")
    bring(other, want(), providers["massive"], clock=unlimited, rates={"massive": None})
    assert unlimited.at == 0
