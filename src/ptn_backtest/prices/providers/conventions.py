"""What each provider calls things: names of pairs, asset classes, times, limits. Here and nowhere else.

| | Massive | Tiingo | exchanges (ccxt) |
|---|---|---|---|
| BTCUSD | X:BTCUSD | crypto btcusd | BTC/USD |
| EURUSD | C:EURUSD | fx eurusd | none |
| NVDA | NVDA | iex nvda | none |
| time | start, ms UTC | start, ISO 8601 UTC | start, ms UTC |
| candle without a trade | left out | left out | left out, or flat |
| volume | base; of forex the number of quotes | base; none of forex | base |
| quotes of the past | C:EUR-USD, NVDA; none of crypto | none: those of now only | none: those of now only |

Prices: Massive crypto trades of several venues, forex quotes; Tiingo crypto trades of several
venues, forex mid quotes, equities of IEX alone; an exchange its own trades. None gives bid and ask
with its candles; where an answer has them, they are kept. Massive has quotes beside them: best bid
and ask of forex, the national best (NBBO) of equities, stamped in nanoseconds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ptn_backtest.clock import DAY_MS
from ptn_backtest.errors import ConfigError
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.trade_pairs import TradePair, TradePairCategory

_UNIT_S = {"second": 1.0, "minute": 60.0, "hour": 3_600.0, "day": 86_400.0}


@dataclass(frozen=True, slots=True)
class Rate:
    """At most so many requests in any stretch of so many seconds."""

    requests: int
    per_s: float

    @staticmethod
    def parse(text: str) -> "Rate | None":
        """A rate as options have it: "5/minute", "100/second"; "none" for no limit.

        Raises:
            ConfigError: it is written otherwise.
        """
        if text == "none":
            return None
        match = re.fullmatch(r"([1-9][0-9]*)/(second|minute|hour|day)", text)
        if match is None:
            raise ConfigError(f"{text!r} is no rate: write 5/minute, 100/second, 50/hour, or none")
        return Rate(int(match[1]), _UNIT_S[match[2]])

    def __str__(self) -> str:
        unit = next((name for name, s in _UNIT_S.items() if s == self.per_s), f"{self.per_s:g} s")
        return f"{self.requests:,}/{unit}"


@dataclass(frozen=True, slots=True)
class Conventions:
    """What is known of a provider without asking it.

    Attributes:
        title: its name as people write it.
        url: where it is asked.
        key_variables: environment variables that may hold its key, the first that is set counts.
        categories: asset classes that it has.
        span_ms: the longest stretch of one request, by timespan; a timespan that is not there it
            does not have.
        rate: of its free plan; None where the client library knows.
        quoted: asset classes of which it has bid and ask of the past.
    """

    title: str
    url: str
    key_variables: tuple[str, ...]
    categories: frozenset[TradePairCategory]
    span_ms: Mapping[Timespan, int] = field(default_factory=dict)
    rate: Rate | None = None
    quoted: frozenset[TradePairCategory] = frozenset()

    def refusal(self, pair: TradePair, timespan: Timespan) -> str | None:
        """Why there are no such candles, in words; None where there may be."""
        if pair.category not in self.categories:
            return f"{self.title} has no {pair.category} ({pair.trade_pair_id})"
        if self.span_ms and timespan not in self.span_ms:
            return f"{self.title} has no {timespan} candles"
        return None

    def quote_refusal(self, pair: TradePair) -> str | None:
        """Why there is no bid and ask of a pair's past, in words; None where there may be."""
        if pair.category not in self.quoted:
            return f"{self.title} has no quotes of {pair.category} ({pair.trade_pair_id})"
        return None


MASSIVE_LIMIT = 50_000
"""Candles in one answer of Massive at most; for minutes and seconds it is the stretch, too."""

_CRYPTO, _FOREX, _EQUITIES = (
    TradePairCategory.CRYPTO,
    TradePairCategory.FOREX,
    TradePairCategory.EQUITIES,
)

PROVIDERS: Mapping[str, Conventions] = {
    "massive": Conventions(
        title="Massive",
        url="https://api.massive.com",
        key_variables=("MASSIVE_API_KEY", "POLYGON_API_KEY"),
        categories=frozenset({_CRYPTO, _FOREX, _EQUITIES}),
        span_ms={each: MASSIVE_LIMIT * each.ms for each in Timespan},
        rate=Rate(5, 60.0),
        quoted=frozenset({_FOREX, _EQUITIES}),
    ),
    "tiingo": Conventions(
        title="Tiingo",
        url="https://api.tiingo.com",
        key_variables=("TIINGO_API_KEY",),
        categories=frozenset({_CRYPTO, _FOREX, _EQUITIES}),
        # asked by whole days; a request for two may bring a third: under 5,000 rows, known to fit
        span_ms={Timespan.MINUTE: 2 * DAY_MS},
        rate=Rate(50, 3_600.0),
    ),
    "ccxt": Conventions(
        title="ccxt",
        url="",  # each exchange's own
        key_variables=(),
        categories=frozenset({_CRYPTO}),
    ),
}

URL_VARIABLES: Mapping[str, str] = {name: f"PTN_BACKTEST_{name.upper()}_URL" for name in PROVIDERS}
"""Environment variables that name another address to ask, such as a proxy's."""

DEFAULT_EXCHANGE = "coinbase"
"""Quotes in US dollars, gives minutes of any past time without a key, has all pairs of the network."""

LATEST_ONLY: Mapping[str, int] = {"kraken": 720}
"""Exchanges that give only their latest candles, and how many: an older time has no answer."""

CCXT_TIMEFRAMES: Mapping[Timespan, str] = {Timespan.MINUTE: "1m", Timespan.SECOND: "1s"}
CCXT_USUAL_LIMIT = 300
"""Candles in one answer where ccxt does not know an exchange's limit: the smallest usual one."""


def massive_ticker(pair: TradePair) -> str:
    """The pair as Massive names it."""
    prefix = {_CRYPTO: "X:", _FOREX: "C:", _EQUITIES: ""}[pair.category]
    return prefix + pair.trade_pair_id


def massive_quote_ticker(pair: TradePair) -> str:
    """The pair as Massive names it where it gives quotes: "C:EUR-USD"."""
    return "C:" + pair.trade_pair.replace("/", "-") if pair.is_forex else massive_ticker(pair)


def tiingo_path(pair: TradePair) -> tuple[str, dict[str, str]]:
    """The path of a pair's prices at Tiingo, and what the query must have."""
    ticker = pair.trade_pair_id.lower()
    match pair.category:
        case TradePairCategory.CRYPTO:
            return "/tiingo/crypto/prices", {"tickers": ticker}
        case TradePairCategory.FOREX:
            return f"/tiingo/fx/{ticker}/prices", {}
        case _:
            return f"/iex/{ticker}/prices", {"columns": "open,high,low,close,volume"}


def exchange_symbol(pair: TradePair, quote: str) -> str:
    """The pair as ccxt names it: "BTC/USD", or quoted in a stablecoin where that is wanted."""
    base, _, _ = pair.trade_pair.partition("/")
    return f"{base}/{quote}"
