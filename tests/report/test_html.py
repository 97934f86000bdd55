import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptn_backtest.clock import DAY_MS, HOUR_MS
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.positions.accounting import ORDER_STATE
from ptn_backtest.positions.order_log import OrderLog
from ptn_backtest.positions.recorded_orders import ORDER
from ptn_backtest.positions.rejection import Reason, Rejection
from ptn_backtest.prices.outline import PriceOutline
from ptn_backtest.report.html import MOST_OPEN_TRADERS, render_report, write_report
from ptn_backtest.report.position_data import MOST_POSITIONS
from tests.report.decoded import column, page_data
from tests.results.made_networks import (
    DAYS,
    ELIMINATIONS,
    EVENTS,
    FINDINGS,
    network_run,
    scores,
)
from tests.results.made_runs import FIRST_ORDER_MS, golden_run, ledger, made_run, position

ATTACK = "<script>alert(1)</script>"
QUOTES = "\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}"
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Checks that every element is closed where it must be, and gathers what there is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.ids: Counter[str] = Counter()
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []
        assert [name for name, times in self.ids.items() if times > 1] == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids.update(value or "" for name, value in attrs if name == "id")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def says(self, sentence: str) -> bool:
        return sentence in " ".join(" ".join(self.text).split())


def test_the_page_shows_every_trader_without_its_script() -> None:
    page = Page(render_report(made_run()))
    for words in ("5Up", "5Down", "5Zero", "+5.00%", "-4.00%", "Liquidated"):
        assert page.says(words), words
    assert page.says("price -3.0 is not above 0")
    assert page.says("ETHUSD has no candles at 2025-01-15")
    assert page.says("2 candles of BTCUSD were missing and held")
    assert page.says("1 5Up +5.00% 5.00%")
    assert page.says("3 5Zero Liquidated reached 0")
    assert page.says("drawn by this page's own script, which is switched off here")


def test_the_data_have_each_traders_curves() -> None:
    data = page_data(render_report(made_run()))
    assert [own["hotkey"] for own in data["traders"]] == ["5Up", "5Down", "5Zero"]
    up, down, zero = column(data["curves"], "value")
    assert up == pytest.approx([1.0, 1.02, 0.98, 1.05], abs=1e-6)
    assert down == pytest.approx([1.0, 0.99, 0.97, 0.96], abs=1e-6)
    assert zero == pytest.approx([1.0, 1.5, 1.4], abs=1e-5)
    # the first order at 03:00, then every 12 hours
    seconds = [(ms - FIRST_ORDER_MS) / 3_600_000 for ms in _ms(column(data["curves"], "time")[0])]
    assert seconds == [0, 9, 21, 33]
    assert column(data["curves"], "drawdown")[0] == pytest.approx([0, 0, -0.05, -0.03], abs=1e-6)
    assert data["traders"][2]["liquidated"] == [1736899200000, 1.4]


def test_a_trader_of_whom_nothing_is_left_is_named() -> None:
    gone = Rejection(Reason.INVALID_PRICE, "price 0.0 is not above 0", "row 9", "5Gone", "g", "", 3)
    page = Page(render_report(made_run(rejections=[*made_run().rejections, gone, gone])))
    assert page.says("Traders of whom nothing is left")
    assert page.says("5Gone 2 6 price 0.0 is not above 0 row 9")
    assert not Page(render_report(made_run())).says("Traders of whom nothing is left")


def test_positions_stand_newest_first_with_their_keys() -> None:
    data = page_data(render_report(made_run()))
    assert data["keys"] == ["up-2", "up-1", "down-1"]
    assert [len(own) for own in column(data["positions"], "entry")] == [2, 1, 0]
    pairs = [[data["pairs"][int(n)] for n in own] for own in column(data["positions"], "pair")]
    assert pairs == [["EURUSD", "BTCUSD"], ["BTCUSD"], []]
    assert column(data["positions"], "value")[0] == pytest.approx([1.04895] * 2)


def test_rows_that_were_set_aside_stand_with_their_trader() -> None:
    up = page_data(render_report(made_run()))["traders"][0]
    assert up["rejected"] == [
        ["invalid price", "price -3.0 is not above 0", "orders row 7", 2, "up-3"]
    ]
    assert up["n_rejected"] == 1


