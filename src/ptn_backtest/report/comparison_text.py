"""A comparison of two runs in the terminal: one screen first, everything where that is asked for."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TypeAlias

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ptn_backtest.clock import format_date, format_time
from ptn_backtest.report import comparison_words as words
from ptn_backtest.report import wording
from ptn_backtest.results.compared_positions import ComparedPosition
from ptn_backtest.results.compared_scores import RankMove
from ptn_backtest.results.comparison import RunComparison, Side

FEW = 5
"""Lines of each section, unless everything is asked for."""
_LONG = 60
"""A setting's value that is longer, such as a fingerprint, is shown only where all is asked for."""

Number: TypeAlias = float | int | None


def print_comparison(found: RunComparison, console: Console, *, everything: bool = False) -> None:
    """Print what differs; what comes from runs is plain text, never markup.

    Args:
        found: the comparison.
        console: where to.
        everything: every line, with the fields of positions and classes; a screen of it otherwise.
    """
    if found.a.synthetic or found.b.synthetic:
        notice = Text(f" {wording.SYNTHETIC.upper()} ", style="bold black on yellow")
        console.print(notice.append(f" {wording.SYNTHETIC_NOTICE}", style="not bold"))
    for letter, side in (("a", found.a), ("b", found.b)):
        console.print(Text.assemble((letter, "bold"), f"  {_side(side)}"), soft_wrap=True)
    console.print(Text(words.verdict(found), style="bold green" if found.equal else "bold red"))
    for line in words.limits(found):
        console.print(Text(f"  {line}", style="yellow"))
    most = None if everything else FEW
    names = words.short_names(found)
    _print_settings(found, console, most)
    _print_fates(found, console, names, most)
    _print_ledgers(found, console, names, most)
    _print_positions(found, console, names, most, fields=everything)
    _print_scores(found, console, names, most, classes=everything)


def _side(side: Side) -> str:
    period = f"{format_date(side.start_ms)} to {format_date(side.end_ms)}"
    return (
        f"{side.name}: {period}, {wording.count(side.updates, 'update')}, "
        f"{wording.count(side.traders, 'trader')}, rulebook {side.rulebook}"
    )


def _print_settings(found: RunComparison, console: Console, most: int | None) -> None:
    for title, differences in (
        ("Rules", found.rulebook),
        ("What if", found.what_if),
        ("Settings", found.settings),
        ("Inputs, versions and counts", found.inputs),
    ):
        if not differences:
            continue
        _head(console, f"{title}: {wording.count(len(differences), 'difference')}")
        for one in islice(differences, most):
            value = f"{words.setting_value(one.a)} → {words.setting_value(one.b)}"
            if len(value) > _LONG and most is not None:
                value = "another (-v shows it)"
            _line(console, f"{one.key}: {value}")
        _more(console, len(differences), most)


def _print_fates(
    found: RunComparison, console: Console, names: Mapping[str, str], most: int | None
) -> None:
    fates = found.fates
    if not fates.differences:
        _head(console, f"Fates: the same for {wording.count(fates.compared, 'trader')}")
        return
    _head(console, f"Fates: {_differ(len(fates.differences), fates.compared, 'trader')}")
    for one in islice(fates.differences, most):
        _line(console, f"{names[one.miner_hotkey]}  they part at {format_time(one.parted_ms)}")
        short = most is not None
        _line(console, f"a  {words.what_happened(one, one.a, short=short)}", 4)
        _line(console, f"b  {words.what_happened(one, one.b, short=short)}", 4)
        differ, same = words.because(one.figures)
        told = [f"because: {differ}"] if differ else []
        told += [f"the same: {same}"] if same and not short else []
        if told:
            _line(console, "; ".join(told), 7, "dim")
    _more(console, len(fates.differences), most)


def _print_ledgers(
    found: RunComparison, console: Console, names: Mapping[str, str], most: int | None
) -> None:
    ledgers = found.ledgers
    if not ledgers.differences:
        total = wording.count(ledgers.compared, "ledger")
        _head(console, f"Ledgers: {total}, all the same")
        return
    _head(console, f"Ledgers: {_differ(len(ledgers.differences), ledgers.compared, 'ledger')}")
    table = _table("Trader", "Ledger", "First on", "Final value", "Max drawdown")
    for one in islice(ledgers.differences, most):
        first = one.first
        table.add_row(
            Text(names[one.miner_hotkey]),
            Text(one.ledger),
            Text(format_date(first.checkpoint_ms) if first else f"only in {one.only_in}"),
            Text("" if one.only_in else _pair(one.final_value_a, one.final_value_b, _number)),
            Text("" if one.only_in else _pair(one.max_drawdown_a, one.max_drawdown_b, _percent)),
        )
    console.print(table)
    _more(console, len(ledgers.differences), most)
    if most is None:
        for one in ledgers.differences:
            _line(console, f"{names[one.miner_hotkey]} {one.ledger}: {words.ledger_in_words(one)}")


