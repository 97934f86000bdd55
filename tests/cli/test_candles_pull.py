"""`candles pull` and `candles compare` as a user starts them, against a local server."""

import json
import os
import signal
import subprocess
import sys
import time
from urllib.parse import quote

import pytest

from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS
from ptn_backtest.prices.candles import Timespan
from ptn_backtest.prices.store import CandleStore
from tests.prices.made_candles import table
from tests.prices.providers.candle_server import KEY, MONDAY, CandleServer, price, running

DAY = ("--from", "2025-01-06", "--to", "2025-01-07")


@pytest.fixture
def server():
    with running(CandleServer()) as started:
        yield started


def environment(server, **others):
    named = {f"PTN_BACKTEST_{name}_URL": server.url for name in ("MASSIVE", "TIINGO", "CCXT")}
    return {**os.environ, **named, "MASSIVE_API_KEY": KEY, "TIINGO_API_KEY": KEY, **others}


def command(*arguments):
    return [sys.executable, "-m", "ptn_backtest.cli.main", *map(str, arguments)]


def run(server, *arguments, **others):
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        check=False,
        env=environment(server, **others),
        stdin=subprocess.DEVNULL,
    )


def pull(server, store, *arguments, **others):
    return run(server, "candles", "pull", store, *arguments, **others)


def test_pull_then_check_then_nothing_to_do(server, tmp_path):
    server.gaps = {MONDAY + k * MINUTE_MS for k in range(600, 610)}
    store = tmp_path / "prices"
    wanted = ("--pairs", "BTCUSD,EURUSD", *DAY, "--provider", "massive")
    done = pull(server, store, *wanted)
    assert (done.returncode, done.stderr) == (0, "")
    assert "at most 2,880 candles, about 0.1 MB in the store" in done.stdout
    assert "massive: at least 2 requests at 5/minute: without waiting" in done.stdout
    checked = run(server, "candles", "check", store)
    assert checked.returncode == 0
    assert "10 candles missing until 2025-01-06 10:10:00 UTC: its provider has none" in (
        checked.stdout
    )
    [btc, _eur] = json.loads(run(server, "candles", "list", store, "--json").stdout)["series"]
    assert (btc["candles"], btc["known_missing"]) == (1_430, 10)
    again = pull(server, store, *wanted)
    assert "nothing to ask for: all is there, or known to be missing" in again.stdout
    assert len(server.asked) == 2


