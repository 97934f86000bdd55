"""An HTTP server that answers as the documentation of Massive, Tiingo and Coinbase says.

Prices are a function of time, so that every candle and quote can be checked; faults are queued and
used up, one a request. It counts what is asked.
"""

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from ptn_backtest.clock import DAY_MS, MINUTE_MS, SECOND_MS, parse_time
from ptn_backtest.prices.candles import Timespan

KEY = "k3y-that/must+never.show"
LEVELS = {"BTCUSD": 90_000.0, "ETHUSD": 3_000.0, "EURUSD": 1.15, "GBPUSD": 1.33, "NVDA": 140.0}


def price(pair: str, at_ms: int) -> float:
    """A close: smooth enough to be plausible, different at every candle."""
    return round(LEVELS[pair] * (1 + 0.01 * math.sin(at_ms / 3.6e6) + 1e-6 * (at_ms % 7)), 6)


QUOTES_EVERY_MS = 5_000
"""Quotes are made at every fifth second, a quarter of a millisecond after it."""


def bid_ask(pair: str, at_ms: int) -> tuple[float, float]:
    """Bid and ask that were made at a time."""
    mid = price(pair, at_ms)
    return round(mid * 0.9999, 6), round(mid * 1.0001, 6)


@dataclass(frozen=True)
class Asked:
    """One request that was answered with candles."""

    provider: str
    pair: str
    timespan: Timespan
    start_ms: int
    end_ms: int  # not included


