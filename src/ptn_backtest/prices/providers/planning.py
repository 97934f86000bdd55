"""From what is wanted to requests: only what is neither stored nor known to be missing is asked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ptn_backtest.clock import DAY_MS, MINUTE_MS, NEVER_MS
from ptn_backtest.errors import CandleError
from ptn_backtest.prices.candles import Candles, Ranges, Timespan, merged_ranges
from ptn_backtest.prices.coverage import MissingRange, missing_ranges
from ptn_backtest.prices.providers.contract import CandleProvider, CandleRequest
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sessions import open_at
from ptn_backtest.trade_pairs import TradePair

_BRIDGED = 10  # holes nearer to each other than a tenth of a request are asked for together


@dataclass(frozen=True, slots=True)
class Want:
    """Candles of one pair and timespan that start in these ranges [start, end), in ms."""

    trade_pair_id: str
    timespan: Timespan
    ranges: Ranges

    def until(self, end_ms: int) -> "Want":
        """The same without what is not over by a time: a candle still grows until its end."""
        cut = [(start, min(end, end_ms - end_ms % self.timespan.ms)) for start, end in self.ranges]
        return Want(self.trade_pair_id, self.timespan, merged_ranges(cut))


@dataclass(frozen=True, slots=True)
class PlannedSeries:
    """What will be asked for one pair and timespan.

    Attributes:
        want: what is wanted.
        n_wanted: candles wanted, while the market is open.
        n_to_ask: of these, candles that some provider will be asked for.
        n_requests: {provider: requests}, as far as it can be known before the first answer.
        notes: why a provider is not asked.
    """

    want: Want
    n_wanted: int
    n_to_ask: int
    n_requests: Mapping[str, int]
    notes: tuple[str, ...] = ()


def plan(
    store: CandleStore, wants: Sequence[Want], providers: Sequence[CandleProvider]
) -> list[PlannedSeries]:
    """Say beforehand what a pull will ask.

    What the first provider turns out to lack is asked of the next; that is not in the plan.

    Raises:
        CandleError: the store is synthetic, or damaged.
        UnknownTradePair: no such pair.
    """
    refuse_synthetic(store)
    return [_planned(store, want, providers) for want in wants]


def refuse_synthetic(store: CandleStore) -> None:
    """See to it that real and made-up prices do not mix.

    Raises:
        CandleError: the store is synthetic.
    """
    if store.synthetic:
        raise CandleError(
            f"{store.describe()} holds synthetic candles: pull into another folder, so that real "
            "and made-up prices do not mix"
        )


def _planned(store: CandleStore, want: Want, providers: Sequence[CandleProvider]) -> PlannedSeries:
    pair = TradePair.from_trade_pair_id(want.trade_pair_id)
    refusals = [provider.refusal(pair, want.timespan) for provider in providers]
    able = [each for each, refusal in zip(providers, refusals, strict=True) if refusal is None]
    n_requests: dict[str, int] = {}
    # a candle goes to the first provider that was not asked for it yet
    left = missing_in(store, want, None)
    n_to_ask = 0
    for provider in able:
        stretches = missing_in(
            store, Want(pair.trade_pair_id, want.timespan, left_of(left)), provider
        )
        unknown = [each for each in stretches if not each.known]
        n_to_ask += sum(each.n_candles for each in unknown)
        n_requests[provider.name] = len(list(requests_for(provider, want, unknown)))
        left = [each for each in stretches if each.known]
    return PlannedSeries(
        want,
        n_candles_in(want),
        n_to_ask,
        {name: n for name, n in n_requests.items() if n},
        tuple(each for each in refusals if each is not None),
    )


def left_of(stretches: Sequence[MissingRange]) -> Ranges:
    """The times of these stretches."""
    return [(each.start_ms, each.end_ms) for each in stretches]


def n_candles_in(want: Want) -> int:
    """How many candles a want has while its market is open."""
    return sum(each.n_candles for each in missing_ranges(_Nothing(), *_needs(want)))


def missing_in(
    store: CandleStore, want: Want, provider: CandleProvider | None
) -> list[MissingRange]:
    """What is wanted and not stored; `known` where this provider (or any) said it has none."""
    seen = _AsAsked(store, None if provider is None else provider.name)
    return missing_ranges(seen, *_needs(want))


def requests_for(
    provider: CandleProvider, want: Want, stretches: Sequence[MissingRange]
) -> Iterator[CandleRequest]:
    """Requests that together cover these stretches, none longer than the provider's span."""
    pair = TradePair.from_trade_pair_id(want.trade_pair_id)
    span_ms = provider.span_ms(want.timespan)
    for start_ms, end_ms in _bridged(stretches, span_ms // _BRIDGED):
        begin = start_ms
        while begin < end_ms:
            # a provider that counts in days is asked for whole ones
            into_a_day = begin % DAY_MS if span_ms % DAY_MS == 0 else 0
            end = min(begin - into_a_day + span_ms, end_ms)
            starts = np.arange(begin, end, want.timespan.ms, dtype=np.int64)
            starts = starts[open_at(pair.category, starts)]
            if len(starts):
                first, last = int(starts[0]), int(starts[-1])
                yield CandleRequest(pair, want.timespan, first, last + want.timespan.ms)
            begin = end


def _bridged(stretches: Sequence[MissingRange], slack_ms: int) -> list[tuple[int, int]]:
    bridged: list[tuple[int, int]] = []
    for each in sorted(stretches, key=lambda each: each.start_ms):
        if bridged and each.start_ms - bridged[-1][1] <= slack_ms:
            bridged[-1] = (bridged[-1][0], each.end_ms)
        else:
            bridged.append((each.start_ms, each.end_ms))
    return bridged


def _needs(want: Want) -> tuple[Mapping[str, Ranges], Timespan]:
    """A want in the words of `missing_ranges`, which leaves out a range's last minute."""
    beyond = MINUTE_MS + 1 - want.timespan.ms if want.timespan is Timespan.MINUTE else 0
    return {
        want.trade_pair_id: [(start, end + beyond) for start, end in want.ranges]
    }, want.timespan


@dataclass(frozen=True, slots=True)
class _AsAsked:
    """A store that knows as missing only what one provider lacks (None: what any lacks)."""

    store: CandleStore
    provider: str | None

    def describe(self) -> str:
        return self.store.describe()

    def read(self, trade_pair_id: str, timespan: Timespan, start_ms: int, end_ms: int) -> Candles:
        return self.store.read(trade_pair_id, timespan, start_ms, end_ms)

    def known_missing(
        self,
        trade_pair_id: str,
        timespan: Timespan,
        start_ms: int = -NEVER_MS,
        end_ms: int = NEVER_MS,
    ) -> Ranges:
        return self.store.known_missing(
            trade_pair_id, timespan, start_ms, end_ms, provider=self.provider
        )


class _Nothing:
    """A source without candles."""

    def describe(self) -> str:
        return "nothing"

    def read(self, _pair: str, _timespan: Timespan, _start_ms: int, _end_ms: int) -> Candles:
        return Candles(np.empty(0, dtype=np.int64), np.empty(0))
