from ptn_backtest.results.bucket_history import Stay, bucket_at, bucket_stays
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import Event, EventKind
from tests.results.made_networks import DAYS, EVENTS, TICK_MS


def test_a_traders_stays_follow_its_events() -> None:
    stays = bucket_stays(EVENTS)
    assert stays["5Down"] == (
        Stay(DAYS[0], Bucket.CHALLENGE),
        Stay(DAYS[1], Bucket.MAINCOMP),
        Stay(DAYS[3], Bucket.PROBATION),
    )
    # closing and slashing move nobody
    assert stays["5Deep"][-1] == Stay(DAYS[2], None)
    assert stays["5Zero"] == (Stay(DAYS[0], Bucket.CHALLENGE), Stay(TICK_MS, None))


def test_where_a_trader_stood() -> None:
    stays = bucket_stays(EVENTS)
    at = [bucket_at(stays, "5Deep", day + offset) for day in DAYS[:3] for offset in (-1, 0)]
    assert at == [None, "CHALLENGE", "CHALLENGE", "MAINCOMP", "MAINCOMP", None]
    assert bucket_at(stays, "5Nobody", DAYS[0]) is None


def test_a_liquidation_ends_what_its_evaluation_began() -> None:
    events = [
        Event(DAYS[0], "5Zero", EventKind.ENTERED, None, Bucket.CHALLENGE),
        Event(DAYS[1], "5Zero", EventKind.PLAGIARISM_FLAGGED, Bucket.CHALLENGE, Bucket.PLAGIARISM),
        Event(DAYS[1] - 5, "5Zero", EventKind.ELIMINATED, Bucket.PLAGIARISM, None, "LIQUIDATED"),
    ]
    assert bucket_stays(events)["5Zero"] == (
        Stay(DAYS[0], Bucket.CHALLENGE),
        Stay(DAYS[1] - 5, None),
    )


def test_a_mark_without_a_move_is_no_stay() -> None:
    events = [
        Event(DAYS[0], "5Up", EventKind.ENTERED, None, Bucket.MAINCOMP),
        Event(DAYS[1], "5Up", EventKind.FAILED, Bucket.MAINCOMP, Bucket.MAINCOMP),
    ]
    assert bucket_stays(events) == {"5Up": (Stay(DAYS[0], Bucket.MAINCOMP),)}