@dataclass
class CandleServer:
    """What the server has, what goes wrong with it, and what it was asked."""

    url: str = ""
    gaps: set[int] = field(default_factory=set)
    page: int = 50_000
    begins_ms: int = 0
    one_sided: set[int] = field(default_factory=set)
    latency_s: float = 0.0
    shuffle: Callable[[list[Any]], list[Any]] = list
    faults: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def starts(self, timespan: Timespan, start_ms: int, end_ms: int) -> list[int]:
        """Candles that it has in [start, end)."""
        first = -(-max(start_ms, self.begins_ms) // timespan.ms) * timespan.ms
        return [t for t in range(first, end_ms, timespan.ms) if t not in self.gaps]


@contextmanager
def running(server: CandleServer) -> Iterator[CandleServer]:
    class Handler(_Handler):
        state = server

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: CandleServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        pass

    def do_GET(self):
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        self.state.paths.append(self.path)
        self.state.keys.append(self.headers.get("Authorization", ""))
        if self.state.latency_s:
            time.sleep(self.state.latency_s)
        is_candles = (
            path.startswith(("/v2/aggs/", "/v3/quotes/", "/tiingo/", "/iex/")) or "/candles" in path
        )
        if is_candles and self.state.faults:
            self._fail(self.state.faults.pop(0))
        elif path.startswith("/v2/aggs/"):
            self._massive(path)
        elif path.startswith("/v3/quotes/"):
            self._massive_quotes(path, query)
        elif path.startswith(("/tiingo/", "/iex/")):
            self._tiingo(path, query)
        elif path.startswith("/api/v3/brokerage/market/products"):
            self._coinbase(path, query)
        else:
            self._send({"data": []})

    def _fail(self, fault):
        name, _, argument = fault.partition(" ")
        if name == "slow":
            time.sleep(float(argument))
            self._send({"status": "OK"})
        elif name == "html":
            self._send_bytes(200, b"<html>maintenance</html>", "text/html")
        elif name == "truncated":
            body = b'{"status":"OK","results":[{"t":1'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body) + 1_000))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True
        elif name == "cut-json":
            self._send_bytes(200, b'{"status":"OK","results":[{"t":1', "application/json")
        elif name == "drop":
            self.close_connection = True
        else:
            headers = {"Retry-After": argument} if argument else {}
            said = {"status": "ERROR", "error": f"status {name}; your key is {KEY}"}
            self._send(said, int(name), headers)

    def _massive(self, path):
        _, _, _, _, ticker, _, _, span, first, last = path.split("/")
        pair, timespan = ticker.rpartition(":")[2], Timespan(span)
        start, end = int(first), int(last) + 1
        times = self.state.starts(timespan, start, end)
        here = times[: self.state.page]
        self._note("massive", pair, timespan, start, here[-1] + timespan.ms if here else end)
        bars = [_bar(pair, t) for t in here]
        answer = {
            "ticker": ticker,
            "queryCount": len(here),
            "resultsCount": len(here),
            "adjusted": False,
            "status": "OK",
            "request_id": "6a7e466379af0a71039d60cc78e72282",
        }
        if bars:
            answer["results"] = self.state.shuffle(bars)
            answer["count"] = len(bars)
        if len(times) > len(here):
            answer["next_url"] = f"https://api.massive.com{path}?cursor=bGltaXQ9MiZzb3J0PWFzYw"
        self._send(answer)

    def _massive_quotes(self, path, query):
        ticker = path.split("/")[-1]
        assert ticker.startswith("C:") == ("-" in ticker), "forex quotes are asked for as C:EUR-USD"
        assert (query["sort"], query["order"]) == (["timestamp"], ["desc"])
        pair = ticker.rpartition(":")[2].replace("-", "")
        # in quarters of a millisecond, as quotes are stamped here
        first, last = (
            int(query[f"timestamp.{side}"][0]) * 4 // 1_000_000 for side in ("gte", "lte")
        )
        limit = min(int(query["limit"][0]), self.state.page)
        newest = last // 4 // QUOTES_EVERY_MS * QUOTES_EVERY_MS
        made = [
            t
            for t in range(newest, first // 4 - QUOTES_EVERY_MS, -QUOTES_EVERY_MS)
            if first <= 4 * t + 1 <= last and t not in self.state.gaps and t >= self.state.begins_ms
        ]
        self.state.asked.append(
            Asked("massive quotes", pair, Timespan.SECOND, first // 4, last // 4)
        )
        rows = [_quote_row(pair, t, t in self.state.one_sided) for t in made[:limit]]
        answer = {
            "status": "OK",
            "request_id": "a47d1beb8c11b6ae897ab76cdbbf35a3",
            "results": self.state.shuffle(rows),
        }
        if len(made) > limit:
            answer["next_url"] = f"https://api.massive.com{path}?cursor=bGltaXQ9MiZzb3J0PWFzYw"
        self._send(answer)

    def _tiingo(self, path, query):
        pair = (query.get("tickers") or [path.split("/")[-2]])[0].upper()
        assert query["resampleFreq"] == ["1min"]
        start, end = (parse_time(query[name][0]) for name in ("startDate", "endDate"))
        self._note("tiingo", pair, Timespan.MINUTE, start, end)
        if pair not in LEVELS:
            self._send(
                [] if "crypto" in path else {"detail": "Not found."},
                200 if "crypto" in path else 404,
            )
            return
        rows = [_tiingo_row(pair, t) for t in self.state.starts(Timespan.MINUTE, start, end)]
        rows = self.state.shuffle(rows)
        if "crypto" in path:
            about = {
                "ticker": pair.lower(),
                "baseCurrency": pair[:3].lower(),
                "quoteCurrency": "usd",
            }
            self._send([{**about, "priceData": rows}] if rows else [])
        else:
            self._send(rows)

    def _coinbase(self, path, query):
        if not path.endswith("/candles"):
            self._send({"products": [_product(p) for p in ("BTC", "ETH")], "num_products": 2})
            return
        pair = path.split("/")[-2].replace("-", "")
        start, end = (int(query[name][0]) * SECOND_MS for name in ("start", "end"))
        times = self.state.starts(Timespan.MINUTE, start, end + 1)
        assert end - start <= 300 * MINUTE_MS, "Coinbase gives 300 candles at most"
        self._note("ccxt:coinbase", pair, Timespan.MINUTE, start, end + 1)
        bars = [
            {
                "start": str(t // SECOND_MS),
                "low": str(price(pair, t) - 1),
                "high": str(price(pair, t) + 1),
                "open": str(price(pair, t)),
                "close": str(price(pair, t)),
                "volume": "1.5",
            }
            for t in reversed(times)
        ]
        self._send({"candles": bars})

    def _note(self, provider, pair, timespan, start, end):
        self.state.asked.append(Asked(provider, pair, timespan, start, end))

    def _send(self, content, status=200, headers=None):
        self._send_bytes(status, json.dumps(content).encode(), "application/json", headers)

    def _send_bytes(self, status, body, kind, headers=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):  # who asked waits no longer
            self.wfile.write(body)


def _bar(pair, t):
    close = price(pair, t)
    return {
        "v": 2.5,
        "vw": close,
        "o": close,
        "c": close,
        "h": close * 1.0001,
        "l": close * 0.9999,
        "t": t,
        "n": 3,
    }


def _quote_row(pair, t, one_sided):
    bid, ask = bid_ask(pair, t)
    row = {
        "ask_exchange": 48,
        "ask_price": ask,
        "bid_exchange": 48,
        "bid_price": 0 if one_sided else bid,
        "participant_timestamp": t * 1_000_000 + 250_000,
    }
    if pair in ("EURUSD", "GBPUSD"):
        return row
    return {**row, "sip_timestamp": row["participant_timestamp"], "sequence_number": t}


def _tiingo_row(pair, t):
    close = price(pair, t)
    date = str(np.datetime64(t, "ms")) + "Z"
    row = {
        "date": date,
        "open": close,
        "high": close * 1.0001,
        "low": close * 0.9999,
        "close": close,
    }
    if pair == "EURUSD":
        return {**row, "ticker": "eurusd"}
    return {**row, "volume": 2.5, "volumeNotional": 2.5 * close, "tradesDone": 3.0}


def _product(base):
    return {
        "product_id": f"{base}-USD",
        "price": "1",
        "base_increment": "0.00000001",
        "quote_increment": "0.01",
        "quote_min_size": "1",
        "quote_max_size": "150000000",
        "base_min_size": "0.00000001",
        "base_max_size": "3400",
        "base_name": base,
        "quote_name": "US Dollar",
        "status": "online",
        "product_type": "SPOT",
        "quote_currency_id": "USD",
        "base_currency_id": base,
        "trading_disabled": False,
        "price_increment": "0.01",
        "display_name": f"{base}-USD",
        "product_venue": "CBE",
    }


MONDAY = parse_time("2025-01-06")
A_DAY = (MONDAY, MONDAY + DAY_MS)
