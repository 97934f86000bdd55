"""`candles pull-quotes`, as a process, against a local server."""

import json

import pyarrow.parquet as pq
import pytest

from ptn_backtest.clock import NEVER_MS
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.store import CandleStore
from ptn_backtest.sources.bundled import bundled_candles
from tests.cli.test_candles_pull import run, server
from tests.prices.providers.candle_server import KEY, QUOTES_EVERY_MS, bid_ask

__all__ = ["server"]

N_EURO, N_POUND = 10, 5
"""Orders of the bundled positions that have a price, each of another time."""


def pull(server, store, *arguments, **others):
    return run(server, "candles", "pull-quotes", store, "--for", "test", *arguments, **others)


@pytest.fixture
def store(tmp_path):
    """The synthetic candles in a store that does not say so: one that does takes nothing."""
    made = bundled_candles(tmp_path / "made-up")
    copied = CandleStore.create(tmp_path / "prices")
    for pair in made.pairs():
        for timespan in Timespan:
            copied.write(pair, timespan, made.read_table(pair, timespan, 0, NEVER_MS))
    return copied


def test_pull_list_run_and_nothing_to_do(server, store, tmp_path):
    wanted = ("--provider", "massive", "--rate", "none")
    done = pull(server, store.root, *wanted)
    assert done.returncode == 0
    assert done.stderr == (
        "note: left out: BTCUSD, ETHUSD, SOLUSD; slippage of crypto asks for no quote\n"
    )
    assert f"massive: at least {N_EURO + N_POUND} requests" in done.stdout
    assert len(server.asked) == N_EURO + N_POUND

    listed = json.loads(run(server, "candles", "list", store.root, "--json").stdout)
    assert [(each["trade_pair_id"], each["quotes"]) for each in listed["quotes"]] == [
        ("EURUSD", N_EURO),
        ("GBPUSD", N_POUND),
    ]

    ran = run(
        server, "run", "--use-test-positions", "--candles", store.root, "--fetch-slippage-data",
        "--output", tmp_path / "runs", "--run-name", "quoted",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    folder = tmp_path / "runs" / "quoted"
    counts = json.loads((folder / "run.json").read_text())["counts"]
    assert counts["quotes_changed"] == N_EURO + N_POUND
    orders = pq.read_table(folder / "orders.parquet").to_pylist()
    forex = [each for each in orders if each["trade_pair_id"] == "EURUSD" and each["price"]]
    assert len(forex) == N_EURO
    for order in forex:
        # a quote is stamped a quarter of a millisecond after every fifth second
        made = (order["time_ms"] - 1) // QUOTES_EVERY_MS * QUOTES_EVERY_MS
        assert (order["bid"], order["ask"]) == bid_ask("EURUSD", made)

    again = pull(server, store.root, *wanted)
    assert again.returncode == 0
    assert "nothing to ask for: all is there, or known to be missing" in again.stdout
    assert len(server.asked) == N_EURO + N_POUND


def test_a_dry_run_asks_nothing_and_needs_no_key(server, tmp_path):
    store = tmp_path / "prices"
    done = pull(server, store, "--provider", "massive", "--dry-run", "--json", MASSIVE_API_KEY="")
    assert done.returncode == 0
    euro, pound = json.loads(done.stdout)["plan"]
    assert (euro["wanted"], euro["to_ask"], euro["requests"]) == (N_EURO, N_EURO, {"massive": 10})
    assert pound["trade_pair_id"] == "GBPUSD"
    assert server.paths == []
    assert not store.exists()


def test_what_does_not_exist_is_known_and_a_refusal_is_no_success(server, tmp_path):
    store = tmp_path / "prices"
    server.begins_ms = NEVER_MS
    wanted = ("--provider", "massive", "--rate", "100/second", "--pairs", "GBPUSD", "--json")
    done = pull(server, store, *wanted)
    assert done.returncode == 0
    [pound] = json.loads(done.stdout)["pairs"]
    assert (pound["added"], pound["known_missing"], pound["missing"]) == (0, N_POUND, 0)

    server.faults = ["403"]
    refused = pull(server, store, "--provider", "massive", "--pairs", "EURUSD")
    assert refused.returncode == 1
    assert "missing: EURUSD: Massive answered with status 403" in refused.stderr
    assert "the same command asks again for what is missing" in refused.stderr
    assert KEY not in refused.stdout + refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--provider", "tiingo"), "Tiingo gives bid and ask of now, and none of the past"),
        (("--provider", "ccxt"), "ccxt gives bid and ask of now, and none of the past"),
        (("--provider", "polygon"), "polygon is no provider: there are massive, tiingo, ccxt"),
        (("--provider", "massive", "--pairs", "EURUSDT"), "did you mean EURUSD"),
        (("--provider", "massive", "--rate", "5"), "'5' is no rate"),
    ],
)
def test_mistakes_are_explained(server, tmp_path, arguments, said):
    done = pull(server, tmp_path / "prices", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "prices").exists()


def test_orders_that_need_no_quote(server, tmp_path):
    done = pull(server, tmp_path / "prices", "--provider", "massive", "--pairs", "BTCUSD")
    assert done.returncode == 0
    assert "nothing to ask for: no order of forex or equities has a price" in done.stdout
    assert server.asked == []
