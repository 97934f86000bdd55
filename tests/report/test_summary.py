import io

from rich.console import Console

from ptn_backtest.backtest.result import RunResult
from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.report import wording
from ptn_backtest.report.summary import MOST_TRADERS, print_summary
from tests.results.made_networks import FINDINGS, network_run
from tests.results.made_runs import ledger, made_run

HOTKEY = "5HDmzyhrEco9w6Jv8eE3hDMcXSE4AGg1MuezPR4u2covxKwZ"


def printed(result: RunResult) -> str:
    file = io.StringIO()
    print_summary(result, Console(file=file, width=80))
    return file.getvalue()


def test_a_line_per_trader_with_totals() -> None:
    lines = printed(made_run()).splitlines()
    up, down, zero = (
        next(line for line in lines if name in line) for name in ("5Up", "5Do", "5Ze")
    )
    assert [cell.strip() for cell in up.split("│")[1:-1]] == [
        "1", "5Up", "+5.00%", "5.00%", "0.10%", "+261", "2", "3",
    ]  # fmt: skip
    assert "-4.00%" in down
    assert "liquidated" in zero
    assert "+40.00%" not in zero
    total = next(line for line in lines if "3 traders" in line)
    assert [cell.strip() for cell in total.split("│")[-3:-1]] == ["3", "8"]


def test_it_fits_80_columns_and_shortens_hotkeys_in_the_middle() -> None:
    led = ledger([1234.5, 0.001])
    text = printed(made_run(ledgers={HOTKEY: {PORTFOLIO: led}}, liquidations=[]))
    assert "5HDmzy…ovxKwZ" in text
    assert max(map(len, text.splitlines())) <= 80
    row = next(line for line in text.splitlines() if "5HDmzy" in line)
    assert "-99.90%" in row


def test_what_went_wrong_is_printed() -> None:
    text = printed(made_run())
    assert "Set aside 1 position: 1 invalid price" in text
    assert "Failed 5Broken: ETHUSD has no candles at 2025-01-15" in text
    assert "Warning 2 candles of BTCUSD were missing and held" in text


def test_markup_in_names_is_text() -> None:
    own = {"[red]x[/]": {PORTFOLIO: ledger([1.1])}}
    text = printed(made_run(ledgers=own, warnings=["[bold]careful[/bold] [/x]"], liquidations=[]))
    assert "[red]x[/]" in text
    assert "[bold]careful[/bold] [/x]" in text


def test_nothing_loaded() -> None:
    text = printed(
        made_run(ledgers={}, positions=[], rejections=[], failed_traders={}, liquidations=[])
    )
    assert "The source holds no positions" in text
    assert "  - Check the time range" in text


def test_synthetic_data_is_labelled() -> None:
    assert wording.SYNTHETIC.upper() in printed(made_run(synthetic=True))
    assert wording.SYNTHETIC.upper() not in printed(made_run())


def test_long_lists_are_cut_and_counted() -> None:
    many = {f"5T{n:03d}": {PORTFOLIO: ledger([1 - n / 1000])} for n in range(MOST_TRADERS + 2)}
    text = printed(made_run(ledgers=many, liquidations=[]))
    assert "2 more traders in the report." in text
    assert "5T031" not in text


def test_figures_in_words() -> None:
    assert wording.percent(-0.00001) == "0.00%"
    assert wording.signed_percent(0.00001) == "0.00%"
    assert wording.signed_percent(0.0123) == "+1.23%"
    assert wording.signed_percent(12.3456) == "+1,234.56%"
    assert wording.percent(float("nan")) == "n/a"
    assert (wording.usd(-0.4), wording.usd(1234.5), wording.usd(-1234)) == ("0", "+1,234", "-1,234")
    assert (wording.count(1, "order"), wording.count(2000, "order")) == ("1 order", "2,000 orders")
    assert wording.shorten("5Short") == "5Short"


def test_short_names_tell_traders_apart() -> None:
    assert wording.short_names([HOTKEY, "5Short"]) == {HOTKEY: "5HDmzy…ovxKwZ", "5Short": "5Short"}
    padded = [f"5TestTrader{name}".ljust(48, "x") for name in ("Grid", "Steady", "Swing")]
    short = wording.short_names(padded)
    assert len(set(short.values())) == 3
    assert max(map(len, short.values())) <= 19
    same = [letter.center(48, "x") for letter in "ab"]  # nothing short tells these apart
    assert set(wording.short_names(same).values()) == {"xxxxxx…xxxxxx"}


def test_rules_have_a_column_and_a_block() -> None:
    text = printed(network_run())
    lines = text.splitlines()
    cells = {
        row[1].strip(): row[-1].strip()
        for row in (line.split("│")[1:-1] for line in lines if line.count("│") > 5)
    }
    assert cells["5Up"] == "main"
    assert cells["5Down"] == "probation"
    assert (cells["5Deep"], cells["5Zero"]) == ("out", "out")
    assert "Rules 4 entered, 3 promoted, 2 eliminated, 1 demoted" in text
    assert "Eliminated 1 drawdown, 1 liquidated" in text
    last = lines[lines.index("Last events") + 1 :][:5]
    assert last[-1] == "  2025-01-18  5Down  demoted to PROBATION: rank 26"
    assert last[-2] == "  2025-01-17  5Zero  eliminated from CHALLENGE: value reached 0"
    assert last[-3] == "  2025-01-17  5Deep  eliminated from MAINCOMP: drawdown 10.25%"
    assert max(map(len, lines)) <= 80


def test_a_run_without_rules_says_nothing_of_them() -> None:
    events = network_run().events  # everybody enters in any run
    text = printed(made_run(events=events))
    assert "Bucket" not in text
    assert "Last events" not in text
    assert text == printed(made_run())


def test_rules_that_did_nothing_say_so() -> None:
    text = printed(network_run(events=[], eliminations=[], standings={}))
    assert "Rules nothing happened" in text
    assert "Last events" not in text


def test_order_findings_are_counted() -> None:
    text = printed(made_run(order_findings=FINDINGS))
    assert "Reduced or refused 2 orders that the rules do not take: 1 position leverage" in text
