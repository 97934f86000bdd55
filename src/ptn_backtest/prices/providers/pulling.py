"""The engine that pulls candles into a store: request by request, each stored before the next.

It knows providers only by `contract.CandleProvider`. A pull that was killed is continued by
repeating it: what is stored, and what a provider is known to lack, is not asked again.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ptn_backtest.clock import DAY_MS
from ptn_backtest.errors import ProviderError
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.coverage import MissingRange
from ptn_backtest.prices.providers.arrival import judge
from ptn_backtest.prices.providers.contract import CandleProvider, CandleRequest, KeyRefused, Page
from ptn_backtest.prices.providers.conventions import Rate
from ptn_backtest.prices.providers.pacing import Clock, Pace, patiently
from ptn_backtest.prices.providers.planning import (
    Want,
    left_of,
    missing_in,
    n_candles_in,
    refuse_synthetic,
    requests_for,
)
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.trade_pairs import TradePair

log = logging.getLogger(__name__)

SETTLED_MS = DAY_MS
"""Younger candles that a provider lacks may still come: they are not known to be missing."""

_N_REMARKS = 3


@dataclass(slots=True)
class Pulled:
    """What became of what was wanted: candles of a series, or quotes of a pair.

    Attributes:
        n_wanted: wanted; of candles, while the market is open.
        n_added: stored by this pull.
        n_known_missing: wanted, and every provider asked is known to lack it.
        n_young: wanted and missing, but so young that it may still come.
        n_missing: wanted, and still missing for another reason.
        requests: {provider: requests answered}.
        added: {provider: how many were stored}.
        findings: {what was found on arrival: how many}.
        failures: why a provider gave less than it was asked for.
    """

    n_wanted: int = 0
    n_added: int = 0
    n_known_missing: int = 0
    n_young: int = 0
    n_missing: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    added: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether all that was wanted is stored, known to be missing, or too young to tell."""
        return not (self.n_missing or (self.n_young and self.failures))

    def counts(self) -> dict[str, Any]:
        """JSON-ready: everything but sentences."""
        return {
            "wanted": self.n_wanted,
            "added": self.n_added,
            "known_missing": self.n_known_missing,
            "young": self.n_young,
            "missing": self.n_missing,
            "requests": dict(self.requests),
            "added_by_provider": dict(self.added),
            "findings": dict(self.findings),
        }


@dataclass(slots=True)
class PulledSeries(Pulled):
    """What became of the candles of one pair and timespan.

    Attributes:
        remarks: sentences on the first of what `arrival.judge` found.
    """

    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PullReport:
    """What a pull did: {(pair, timespan): what became of it}."""

    series: Mapping[tuple[str, Timespan], PulledSeries]

    @property
    def complete(self) -> bool:
        """Whether every candle wanted is stored, known to be missing, or too young to tell."""
        return all(each.complete for each in self.series.values())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "complete": self.complete,
            "series": [
                {
                    "trade_pair_id": pair,
                    "timespan": timespan,
                    **each.counts(),
                    "remarks": each.remarks,
                    "failures": each.failures,
                }
                for (pair, timespan), each in self.series.items()
            ],
        }


@dataclass(frozen=True, slots=True)
class Step:
    """One answered request, for whoever shows progress."""

    request: CandleRequest
    provider: str
    n_added: int