@pytest.mark.parametrize("attack", [ATTACK, QUOTES])
def test_what_comes_from_outside_is_text(attack: str) -> None:
    plain = Page(render_report(made_run()))
    own = {PORTFOLIO: ledger([1.02]), attack: ledger([1.02])}
    text = render_report(
        made_run(
            ledgers={attack: own, "5Down": {PORTFOLIO: ledger([0.9])}},
            positions=[position(attack, attack)],
            source=attack,
            settings={attack: attack},
            inputs={attack: attack},
            warnings=[attack],
            failed_traders={attack: attack},
            liquidations=[],
            rejections=[Rejection(Reason.UNREADABLE, attack, attack, attack)],
        )
    )
    page = Page(text)
    # the data, and the page's own
    assert (page.tags["script"], page.tags["img"]) == (2, 0)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert attack not in text
    assert page.says(attack)
    assert attack in {own["hotkey"] for own in page_data(text)["traders"]}
    assert set(page.tags) <= set(plain.tags)


def test_only_its_own_script_may_run() -> None:
    text = render_report(made_run())
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "script-src 'sha256-" in policy[1]
    assert "unsafe-eval" not in policy[1]


def test_nothing_is_loaded_from_anywhere() -> None:
    text = render_report(made_run(synthetic=True))
    page = Page(text)
    assert not re.search(
        r"(https?:)?//[a-z0-9]", re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    )
    assert "url(" not in text
    assert "@import" not in text
    # and its script could not, whatever it were told: the policy has no word on connections or images
    assert not re.search(
        r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import)\b\s*\(", text
    )
    assert page.tags["link"] == 0
    assert not [value for name, value in page.attributes if name == "src"]
    assert all(value.startswith("#") for name, value in page.attributes if name == "href")


def test_links_lead_somewhere() -> None:
    page = Page(render_report(made_run()))
    targets = {value[1:] for name, value in page.attributes if name == "href"}
    targets |= {value for name, value in page.attributes if name == "aria-labelledby"}
    assert targets
    assert targets <= set(page.ids)


def test_equal_runs_give_equal_pages_without_timings() -> None:
    one = render_report(made_run(timings={"ledgers": 12.3456789}))
    assert one == render_report(made_run(timings={"ledgers": 98.7654321}))
    assert "12.34" not in one


def test_synthetic_data_is_labelled_loudly() -> None:
    assert "Synthetic data" not in render_report(made_run())
    page = Page(render_report(made_run(synthetic=True)))
    assert page.text.count("Synthetic data") == 1
    assert page.says("Synthetic data. Positions or candles are made up")


def test_nothing_loaded_says_why_and_what_to_do() -> None:
    empty: dict[str, Any] = {"ledgers": {}, "positions": [], "liquidations": [], "warnings": []}
    page = Page(render_report(made_run(**empty, rejections=[], failed_traders={})))
    assert page.says("Nothing to report")
    assert page.says("The source holds no positions that were open by 2025-01-16 12:00:00 UTC")
    assert page.says("Check that the source is the one you mean: a made-up source.")
    one = made_run(
        **empty, rejections=[], failed_traders={}, settings={"test_single_hotkey": "5Nobody"}
    )
    assert Page(render_report(one)).says("no positions for the hotkey 5Nobody")
    page = Page(render_report(made_run(**empty, failed_traders={})))
    assert page.says("All that the source held was set aside (1 position)")
    assert page.says("price -3.0 is not above 0")
    assert Page(render_report(made_run(**empty))).says("Every trader failed (1 trader)")
    only_ledgers_missing = {**empty, "positions": [position("5Up", "up-1")]}
    assert Page(render_report(made_run(**only_ledgers_missing))).says("none became a ledger")


def test_many_traders_are_closed_and_positions_capped() -> None:
    traders = {
        f"5Many{n}": {PORTFOLIO: ledger([1 + n / 1000])} for n in range(MOST_OPEN_TRADERS + 1)
    }
    positions = [position("5Many3", f"p{n}") for n in range(MOST_POSITIONS + 20)]
    text = render_report(made_run(ledgers=traders, positions=positions))
    assert not re.search(r'<details class="trader"[^>]* open>', text)
    data = page_data(text)
    (own,) = (n for n, one in enumerate(data["traders"]) if one["hotkey"] == "5Many3")
    assert data["positions"]["counts"][own] == MOST_POSITIONS
    assert data["keys"][:2] == [f"p{MOST_POSITIONS + 19}", f"p{MOST_POSITIONS + 18}"]
    assert data["traders"][own]["n_positions"] == MOST_POSITIONS + 20
    assert re.search(r'<details class="trader"[^>]* open>', render_report(made_run()))


