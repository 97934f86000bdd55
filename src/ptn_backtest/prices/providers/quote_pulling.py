"""The engine that pulls bid and ask at the moments of orders: a request a moment, each kept at once.

It knows providers only by `contract.QuoteProvider`. As with candles, what is kept, and what a
provider is known to lack, is not asked for again.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ptn_backtest.clock import HOUR_MS, MINUTE_MS, format_time
from ptn_backtest.errors import ProviderError
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.providers.arrival import LARGEST_STEP
from ptn_backtest.prices.providers.contract import (
    DatedQuote,
    KeyRefused,
    QuotePage,
    QuoteProvider,
    QuoteRequest,
)
from ptn_backtest.prices.providers.conventions import Rate
from ptn_backtest.prices.providers.pacing import Clock, Pace, patiently
from ptn_backtest.prices.providers.planning import refuse_synthetic
from ptn_backtest.prices.providers.pulling import SETTLED_MS, Pulled
from ptn_backtest.prices.quote_shelf import MomentQuote, QuoteShelf
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.trade_pairs import TradePair

log = logging.getLogger(__name__)

OLDEST_QUOTE_MS = MINUTE_MS
"""A quote made longer before an order is not that of its moment. So long is a minute candle, too."""


@dataclass(frozen=True, slots=True)
class PlannedQuotes:
    """What will be asked for one pair.

    Attributes:
        trade_pair_id: the pair.
        moments_ms: the moments wanted, ascending, each once.
        n_to_ask: of these, moments that some provider will be asked for.
        n_requests: {provider: requests}: one a moment, unless many quotes in a row lack a side.
        notes: why a provider is not asked.
    """

    trade_pair_id: str
    moments_ms: Sequence[int]
    n_to_ask: int
    n_requests: Mapping[str, int]
    notes: tuple[str, ...] = ()


def plan_quotes(
    store: CandleStore,
    wants: Mapping[str, Sequence[int]],
    providers: Sequence[QuoteProvider],
) -> list[PlannedQuotes]:
    """Say beforehand what a pull will ask.

    Args:
        store: where quotes are kept.
        wants: {trade pair id: moments in ms}, in any order.
        providers: in the order in which they are asked.

    Raises:
        CandleError: the store is synthetic, or damaged.
        UnknownTradePair: no such pair.
    """
    refuse_synthetic(store)
    return [_planned(QuoteShelf(store), pair, wants[pair], providers) for pair in sorted(wants)]


def _planned(
    shelf: QuoteShelf, trade_pair_id: str, wanted: Sequence[int], providers: Sequence[QuoteProvider]
) -> PlannedQuotes:
    pair = TradePair.from_trade_pair_id(trade_pair_id)
    moments = sorted(set(wanted))
    refusals = [each.quote_refusal(pair) for each in providers]
    n_requests: dict[str, int] = {}
    # a moment goes to the first provider that was not asked for it yet
    left = shelf.without(trade_pair_id, moments)
    for provider, refusal in zip(providers, refusals, strict=True):
        if refusal is None:
            unknown = set(shelf.without(trade_pair_id, left, provider.name))
            n_requests[provider.name] = len(unknown)
            left = [t for t in left if t not in unknown]
    return PlannedQuotes(
        trade_pair_id,
        moments,
        sum(n_requests.values()),
        {name: n for name, n in n_requests.items() if n},
        tuple(each for each in refusals if each is not None),
    )


@dataclass(frozen=True, slots=True)
class QuotePullReport:
    """What a pull did: {trade pair id: what became of it}.

    Findings are "crossed" (bid above ask, kept), "one-sided" (passed over), "implausible" (not kept).
    """

    pairs: Mapping[str, Pulled]

    @property
    def complete(self) -> bool:
        """Whether every quote wanted is kept, known to be missing, or too young to tell."""
        return all(each.complete for each in self.pairs.values())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "complete": self.complete,
            "pairs": [
                {
                    "trade_pair_id": pair,
                    **each.counts(),
                    "failures": each.failures,
                }
                for pair, each in self.pairs.items()
            ],
        }


@dataclass(frozen=True, slots=True)
class QuoteStep:
    """One answered request, for whoever shows progress."""

    request: QuoteRequest
    provider: str
    n_added: int


def pull_quotes(
    store: CandleStore,
    wants: Mapping[str, Sequence[int]],
    providers: Sequence[QuoteProvider],
    *,
    now_ms: int,
    rates: Mapping[str, Rate | None] = MappingProxyType({}),
    clock: Clock | None = None,
    progress: Callable[[QuoteStep], None] | None = None,
) -> QuotePullReport:
    """Bring the quotes that were in force at these moments, and are not there, into the store.

    In force is the latest quote with both sides at or before the moment, at most
    `OLDEST_QUOTE_MS` before it.

    Args:
        store: where to.
        wants: {trade pair id: moments in ms}; moments after now are left out.
        providers: in the order in which they are asked.
        now_ms: the time now.
        rates: {provider's name: how often it may be asked} in place of its own; None: no limit.
        clock: for waiting; tests have their own.
        progress: called after each answer.

    Raises:
        KeyRefused: a key is wrong.
        CandleError: the store is synthetic, or damaged.
        UnknownTradePair: no such pair.
    """
    refuse_synthetic(store)
    clock = clock or Clock()
    paces = {each.name: Pace(rates.get(each.name, each.rate), clock) for each in providers}
    puller = _Puller(
        store, QuoteShelf(store), now_ms, clock, paces, progress or (lambda _step: None)
    )
    return QuotePullReport(
        {pair: puller.pair(pair, wants[pair], providers) for pair in sorted(wants)}
    )


@dataclass(frozen=True, slots=True)
class _Puller:
    store: CandleStore
    shelf: QuoteShelf
    now_ms: int
    clock: Clock
    paces: Mapping[str, Pace]
    progress: Callable[[QuoteStep], None]

    def pair(
        self, trade_pair_id: str, wanted: Sequence[int], providers: Sequence[QuoteProvider]
    ) -> Pulled:
        """Ask the providers in turn, each for what those before it did not give."""
        pair = TradePair.from_trade_pair_id(trade_pair_id)
        moments = sorted({t for t in wanted if t <= self.now_ms})
        done = Pulled(n_wanted=len(moments))
        asked = []
        for provider in providers:
            refusal = provider.quote_refusal(pair)
            if refusal is not None:
                done.failures.append(refusal)
                continue
            asked.append(provider.name)
            try:
                for at_ms in self.shelf.without(trade_pair_id, moments, provider.name):
                    self._bring(pair, at_ms, provider, done)
            except KeyRefused:
                raise
            except ProviderError as error:
                log.warning("%s", error)
                done.failures.append(str(error))
        self._count_what_is_left(trade_pair_id, moments, asked, done)
        return done

    def _bring(self, pair: TradePair, at_ms: int, provider: QuoteProvider, done: Pulled) -> None:
        """Ask until there is a quote with both sides, or none within the bound; keep what is said."""
        request = QuoteRequest(pair, at_ms, at_ms - OLDEST_QUOTE_MS)
        page = self._ask(request, provider, done)
        while page.quote is None and page.earlier_ms is not None:
            page = self._ask(QuoteRequest(pair, page.earlier_ms, request.oldest_ms), provider, done)
        n_added = done.n_added
        if page.quote is not None:
            self._keep(request, page.quote, provider, done)
        elif not page.lacks_it:
            done.failures.append(f"{provider.name} answered the {request} with other times only")
        elif at_ms < self.now_ms - SETTLED_MS:
            self.shelf.add_known_missing(pair.trade_pair_id, provider.name, at_ms)
        self.progress(QuoteStep(request, provider.name, done.n_added - n_added))

    def _ask(self, request: QuoteRequest, provider: QuoteProvider, done: Pulled) -> QuotePage:
        log.debug("asking %s for the %s", provider.name, request)

        def ask() -> QuotePage:
            self.paces[provider.name].wait()
            return provider.fetch_quote(request)

        page = patiently(ask, self.clock)
        done.requests[provider.name] += 1
        if page.n_one_sided:
            done.findings["one-sided"] += page.n_one_sided
        return page

    def _keep(
        self, request: QuoteRequest, found: DatedQuote, provider: QuoteProvider, done: Pulled
    ) -> None:
        fault = self._implausible(request, found)
        if fault is not None:
            done.findings["implausible"] += 1
            done.failures.append(f"{provider.name}: {fault}")
            return
        self.shelf.add(
            request.pair.trade_pair_id,
            MomentQuote(request.at_ms, found.quoted_ms, found.bid, found.ask, provider.name),
        )
        done.n_added += 1
        done.added[provider.name] += 1
        if found.bid > found.ask:
            done.findings["crossed"] += 1

    def _implausible(self, request: QuoteRequest, found: DatedQuote) -> str | None:
        """Why a quote cannot be of this pair: candles less than an hour before say otherwise."""
        pair = request.pair
        near = self.store.read(
            pair.trade_pair_id, Timespan.MINUTE, request.at_ms - HOUR_MS, request.at_ms
        )
        if not len(near):
            return None
        mid, close = (found.bid + found.ask) / 2, float(near.close[-1])
        if abs(math.log(mid / close)) <= math.log(LARGEST_STEP[pair.category]):
            return None
        return (
            f"the {request} is {found.bid:g} / {found.ask:g}, and does not fit to the close "
            f"{close:g} of {format_time(int(near.start_ms[-1]))}; it is not kept. Another "
            "instrument, or wrong candles in the store ('ptn-backtest candles check')?"
        )

    def _count_what_is_left(
        self, trade_pair_id: str, moments: Sequence[int], asked: Sequence[str], done: Pulled
    ) -> None:
        """What every provider lacks is known to be missing; what is left besides is not."""
        left = self.shelf.without(trade_pair_id, moments)
        old = [t for t in left if t < self.now_ms - SETTLED_MS]
        unknown: set[int] = set() if asked else set(old)
        for name in asked:
            unknown.update(self.shelf.without(trade_pair_id, old, name))
        done.n_missing, done.n_young = len(unknown), len(left) - len(old)
        done.n_known_missing = len(old) - len(unknown)
