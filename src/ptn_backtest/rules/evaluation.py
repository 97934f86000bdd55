"""One evaluation of the network's rules: (state, traders, rulebook, time) -> (state, events).

    enter -> plagiarism -> inspect -> score and rank -> promote, demote -> eliminate

Pure: no clock, no prices, no files. `docs/rules.md` tells the rules in words.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ptn_backtest.rulebook import Rulebook
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.challenge import (
    UNDER_INSPECTION,
    Failure,
    drawdown_failure,
    fallen_to_limit,
    inspect,
    ranks_of,
)
from ptn_backtest.rules.events import Elimination, EliminationReason, Event, EventKind
from ptn_backtest.rules.member import NetworkMember
from ptn_backtest.rules.plagiarism import apply_plagiarism, overdue_plagiarists
from ptn_backtest.rules.records import Records
from ptn_backtest.rules.round import Round
from ptn_backtest.rules.scoring import (
    IN_NETWORK,
    Scores,
    minimum_days_of,
    rank_together,
)
from ptn_backtest.rules.standing import NetworkState, Standing
from ptn_backtest.sources.plagiarism import PlagiarismEvent

_CHALLENGE_FAILURES = (
    EliminationReason.FAILED_CHALLENGE_PERIOD_TIME,
    EliminationReason.FAILED_CHALLENGE_PERIOD_DRAWDOWN,
)
_LIQUIDATED_PERCENT = 0.0
"""What the network records as the drawdown of a liquidation."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation gave.

    Attributes:
        state: where everybody stands now.
        events: what changed, in the order in which it did.
        eliminations: who left, in that order; the breach of a drawdown is still to be told, and open
            positions to be closed.
        competition: scores of those who compete for the ranks; None where the step was left out.
        scores: of everybody who is in the network now and has a ledger, where they were asked for.
    """

    state: NetworkState
    events: tuple[Event, ...]
    eliminations: tuple[Elimination, ...]
    competition: Scores | None = None
    scores: Scores | None = None


def evaluate(
    state: NetworkState,
    members: Mapping[str, NetworkMember],
    records: Records,
    t_ms: int,
    rulebook: Rulebook,
    *,
    plagiarism: Sequence[PlagiarismEvent] = (),
    run_challenge: bool = True,
    run_elimination: bool = True,
    run_scoring: bool = False,
) -> Evaluation:
    """Apply the rules once.

    Args:
        state: after the evaluation before; unchanged.
        members: {hotkey: what is known of it at t}; those who have left may be among them.
        records: of the members with a ledger, as updated to t.
        t_ms: the evaluation's time.
        rulebook: every rule.
        plagiarism: events since the evaluation before, up to t, in time order.
        run_challenge: otherwise everybody is in MAINCOMP from its first order on.
        run_elimination: otherwise nobody leaves; who would have is marked once.
        run_scoring: score everybody, after all.
    """
    present = {h: one for h, one in members.items() if h not in state.eliminations}
    known = {h: one for h, one in state.standings.items() if h in present}
    round_ = Round(t_ms, rulebook, present, known, records)
    competition: Scores | None = None
    failures: dict[str, Failure] = {}
    if run_challenge:
        _enter_challenge(round_)
        apply_plagiarism(round_, plagiarism)
        competition, failures = _inspect_and_rank(round_)
        failures |= overdue_plagiarists(round_)
    else:
        _enter_maincomp(round_)
    if run_challenge or run_elimination:
        failures = _with_lost_portfolios(round_, failures)
    eliminations: tuple[Elimination, ...] = ()
    if run_elimination:
        eliminations = tuple(_eliminate(round_, h, one) for h, one in failures.items())
    else:
        _mark(round_, failures)
    gone = {one.miner_hotkey: one for one in eliminations}
    return Evaluation(
        state=NetworkState(t_ms, round_.standings, {**state.eliminations, **gone}),
        events=tuple(round_.events),
        eliminations=eliminations,
        competition=competition,
        scores=_score_together(round_, round_.standings) if run_scoring else None,
    )


def _enter_challenge(round_: Round) -> None:
    """Who is new enters CHALLENGE as of its first order.

    Before that it is there already, as of the first evaluation, so that there is somebody to inspect;
    this is no event.
    """
    for hotkey, member in round_.members.items():
        standing = round_.standings.get(hotkey)
        first_ms = member.first_order_ms
        if first_ms is None:
            round_.standings.setdefault(hotkey, Standing(Bucket.CHALLENGE, round_.t_ms))
        elif standing is None or (
            standing.bucket is Bucket.CHALLENGE and standing.since_ms != first_ms
        ):
            round_.standings.pop(hotkey, None)
            mark = standing.failed if standing else None
            entered = Standing(Bucket.CHALLENGE, first_ms, failed=mark)
            figures = {"first_order_ms": first_ms}
            round_.move(hotkey, entered, EventKind.ENTERED, "first order", figures)


def _enter_maincomp(round_: Round) -> None:
    """Without challenge rules: everybody whose first order is known."""
    for hotkey, member in round_.members.items():
        if hotkey not in round_.standings and member.first_order_ms is not None:
            standing = Standing(Bucket.MAINCOMP, round_.t_ms)
            round_.move(hotkey, standing, EventKind.ENTERED, "first order")


def _inspect_and_rank(round_: Round) -> tuple[Scores | None, dict[str, Failure]]:
    """Who failed, and the scores of those who compete; promotes and demotes.

    Where nobody is in CHALLENGE or PROBATION, nobody is scored, and nobody demoted.
    """
    under_inspection = round_.in_buckets(*UNDER_INSPECTION)
    if not under_inspection:
        return None, {}
    # of others it is not known when they registered: their time begins with their first order
    inspected = {
        hotkey: round_.standings[hotkey]
        for hotkey in under_inspection
        if round_.members[hotkey].first_order_ms is not None
    }
    found = inspect(inspected, round_.members, round_.records, round_.t_ms, round_.rulebook)
    competing = [*round_.in_buckets(Bucket.MAINCOMP), *found.candidates]
    competition = _score_together(round_, competing)
    _promote_and_demote(round_, competition, competing)
    return competition, dict(found.failures)


def _score_together(round_: Round, hotkeys: Iterable[str]) -> Scores:
    """Scores of some traders; how many days are asked for is decided by who is where now."""
    judgement, rules = round_.judged(), round_.rulebook.scoring
    judged = judgement.records.places
    together = [hotkey for hotkey in hotkeys if hotkey in judged]
    min_days = minimum_days_of(judgement.records.of(round_.in_buckets(*IN_NETWORK)), rules)
    return rank_together(judgement, together, min_days, round_.t_ms, rules)


def _promote_and_demote(round_: Round, scores: Scores, hotkeys: Collection[str]) -> None:
    ranks = ranks_of(scores, round_.rulebook.challenge.ranks)
    best = ranks.among_the_best()
    for hotkey in hotkeys:
        is_in, was_in = hotkey in best, _bucket(round_, hotkey) is Bucket.MAINCOMP
        if is_in is was_in or round_.members[hotkey].liquidation:
            continue  # who is liquidated is about to leave
        rank = ranks.best(hotkey)
        figures = rank.figures if rank else {}
        if is_in:
            standing = Standing(Bucket.MAINCOMP, round_.t_ms)
            round_.move(hotkey, standing, EventKind.PROMOTED, "rank", figures)
        else:
            standing = Standing(Bucket.PROBATION, round_.t_ms)
            reason = "rank" if rank else "not scored"
            round_.move(hotkey, standing, EventKind.DEMOTED, reason, figures)


def _with_lost_portfolios(round_: Round, failures: Mapping[str, Failure]) -> dict[str, Failure]:
    """All failures, in the order in which they are recorded: a trader leaves for the first of these.

    Liquidations by their ticks, then challenge and plagiarism, then the drawdown of those who are in
    MAINCOMP now.
    """
    ends = sorted(
        (lost.time_ms, hotkey, lost.peak)
        for hotkey in round_.standings
        if (lost := round_.members[hotkey].liquidation)
    )
    found = {
        hotkey: Failure(
            EliminationReason.LIQUIDATED,
            _LIQUIDATED_PERCENT,
            {"tick_ms": tick_ms, "peak": peak},
        )
        for tick_ms, hotkey, peak in ends
    }
    found |= {hotkey: failure for hotkey, failure in failures.items() if hotkey not in found}
    fallen = fallen_to_limit(round_.records, round_.rulebook)
    for hotkey in round_.in_buckets(Bucket.MAINCOMP):
        if hotkey in fallen and hotkey not in found:
            reason = EliminationReason.MAX_TOTAL_DRAWDOWN
            found[hotkey] = drawdown_failure(fallen[hotkey], reason, round_.rulebook)
    return found


def _eliminate(round_: Round, hotkey: str, failure: Failure) -> Elimination:
    """Take a trader out of the network, and what is slashed off its collateral."""
    member, bucket = round_.members[hotkey], _bucket(round_, hotkey)
    del round_.standings[hotkey]
    lost = member.liquidation if failure.reason is EliminationReason.LIQUIDATED else None
    at_ms = lost.time_ms if lost else round_.t_ms
    round_.events.append(
        Event(at_ms, hotkey, EventKind.ELIMINATED, bucket, None, failure.reason, failure.figures)
    )
    _slash(round_, hotkey, failure.reason, at_ms)
    return Elimination(
        miner_hotkey=hotkey,
        time_ms=at_ms,
        drawdown_percent=failure.drawdown_percent,
        reason=failure.reason,
        bucket=bucket,
        breach=lost,
    )


def _slash(round_: Round, hotkey: str, reason: EliminationReason, at_ms: int) -> None:
    rules = round_.rulebook.eliminations
    if reason is EliminationReason.PLAGIARISM:
        return
    fraction = rules.challenge_slash if reason in _CHALLENGE_FAILURES else rules.drawdown_slash
    theta = round_.members[hotkey].collateral_theta
    figures = {
        "fraction": fraction,
        "collateral_theta": theta,
        "slashed_theta": None if theta is None else fraction * theta,
    }
    round_.events.append(
        Event(at_ms, hotkey, EventKind.COLLATERAL_SLASHED, None, None, reason, figures)
    )


def _mark(round_: Round, failures: Mapping[str, Failure]) -> None:
    """Say once who would have been eliminated."""
    for hotkey, failure in failures.items():
        standing = round_.standings[hotkey]
        if standing.failed is None:
            marked = replace(standing, failed=failure.reason)
            round_.move(hotkey, marked, EventKind.FAILED, failure.reason, failure.figures)


def _bucket(round_: Round, hotkey: str) -> Bucket:
    return round_.standings[hotkey].bucket