def test_a_dropped_window_is_explained() -> None:
    led = ledger([1.1, 1.2, 1.3])
    led.cps["accum_ms"][0] = 0
    assert "keeps a window" in render_report(made_run(ledgers={"5Old": {PORTFOLIO: led}}))
    assert "keeps a window" not in render_report(made_run())


def test_the_file_is_written_whole(tmp_path: Path) -> None:
    path = write_report(tmp_path, made_run())
    assert path.read_text(encoding="utf-8") == render_report(made_run())
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    "name", ["five_pairs", "five_pairs_portfolio_only", "liquidation", "daily_rules", "quirk_01"]
)
def test_golden_runs_make_sound_pages(name: str, shared: Path) -> None:
    result = golden_run(shared / "golden" / name)
    page = Page(render_report(result))
    assert page.says("Performance report")
    assert len(render_report(result)) < 20_000 * len(result.ledgers) + 140_000


def test_a_trader_shows_where_its_change_came_from() -> None:
    data = page_data(render_report(made_run()))
    names = ["portfolio", *data["pairs"]]
    assert [names[int(n)] for n in column(data["ledgers"], "ledger")[0]] == [
        "portfolio", "BTCUSD", "EURUSD",
    ]  # fmt: skip
    # ln 1.05, all of it by prices: the made ledger booked no fee, and its orders had no slippage
    for name in ("change", "price"):
        assert column(data["ledgers"], name)[0][0] == pytest.approx(np.log(1.05))
    for name in ("spread", "carry", "slippage"):
        assert column(data["ledgers"], name)[0][0] == pytest.approx(0.0, abs=1e-7)
    assert column(data["ledgers"], "change")[0][1:] == pytest.approx(np.log([1.10, 1.05 / 1.10]))
    assert column(data["parts"], "price")[0] == pytest.approx(np.log([1.02, 0.98, 1.05]), abs=1e-5)
    assert column(data["ledgers"], "drawdown")[0][0] == pytest.approx(0.05)


def _ms(seconds: list[float]) -> list[int]:
    return [round(each * 1_000) for each in seconds]


def test_a_page_of_512_traders_with_20000_positions_stays_under_5_mb() -> None:
    """All that there is of each is more than fits: every budget of the page is used up."""
    rng = np.random.default_rng(8)
    hotkeys = [
        f"5{n:03}" + "".join(rng.choice(list("abcdefghkmnpqrstuvwxyz"), 44)) for n in range(512)
    ]
    days = [DAYS[0] + n * DAY_MS for n in range(120)]
    walks = np.exp(np.cumsum(rng.normal(0, 0.01, (512, 240)), axis=1))
    positions = [
        position(hotkey, f"{n:08x}-{rng.integers(2**62):016x}{rng.integers(2**40):010x}")
        for hotkey in hotkeys
        for n in range(40)
    ]
    orders = np.zeros(2 * len(positions), ORDER)
    after = np.zeros(len(orders), ORDER_STATE)
    orders["time_ms"] = DAYS[0] + rng.integers(0, 100 * DAY_MS, len(orders))
    after["held"] = np.tile([0.5, 0.0], len(positions))
    run = network_run(
        ledgers={
            hotkey: {
                PORTFOLIO: ledger(walk.tolist()),
                **{pair: ledger(walk[:2].tolist()) for pair in ("BTCUSD", "EURUSD", "ETHUSD")},
            }
            for hotkey, walk in zip(hotkeys, walks, strict=True)
        },
        positions=positions,
        orders=OrderLog(
            np.repeat(np.arange(len(positions)), 2),
            orders,
            after,
            rng.uniform(1, 1e5, len(orders)),
            np.full(len(orders), -1e-5),
        ),
        events=[replace(event, miner_hotkey=h) for event in EVENTS[:6] for h in hotkeys],
        eliminations=[replace(ELIMINATIONS[0], miner_hotkey=h) for h in hotkeys[:256]],
        scores=[scores(day, tuple(hotkeys)) for day in days],
        order_findings=[replace(FINDINGS[0], miner_hotkey=h) for h in hotkeys for _ in range(9)],
        prices={
            pair: PriceOutline(days[0] + np.arange(1_500) * HOUR_MS, *rng.uniform(1, 2, (3, 1_500)))
            for pair in ("BTCUSD", "EURUSD", "ETHUSD", *"ABCDEFGHIJ")
        },
        end_ms=days[-1],
    )
    text = render_report(run)
    assert len(text.encode()) < 5_000_000
    data = page_data(text)
    assert 7_000 < sum(data["positions"]["counts"]) <= 8_000
    assert 15_000 < sum(data["orders"]["counts"]) <= 20_000
