"""Orders that get bid and ask from candles."""

from dataclasses import replace

from ptn_backtest.positions.position import Position
from ptn_backtest.positions.quotes import with_quotes
from ptn_backtest.prices.quotes import Quote
from tests.positions.made_positions import NOW, position


def quoted(recorded: Position, *quotes: tuple[float, float]) -> Position:
    orders = (
        replace(order, bid=bid, ask=ask)
        for order, (bid, ask) in zip(recorded.orders, quotes, strict=True)
    )
    return replace(recorded, orders=tuple(orders))


def test_every_order_gets_the_quote_of_its_time() -> None:
    def lookup(pair: str, t_ms: int) -> Quote:
        return Quote(1.0 + (t_ms - NOW) / 1_000, 10.0 if pair == "BTCUSD" else 20.0)

    recorded = [
        quoted(position("BTCUSD", 0.1, 0), (0.0, 0.0), (5.0, 6.0)),
        quoted(position("EURUSD", 0.1, 0, uuid="u"), (1.0, 20.0), (2.0, 20.0)),
    ]
    filled, report = with_quotes(recorded, lookup)
    assert [(o.bid, o.ask) for o in filled[0].orders] == [(1.0, 10.0), (2.0, 10.0)]
    assert filled[1] is recorded[1]
    assert (report.n_orders, report.n_filled, report.n_changed) == (4, 4, 2)
    assert report.warnings == ()


def test_what_candles_lack_is_said_per_pair() -> None:
    recorded = [
        quoted(position("BTCUSD", 0.1, 0), (0.0, 0.0), (0.0, 6.0)),
        quoted(position("EURUSD", 0.1, 0.2, 0, uuid="u"), (1.0, 2.0), (0.0, 0.0), (0.0, 0.0)),
    ]

    def lookup(_pair: str, t_ms: int) -> Quote | None:
        return Quote(3.0, 4.0) if t_ms == NOW + 2_000 else None

    filled, report = with_quotes(recorded, lookup)
    assert filled[0] is recorded[0]
    assert [(o.bid, o.ask) for o in filled[1].orders] == [(1.0, 2.0), (0.0, 0.0), (3.0, 4.0)]
    assert report.recorded == {"EURUSD": 1}
    assert report.missing == {"BTCUSD": 2, "EURUSD": 1}
    bitcoin, euro = report.warnings
    assert bitcoin == (
        "BTCUSD: no bid and ask in the candles for 2 of 2 orders; 0 keep the recorded ones, "
        "2 have none; slippage of crypto asks for none"
    )
    assert euro == (
        "EURUSD: no bid and ask in the candles for 2 of 3 orders; 1 keep the recorded ones, "
        "1 have none: bring them ('ptn-backtest candles pull-quotes'), or import candles with the "
        "columns bid and ask"
    )
    assert report.counts == {
        "quotes_filled": 1,
        "quotes_changed": 1,
        "quotes_recorded": 1,
        "quotes_missing": 3,
    }


def test_an_order_without_price_needs_no_quote() -> None:
    def lookup(_pair: str, t_ms: int) -> Quote:
        assert t_ms == NOW
        return Quote(1.0, 2.0)

    (filled,), report = with_quotes([position("EURUSD", 0.2, (0.0, 1))], lookup)
    assert (filled.orders[1].bid, filled.orders[1].ask) == (0.0, 0.0)
    assert report.n_orders == 1
