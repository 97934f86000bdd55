"""What the page shows of one trader under the rules: its story, its buckets, and its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ptn_backtest.backtest.result import RunResult
from ptn_backtest.clock import format_date
from ptn_backtest.prices.lookup import FoundPrice
from ptn_backtest.report import rule_wording
from ptn_backtest.report.charts import SeriesChart
from ptn_backtest.report.score_view import ScoreHistory, score_history
from ptn_backtest.results.bucket_history import Stay, Stays, bucket_stays
from ptn_backtest.results.statistics import TraderSummary
from ptn_backtest.rules.events import Elimination, Event


@dataclass(frozen=True, slots=True)
class BandPart:
    """A stay as a part of the band beside a chart; `left` and `width` in percent."""

    name: str
    left: float
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class ClosedPosition:
    """A position that the elimination closed; without a price, none was found."""

    position_uuid: str
    trade_pair_id: str
    found: FoundPrice | None
    return_at_close: float


@dataclass(frozen=True, slots=True)
class StandingView:
    """One trader under the rules.

    Attributes:
        standing: where it stands at the end, in a word.
        failed: why it would have been eliminated, in words; "" otherwise.
        band: its buckets over the time of its curve.
        events: its story, in time order.
        elimination: its end.
        closed: what was closed then.
        scores: its class scores and its rank over time; None where it was never scored.
    """

    standing: str
    failed: str
    band: Sequence[BandPart]
    events: Sequence[Event]
    elimination: Elimination | None
    closed: Sequence[ClosedPosition]
    scores: tuple[SeriesChart, SeriesChart] | None


@dataclass(frozen=True, slots=True)
class Story:
    """A run's events by trader, gathered once for all traders of the page."""

    result: RunResult
    stays: Stays
    events: Mapping[str, Sequence[Event]]
    eliminations: Mapping[str, Elimination]
    history: ScoreHistory

    def of(
        self, summary: TraderSummary, start_ms: int, end_ms: int, most_points: int
    ) -> StandingView:
        """One trader's part, its band from `start_ms` to `end_ms`."""
        hotkey = summary.miner_hotkey
        elimination = self.eliminations.get(hotkey)
        standing = self.result.standings.get(hotkey)
        return StandingView(
            standing=rule_wording.standing(self.result, hotkey),
            failed=rule_wording.reason(standing.failed) if standing and standing.failed else "",
            band=_band(self.stays.get(hotkey, ()), start_ms, end_ms),
            events=self.events.get(hotkey, ()),
            elimination=elimination,
            closed=_closed(elimination, summary) if elimination else (),
            scores=self.history.charts(hotkey, most_points),
        )


def story(result: RunResult) -> Story:
    """What the rules did, by trader."""
    events: dict[str, list[Event]] = {}
    for event in sorted(result.events, key=lambda event: event.time_ms):
        events.setdefault(event.miner_hotkey, []).append(event)
    return Story(
        result=result,
        stays=bucket_stays(result.events),
        events=events,
        eliminations={one.miner_hotkey: one for one in result.eliminations},
        history=score_history(result),
    )


def _band(stays: Sequence[Stay], start_ms: int, end_ms: int) -> list[BandPart]:
    span = max(end_ms - start_ms, 1)
    ends = [*(stay.from_ms for stay in stays[1:]), end_ms]
    parts = []
    for stay, until_ms in zip(stays, ends, strict=False):
        first, last = max(stay.from_ms, start_ms), min(until_ms, end_ms)
        if stay.bucket is None or first >= last:
            continue
        name = rule_wording.BUCKETS[stay.bucket]
        parts.append(
            BandPart(
                name=name,
                left=round(100 * (first - start_ms) / span, 2),
                width=round(100 * (last - first) / span, 2),
                title=f"{name}, {format_date(first)} to {format_date(last)}",
            )
        )
    return parts


def _closed(elimination: Elimination, summary: TraderSummary) -> list[ClosedPosition]:
    pairs = {
        one.position.position_uuid: one.position.trade_pair.trade_pair_id
        for one in summary.positions
    }
    return [
        ClosedPosition(
            position_uuid=uuid,
            trade_pair_id=(pair := pairs.get(uuid, "")),
            found=elimination.closing_prices.get(pair),
            return_at_close=value,
        )
        for uuid, value in elimination.returns.items()
    ]
