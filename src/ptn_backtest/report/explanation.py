"""A trader's story in plain sentences; every one is made of figures of `results.explaining`."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from ptn_backtest.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, format_date, format_time
from ptn_backtest.ledger.breach import HeldAtBreach
from ptn_backtest.report import wording
from ptn_backtest.results.drawdown_parts import DrawdownParts
from ptn_backtest.results.explaining import End, Explanation
from ptn_backtest.results.situation import RankFigures, Situation
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import EliminationReason, Event, EventKind

Story: TypeAlias = list[tuple[str, list[str]]]
"""[(heading, sentences), ...]."""

_ROUNDING = 1e-9


def story(told: Explanation) -> Story:
    """The sentences, in groups."""
    parts = [
        ("Standing", list(_standing(told))),
        ("Record", list(_record(told))),
        ("Drawdown", list(_drawdown(told.drawdown)) if told.drawdown else []),
        ("The end", list(_end(told.end)) if told.end else []),
        ("Distance to the limits", list(_distances(told.situation)) if told.situation else []),
    ]
    return [(heading, sentences) for heading, sentences in parts if sentences]


def print_story(told: Explanation, console: Console) -> None:
    """Print the story; what comes from the run is plain text, never markup."""
    if told.synthetic:
        notice = Text(f" {wording.SYNTHETIC.upper()} ", style="bold black on yellow")
        console.print(notice.append(f" {wording.SYNTHETIC_NOTICE}", style="not bold"))
    period = f"{format_date(told.start_ms)} to {format_date(told.end_ms)}"
    console.print(Text(told.miner_hotkey, style="bold"), soft_wrap=True)
    console.print(Text(f"{period}, rulebook {told.rulebook}", style="dim"))
    for heading, sentences in story(told):
        console.print()
        console.print(Text(heading, style="bold"))
        for sentence in sentences:
            console.print(Padding(Text(sentence), (0, 0, 0, 2)))


def duration(ms: int) -> str:
    """A span of time by its two largest units: 6 days 18 hours."""
    # a record stands 1 ms after its candle: to the second, the span is that of the candle
    rest, parts = max(round(ms / SECOND_MS), 0) * SECOND_MS, []
    for unit, length in (
        ("day", DAY_MS),
        ("hour", HOUR_MS),
        ("minute", MINUTE_MS),
        ("second", SECOND_MS),
    ):
        number, rest = divmod(rest, length)
        if number:
            parts.append(wording.count(number, unit))
        elif parts:
            break
    return " ".join(parts[:2]) or "less than a second"


def why_left(event: Event) -> str:
    """Why an event says that a trader failed: "a drawdown of 10.94% reached the limit of 10%"."""
    figures = event.figures
    if event.reason == EliminationReason.FAILED_CHALLENGE_PERIOD_TIME:
        return f"its time to be promoted ended on {_time(figures.get('ended_ms'))}"
    if event.reason == EliminationReason.LIQUIDATED:
        return "its portfolio reached 0"
    if event.reason == EliminationReason.PLAGIARISM:
        return "it was flagged as a plagiarist and not cleared in time"
    drawdown, limit = figures.get("drawdown_percent"), figures.get("limit_percent")
    return f"a drawdown of {drawdown}% reached the limit of {_plain(limit)}%"


def rank_in_words(event: Event) -> str:
    """The rank that decided: "rank 3 of 12 in crypto, score 0.41, threshold 0.2"."""
    figures = event.figures
    if "rank" not in figures:
        return "it was not scored"
    if figures["score"] == 0:
        return "a score of 0 in every class"
    return (
        f"rank {figures['rank']} of {figures['scored_traders']} in {figures['asset_class']}, score "
        f"{_score(figures['score'])}, {_threshold(figures['threshold_score'])}"
    )


# ---- standing and record


def _standing(told: Explanation) -> Iterator[str]:
    if told.failure:
        yield f"The run set this trader aside as a whole: {told.failure}"
    if not told.with_rules:
        yield "The run applied no rules (--run-challenge, --run-elimination), so nobody moves."
        return
    if not told.moves:
        yield "It never entered the network: no evaluation came after its first order."
    for event in told.moves:
        yield _moved(event)
    now = told.situation
    if now and now.bucket and now.since_ms is not None:
        yield (
            f"At the end of the run, {format_time(told.end_ms)}, it stands in {now.bucket}, where "
            f"its time counts from {format_time(now.since_ms)}."
        )


def _moved(event: Event) -> str:
    at = f"At the evaluation of {format_time(event.time_ms)}"
    if event.reason == EliminationReason.LIQUIDATED and event.kind is EventKind.ELIMINATED:
        at = f"At the tick of {format_time(event.time_ms)}"
    return f"{at} it {_did(event)}."


def _did(event: Event) -> str:
    first_ms = event.figures.get("first_order_ms")
    since = f", as of its first order on {_time(first_ms)}" if first_ms is not None else ""
    said = {
        EventKind.ENTERED: lambda: f"entered {event.to_bucket}{since}",
        EventKind.PROMOTED: lambda: (
            f"was promoted from {event.from_bucket} to {event.to_bucket}: {rank_in_words(event)}"
        ),
        EventKind.DEMOTED: lambda: f"was demoted to {event.to_bucket}: {rank_in_words(event)}",
        EventKind.PLAGIARISM_FLAGGED: lambda: (
            f"was flagged as a plagiarist and went from {event.from_bucket} to {event.to_bucket}"
        ),
        EventKind.PLAGIARISM_CLEARED: lambda: (
            f"was cleared of plagiarism and went back to {event.to_bucket}"
        ),
        EventKind.FAILED: lambda: f"failed, but the run eliminates nobody: {why_left(event)}",
        EventKind.ELIMINATED: lambda: f"was eliminated from {event.from_bucket}: {why_left(event)}",
    }
    return said[event.kind]()


def _record(told: Explanation) -> Iterator[str]:
    held = wording.count(told.n_positions, "position")
    orders = wording.count(told.n_orders, "order")
    still = f"{told.n_open:,} of them open at the end" if told.n_open else "all closed at the end"
    if not told.n_positions:
        yield "It has no positions."
        return
    yield f"It traded {held} with {orders}, {still}."
    figures = told.portfolio
    if figures is None:
        yield "It has no ledger."
        return
    since = f" since {format_date(figures.start_ms)}" if figures.truncated else ""
    yield (
        f"At its last record, {format_time(figures.end_ms)}, the portfolio was worth "
        f"{figures.value:.4f} ({wording.signed_percent(figures.total_return)} since its first order); "
        f"PnL{since} {wording.usd(figures.pnl_usd)} USD."
    )
    yield (
        f"Of the value, spread fees took {wording.percent(figures.spread_fee)} and carry fees "
        f"{wording.percent(figures.carry_fee)}."
    )


# ---- drawdown and end


def _drawdown(fall: DrawdownParts) -> Iterator[str]:
    exact = fall.low_from_ms == fall.low_to_ms
    yield (
        f"The portfolio {_peaked(fall)} and fell to {fall.low:.4f} "
        f"{_when(fall.low_from_ms, fall.low_to_ms)}, {fall.drawdown_percent:.2f}% below"
        f"{': there it reached the limit' if exact else ', its deepest drawdown'}."
    )
    if fall.from_ms is None or fall.to_ms is None or fall.from_value is None:
        yield "Its pairs' values at the peak are not in the ledgers, so the fall has no parts."
        return
    lost = "; ".join(_part(part.trade_pair_id, part.change, part.share) for part in fall.pairs)
    if lost:
        yield (
            f"From {format_time(fall.from_ms)}, the record nearest to the peak (value "
            f"{fall.from_value:.4f}), to {format_time(fall.to_ms)} (value {fall.to_value:.4f}): "
            f"{lost}."
        )
    else:
        yield "The run built no pair ledgers, so the fall is not known by pair."
    if fall.before_parts is not None and abs(fall.before_parts) > _ROUNDING:
        yield (
            f"Between the peak and that record the portfolio moved by "
            f"{wording.signed_percent(fall.before_parts)}, which is not known by pair."
        )
    if fall.to_value is not None and abs(fall.low / fall.to_value - 1) > _ROUNDING:
        yield (
            f"The low itself was {wording.signed_percent(fall.low / fall.to_value - 1)} from that "
            "last record, within its 12 hours."
        )
    if fall.unexplained is not None and abs(fall.unexplained) > _ROUNDING:
        yield f"The pairs' product leaves {wording.signed_percent(fall.unexplained)} unexplained."
    if fall.fees_to_ms is not None and fall.spread_fee is not None and fall.carry_fee is not None:
        yield (
            f"Part of this are fees, up to {format_time(fall.fees_to_ms)}: carry "
            f"{wording.percent(fall.carry_fee)}, spread {wording.percent(fall.spread_fee)} of the "
            "value."
        )


def _peaked(fall: DrawdownParts) -> str:
    if fall.peak_from_ms is None or fall.peak_to_ms is None:
        return f"had peaked at {fall.peak:.4f} before the ledger's window"
    if fall.peak_from_ms == fall.peak_to_ms:
        return f"began at {fall.peak:.4f} on {format_time(fall.peak_from_ms)}"
    return f"peaked at {fall.peak:.4f} {_when(fall.peak_from_ms, fall.peak_to_ms)}"


def _part(pair: str, change: float, share: float) -> str:
    of_it = f" ({100 * share:.0f}% of the fall)" if change < 0 and 0 < share <= 1 else ""
    verb = "lost" if change < 0 else "gained"
    return f"{pair} {verb} {wording.percent(abs(change))}{of_it}"


def _end(end: End) -> Iterator[str]:
    if end.breach:
        limit = "0" if end.breach.value == 0 else "the limit"
        yield (
            f"It reached {limit} on {format_time(end.breach.time_ms)}, at a value of "
            f"{end.breach.value:.4f} below a peak of {end.breach.peak:.4f}, holding "
            f"{_listed(map(_held, end.breach.positions)) or 'nothing'}."
        )
        if end.noticed_after_ms is not None:
            yield _noticed(end)
    if end.closed:
        closed = _listed(
            f"{one.trade_pair_id} at {_closing_price(one.price, one.candle_ms, one.timespan)} "
            f"with a return of {wording.signed_percent(one.return_at_close - 1)}"
            for one in end.closed
        )
        yield f"The elimination closed {closed}."
    elif end.bucket:
        yield "No position was open to be closed."
    if end.slashed_fraction is not None:
        amount = "" if end.slashed_theta is None else f", {_plain(end.slashed_theta)} theta"
        yield f"It lost {wording.percent(end.slashed_fraction, 0)} of its collateral{amount}."


def _noticed(end: End) -> str:
    passed = ""
    if end.evaluations_passed:
        passed = f", after {wording.count(end.evaluations_passed, 'evaluation')} that let it pass"
        if end.first_closed_ms is not None:
            passed += (
                f": its first closed position that counts is of {format_time(end.first_closed_ms)}, "
                f"and before that a drawdown eliminates nobody in {end.bucket}"
            )
        elif end.demoted_ms is not None:
            passed += (
                f": on {format_time(end.demoted_ms)} it was demoted, between the look at those in "
                "PROBATION and that at those in MAINCOMP"
            )
    by_then = ""
    if end.drawdown_percent > 0:
        by_then = f" By then the deepest drawdown was {end.drawdown_percent}%."
    return (
        f"The evaluation of {format_time(end.noticed_ms)} noticed it "
        f"{duration(end.noticed_after_ms or 0)} later{passed}.{by_then}"
    )


def _held(held: HeldAtBreach) -> str:
    side = "long" if held.leverage > 0 else "short"
    return (
        f"{held.trade_pair_id} {side} {_plain(abs(held.leverage))} at {_plain(held.price)} "
        f"({wording.signed_percent(held.return_at_close - 1)})"
    )


def _closing_price(price: float | None, candle_ms: int | None, timespan: str | None) -> str:
    if price is None or candle_ms is None:
        return "no known price"
    return f"{_plain(price)} ({timespan} candle of {format_time(candle_ms)})"


# ---- distances


def _distances(now: Situation) -> Iterator[str]:
    size = f"an account of {now.account_size:,.0f} USD"
    yield (
        f"It is {now.drawdown_percent:.2f}% below its peak of {now.peak:.4f}; the deepest drawdown "
        f"was {now.worst_drawdown_percent:.2f}%, the limit is {_plain(now.limit_percent)}%."
    )
    if now.worst_drawdown_percent >= now.limit_percent:
        yield "So the limit has been reached already."
    elif now.points_to_limit > 0:
        yield (
            f"{now.points_to_limit:.2f} percentage points are left: the value may fall by "
            f"{now.fall_to_limit_percent:.2f}%, {now.usd_to_limit:,.0f} USD of {size}."
        )
    if now.bucket in (Bucket.CHALLENGE, Bucket.PROBATION):
        yield from _until_promotion(now)
    if now.rank and now.bucket in (Bucket.CHALLENGE, Bucket.PROBATION, Bucket.MAINCOMP):
        yield _ranked(now.rank)


def _until_promotion(now: Situation) -> Iterator[str]:
    if now.period_end_ms is not None and now.days_left is not None:
        days = f"{now.days_left:.1f} days left" if now.days_left >= 0 else "over"
        yield f"Its time in {now.bucket} ends on {format_time(now.period_end_ms)}: {days}."
    missing = now.full_days_needed - now.full_days
    days = (
        f"{wording.count(missing, 'full day')} of {now.full_days_needed} missing"
        if missing > 0
        else f"it has {now.full_days} full days of {now.full_days_needed}"
    )
    closed = (
        "it has a closed position that counts"
        if now.has_closed_position
        else f"no position of {now.position_seconds_needed} s or more has been closed, and before "
        "that a drawdown eliminates nobody"
    )
    yield f"Towards promotion: {days}; {closed}."


def _ranked(rank: RankFigures) -> str:
    among = "those who compete" if rank.scored_with == "competition" else "all traders"
    distance = rank.score - rank.threshold
    if rank.score <= 0:
        return f"Scored with {among} on {format_time(rank.time_ms)} it has 0 in every class."
    if rank.threshold <= 0:
        verdict = f"fewer than {rank.ranks} are scored, so any score above 0 is in"
    elif distance == 0:
        verdict = "exactly the threshold, which is in"
    else:
        side = "above" if distance > 0 else "below"
        verdict = f"{_score(abs(distance))} {side} the threshold of {_score(rank.threshold)}"
    without = "" if rank.class_days else ", where it has no day of its own"
    return (
        f"Scored with {among} on {format_time(rank.time_ms)} it is {rank.rank} of "
        f"{rank.scored_traders} in {rank.asset_class}{without}, score {_score(rank.score)}: {verdict}."
    )


# ---- words


def _threshold(threshold: float | str | None) -> str:
    if not threshold:
        return "where any score above 0 was enough"
    return f"threshold {_score(threshold)}"


def _when(from_ms: int, to_ms: int) -> str:
    if from_ms == to_ms:
        return f"on {format_time(to_ms)}"
    return f"between {format_time(from_ms)} and {format_time(to_ms)}"


def _time(ms: float | str | None) -> str:
    return format_time(int(ms)) if isinstance(ms, int | float) else "an unknown day"


def _plain(number: float | str | None) -> str:
    return f"{number:.10g}" if isinstance(number, int | float) else str(number)


def _score(number: float | str | None) -> str:
    return f"{number:.4g}" if isinstance(number, int | float) else str(number)


def _listed(items: Iterable[str]) -> str:
    *others, last = [*items] or [""]
    return f"{', '.join(others)} and {last}" if others else last