def pull(
    store: CandleStore,
    wants: Sequence[Want],
    providers: Sequence[CandleProvider],
    *,
    now_ms: int,
    rates: Mapping[str, Rate | None] = MappingProxyType({}),
    clock: Clock | None = None,
    progress: Callable[[Step], None] | None = None,
) -> PullReport:
    """Bring what is wanted, and not there, into the store.

    Stored candles are never replaced. What the first provider lacks, or refuses, is asked of the
    next; a provider that fails for one pair is asked for the others all the same.

    Args:
        store: where to.
        wants: what is wanted; what is not over by now is left out.
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
    puller = _Puller(store, now_ms, clock, paces, progress or (lambda _step: None))
    series = {
        (want.trade_pair_id, want.timespan): puller.series(want.until(now_ms), providers)
        for want in wants
    }
    return PullReport(series)


@dataclass(frozen=True, slots=True)
class _Puller:
    store: CandleStore
    now_ms: int
    clock: Clock
    paces: Mapping[str, Pace]
    progress: Callable[[Step], None]

    def series(self, want: Want, providers: Sequence[CandleProvider]) -> PulledSeries:
        """Ask the providers in turn, each for what those before it did not give."""
        pair = TradePair.from_trade_pair_id(want.trade_pair_id)
        done = PulledSeries(n_wanted=n_candles_in(want))
        able = []
        for provider in providers:
            refusal = provider.refusal(pair, want.timespan)
            if refusal is not None:
                done.failures.append(refusal)
                continue
            able.append(provider)
            try:
                self._ask(want, provider, done)
            except KeyRefused:
                raise
            except ProviderError as error:
                log.warning("%s", error)
                done.failures.append(str(error))
        self._count_what_is_left(want, able, done)
        return done

    def _ask(self, want: Want, provider: CandleProvider, done: PulledSeries) -> None:
        missing = [each for each in missing_in(self.store, want, provider) if not each.known]
        for request in requests_for(provider, want, missing):
            start_ms = request.start_ms
            while start_ms < request.end_ms:
                rest = CandleRequest(request.pair, request.timespan, start_ms, request.end_ms)
                start_ms = self._bring(rest, provider, done)

    def _bring(self, request: CandleRequest, provider: CandleProvider, done: PulledSeries) -> int:
        """Ask once, store the answer; the time up to which all is answered."""
        log.debug("asking %s for %s", provider.name, request)

        def ask() -> Page:
            self.paces[provider.name].wait()
            return provider.fetch(request)

        page = patiently(ask, self.clock)
        if page.covered_ms <= request.start_ms:
            raise ProviderError(f"{provider.name} answered {request} with candles before it only")
        arrival = judge(self.store, request, page)
        key = (request.pair.trade_pair_id, request.timespan)
        n_added = self.store.write(*key, arrival.table).added if len(arrival.table) else 0
        # candles first: a kill between the two costs one more request, and no candle
        if page.lacks_the_rest:
            self._remember_missing(request, page.covered_ms, provider)
        else:
            done.failures.append(f"{provider.name} answered {request} with other times only")
        done.requests[provider.name] += 1
        done.added[provider.name] += n_added
        done.n_added += n_added
        done.findings.update(arrival.counts)
        done.remarks += arrival.remarks[: _N_REMARKS - len(done.remarks)]
        self.progress(Step(request, provider.name, n_added))
        return page.covered_ms

    def _remember_missing(
        self, request: CandleRequest, covered_ms: int, provider: CandleProvider
    ) -> None:
        end_ms = min(covered_ms, self.now_ms - SETTLED_MS)
        want = Want(request.pair.trade_pair_id, request.timespan, [(request.start_ms, end_ms)])
        lacking = [each for each in missing_in(self.store, want, provider) if not each.known]
        if lacking:
            self.store.add_known_missing(
                want.trade_pair_id, want.timespan, provider.name, left_of(lacking)
            )

    def _count_what_is_left(
        self, want: Want, asked: Sequence[CandleProvider], done: PulledSeries
    ) -> None:
        """What every provider lacks is known to be missing; what is left besides is not."""
        total = _sum(missing_in(self.store, want, None))
        settled = want.until(self.now_ms - SETTLED_MS)
        old = _sum(missing_in(self.store, settled, None))
        lacking = settled.ranges if asked else ()
        for provider in asked:
            left = Want(want.trade_pair_id, want.timespan, lacking)
            lacking = left_of([e for e in missing_in(self.store, left, provider) if e.known])
        known = Want(want.trade_pair_id, want.timespan, lacking)
        done.n_known_missing = _sum(missing_in(self.store, known, None))
        done.n_missing, done.n_young = old - done.n_known_missing, total - old


def _sum(stretches: Sequence[MissingRange]) -> int:
    return sum(each.n_candles for each in stretches)