def test_a_dry_run_asks_nothing_and_needs_no_key(server, tmp_path):
    store = tmp_path / "prices"
    done = pull(
        server, store, "--pairs", "BTCUSD", *DAY, "--provider", "massive", "--dry-run", "--json",
        MASSIVE_API_KEY="",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    [planned] = json.loads(done.stdout)["plan"]
    assert (planned["wanted"], planned["to_ask"], planned["requests"]) == (
        1_440,
        1_440,
        {"massive": 1},
    )
    assert server.paths == []
    assert not store.exists()


def test_what_positions_need(server, tmp_path):
    """The bundled positions: minutes from first to last order, seconds around orders."""
    store = tmp_path / "prices"
    done = pull(
        server, store, "--for", "test", "--provider", "massive", "--pairs", "ETHUSD", "--json",
        "--rate", "none",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    minute, second = json.loads(done.stdout)["series"]
    assert (minute["timespan"], second["timespan"]) == ("minute", "second")
    assert minute["missing"] == second["missing"] == 0
    assert {each.pair for each in server.asked} == {"ETHUSD"}
    checked = run(server, "candles", "check", store, "--positions", "test", "--pair", "ETHUSD")
    assert "order_without_candle" not in checked.stdout


def test_what_cannot_be_had_is_said_and_the_exit_code_says_so(server, tmp_path):
    server.faults = ["403"]
    done = pull(server, tmp_path / "prices", "--pairs", "BTCUSD", *DAY, "--provider", "massive")
    assert done.returncode == 1
    assert "missing: BTCUSD minute: Massive answered with status 403" in done.stderr
    assert "asks again" in done.stderr


def test_a_refusal_that_the_next_provider_makes_good(server, tmp_path):
    server.faults = ["403"]
    wanted = ("--pairs", "BTCUSD", *DAY, "--provider", "massive,tiingo")
    done = pull(server, tmp_path / "prices", *wanted)
    assert done.returncode == 0
    assert "tiingo 1,440" in done.stdout


@pytest.mark.parametrize("provider", ["massive", "tiingo"])
@pytest.mark.parametrize("verbosity", ["-v", "-vv"])
@pytest.mark.parametrize("fault", ["401", "403", "500"])
def test_no_output_shows_a_key(server, tmp_path, provider, verbosity, fault):
    server.faults = [fault]
    done = run(
        server, verbosity, "candles", "pull", tmp_path / "p", "--pairs", "BTCUSD", *DAY,
        "--provider", provider,
    )  # fmt: skip
    shown = done.stdout + done.stderr
    assert "***" in shown  # the server said the key, and something was shown in its place
    assert KEY not in shown
    assert quote(KEY, safe="") not in shown
    for path in (tmp_path / "p").rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


def test_a_key_of_a_file(server, tmp_path):
    path = tmp_path / "keys"
    path.write_text("TIINGO_API_KEY=key-of-the-file\n")
    path.chmod(0o600)
    wanted = ("--pairs", "BTCUSD", *DAY, "--provider", "tiingo", "--key-file", path)
    assert pull(server, tmp_path / "prices", *wanted).returncode == 0
    assert set(server.keys) == {"Token key-of-the-file"}


def test_a_pull_that_is_killed_goes_on_where_it_was(server, tmp_path):
    """kill -9 in mid-pull: afterwards each stored minute was asked for once, in both runs together."""
    store = tmp_path / "prices"
    server.latency_s = 0.05
    wanted = [
        "--pairs",
        "BTCUSD",
        "--from",
        "2025-01-06",
        "--to",
        "2025-01-16",
        "--provider",
        "ccxt",
    ]
    process = subprocess.Popen(
        command("candles", "pull", store, *wanted),
        env=environment(server),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    limit = time.monotonic() + 60
    while len(server.asked) < 15 and time.monotonic() < limit:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    time.sleep(0.2)  # what was under way when it was killed
    first_run = list(server.asked)
    held = set(CandleStore(store).read("BTCUSD", Timespan.MINUTE, 0, MONDAY * 2).start_ms.tolist())
    n_wanted = 10 * DAY_MS // MINUTE_MS
    assert 0 < len(held) < n_wanted, "it was killed in the middle"
    assert len(first_run) >= 15

    server.latency_s = 0.0
    server.asked.clear()
    done = pull(server, store, *wanted)
    assert (done.returncode, done.stderr) == (0, "")
    asked_again = {t for each in server.asked for t in range(each.start_ms, each.end_ms, MINUTE_MS)}
    assert not asked_again & held
    assert len(asked_again) == n_wanted - len(held)
    candles = CandleStore(store).read("BTCUSD", Timespan.MINUTE, 0, MONDAY * 2)
    assert candles.start_ms.tolist() == list(range(MONDAY, MONDAY + 10 * DAY_MS, MINUTE_MS))
    assert candles.close.tolist() == [price("BTCUSD", t) for t in candles.start_ms.tolist()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--provider", "massive"), "--pairs and --from, or --for SOURCE"),
        (("--pairs", "BTCUSD", *DAY, "--provider", "polygon"), "polygon is no provider"),
        (("--pairs", "BTCUSDT", *DAY, "--provider", "ccxt"), "did you mean BTCUSD"),
        (
            ("--pairs", "BTCUSD", "--from", "2025-01-07", "--to", "2025-01-06", "--provider", "ccxt"),
            "is not before --to",
        ),
        (("--pairs", "BTCUSD", *DAY, "--provider", "ccxt", "--rate", "5"), "'5' is no rate"),
        (("--pairs", "BTCUSD", *DAY, "--provider", "ccxt", "--exchange", "krakn"), "no exchange"),
    ],
)  # fmt: skip
def test_mistakes_are_explained(server, tmp_path, arguments, said):
    done = pull(server, tmp_path / "prices", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "prices").exists()


def test_the_package_needs_no_client_library(tmp_path):
    """Without the extra everything else works, and help is quick because nothing is imported."""
    code = (
        "import sys\n"
        "for name in ('massive', 'ccxt', 'requests', 'tenacity'): sys.modules[name] = None\n"
        "from ptn_backtest.cli.main import main\n"
        "sys.argv = ['ptn-backtest', 'candles', 'pull', '--help']\n"
        "main()\n"
    )
    helped = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert helped.returncode == 0
    assert "--key-file" in helped.stdout
    code = code.replace("'--help'", f"{str(tmp_path / 'p')!r}, '--pairs', 'BTCUSD', '--from', '2025-01-06', '--provider', 'ccxt'")  # fmt: skip
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert "pip install 'ptn-backtest[providers]'" in told.stderr


def test_compare_shows_where_stores_differ(server, tmp_path):
    times = [MONDAY + k * MINUTE_MS for k in range(60)]
    closes = [price("BTCUSD", t) for t in times]
    for name, factor, own in (("a", 1.0, times[:50]), ("b", 1.0005, times[5:])):
        changed = [c * factor for c, t in zip(closes, times, strict=True) if t in own]
        if name == "b":
            changed[7] *= 1.01
        CandleStore.create(tmp_path / name).write("BTCUSD", Timespan.MINUTE, table(own, changed))
    differ = run(server, "candles", "compare", tmp_path / "a", tmp_path / "b", "--json")
    assert differ.returncode == 1
    [series] = json.loads(differ.stdout)["series"]
    counts = [series[name] for name in ("n_both", "n_only_a", "n_only_b", "n_differing")]
    assert counts == [45, 5, 10, 1]
    [candle] = series["differing"]
    assert candle["start_ms"] == times[12]
    assert candle["fraction"] == pytest.approx(1.01 * 1.0005 - 1)
    tolerant = ("--tolerance", "0.02", "--end", MONDAY + HOUR_MS)
    same = run(server, "candles", "compare", tmp_path / "a", tmp_path / "b", *tolerant)
    assert same.returncode == 0
    assert "no two of 45 closes differ by more than 2.000%" in same.stdout


def test_a_pull_that_fails_leaves_no_empty_store(server, tmp_path):
    server.faults = ["401"]
    store = tmp_path / "prices"
    refused = pull(server, store, "--pairs", "BTCUSD", *DAY, "--provider", "massive")
    assert refused.returncode != 0
    assert server.paths
    assert not store.exists()