def _print_positions(
    found: RunComparison,
    console: Console,
    names: Mapping[str, str],
    most: int | None,
    *,
    fields: bool,
) -> None:
    positions = found.positions
    n_different = len(positions.differences)
    if not (n_different or positions.only_a or positions.only_b):
        same = wording.count(positions.compared, "position")
        _head(console, f"Positions: {same}, all the same")
        return
    _head(
        console,
        f"Positions: {_differ(n_different, positions.compared, 'position')}; only in a "
        f"{len(positions.only_a):,}, only in b {len(positions.only_b):,}",
    )
    for one in islice(positions.differences, most):
        returns = " → ".join(
            wording.signed_percent(value - 1) for value in (one.return_a, one.return_b)
        )
        _line(console, f"{_position(one.position, names, fields)}: return {returns}")
        for each in one.fields if fields else ():
            value = " → ".join(words.figure_value(each.field, one) for one in (each.a, each.b))
            _line(console, f"{each.field}: {value}", 6, "dim")
    _more(console, n_different, most)
    for side, only in (("a", positions.only_a), ("b", positions.only_b)):
        for lonely in islice(only, most):
            _line(console, f"only in {side}: {_position(lonely, names, fields)}")
        _more(console, len(only), most)


def _position(one: ComparedPosition, names: Mapping[str, str], key: bool) -> str:
    opened = format_time(one.open_ms)[:16]
    text = f"{names[one.miner_hotkey]} {one.trade_pair_id} of {opened}"
    return f"{text}, {one.position_uuid}" if key else text


def _print_scores(
    found: RunComparison,
    console: Console,
    names: Mapping[str, str],
    most: int | None,
    *,
    classes: bool,
) -> None:
    scores = found.scores
    if scores.time_ms is None:
        _head(console, "Scores: no evaluation scored in both (--run-scoring)")
        return
    at = format_time(scores.time_ms)
    if not scores.moves:
        before = scores.first_difference_ms
        earlier = f"; they differ on {format_time(before)}" if before is not None else ""
        _head(console, f"Scores at {at}: the same{earlier}")
        return
    first = format_time(scores.first_difference_ms or scores.time_ms)
    _head(console, f"Scores at {at}")
    _line(console, f"{wording.count(len(scores.moves), 'trader')} with others; first on {first}")
    table = _table("Trader", "Rank", "Weight", "Class", "Rank", "Score")
    for one in islice(scores.moves, most):
        for cells in _score_rows(one, all_classes=classes):
            table.add_row(*(Text(cell) for cell in (names[one.miner_hotkey], *cells)))
    console.print(table)
    _more(console, len(scores.moves), most)


def _score_rows(one: RankMove, *, all_classes: bool) -> Iterable[tuple[str, ...]]:
    head = _pair(one.rank_a, one.rank_b, _count), _pair(one.weight_a, one.weight_b, _number)
    if not one.classes:
        yield (*head, "", "", "")
    for each in one.classes if all_classes else one.classes[:1]:
        ranks = _pair(each.rank_a, each.rank_b, _count)
        yield (*head, each.asset_class, ranks, _pair(each.score_a, each.score_b, _number))


def _differ(number: int, total: int, what: str) -> str:
    verb = "differs" if number == 1 else "differ"
    return f"{number:,} of {wording.count(total, what)} {verb}"


def _head(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, style="bold"))


def _line(console: Console, text: str, indent: int = 2, style: str = "") -> None:
    console.print(Padding(Text(text, style=style), (0, 0, 0, indent)))


def _more(console: Console, total: int, most: int | None) -> None:
    if most is not None and total > most:
        _line(console, f"and {total - most:,} more (-v or --json shows all)", 2, "dim")


def _table(*titles: str) -> Table:
    table = Table(box=None, padding=(0, 0, 0, 2), header_style="dim")
    for title in titles:
        table.add_column(title, no_wrap=True)
    return table


def _pair(a: Number, b: Number, shown: Callable[[Number], str]) -> str:
    """Both sides, or one where they look the same."""
    left, right = shown(a), shown(b)
    return left if left == right else f"{left} → {right}"


def _number(value: Number) -> str:
    return "none" if value is None else f"{value:.4f}"


def _percent(value: Number) -> str:
    return "none" if value is None else wording.percent(value)


def _count(value: Number) -> str:
    return "none" if value is None else f"{value:,}"
