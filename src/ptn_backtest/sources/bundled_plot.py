"""The plot of the bundled test positions: pairs, traders and what they do in September 2025.

All of it is invented. A change here is a change of `bundled.RECIPE`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ptn_backtest.clock import parse_time
from ptn_backtest.prices.synthetic import PriceModel

ORGANIC, ELIMINATION_FLAT = 0, 1
"""`src` of an order; the names of `positions.order.OrderSource`, a later stage."""

_DAYS = ("2025-08-31", "2025-09-12", "2025-09-23", "2025-10-02")
MODELS = {
    pair: PriceModel(pair, tuple(zip(_DAYS, prices, strict=True)), volatility, spread, decimals)
    for pair, prices, volatility, spread, decimals in (
        ("BTCUSD", (108_500, 116_000, 100_500, 109_000), 0.0004, 0.02, 2),
        ("ETHUSD", (4_400, 4_720, 3_750, 4_150), 0.0006, 0.02, 2),
        ("SOLUSD", (200, 240, 172, 205), 0.0008, 0.02, 3),
        ("EURUSD", (1.169, 1.185, 1.168, 1.1735), 0.00006, 0.00004, 5),
        ("GBPUSD", (1.35, 1.365, 1.335, 1.345), 0.00007, 0.00006, 5),
    )
}


@dataclass(frozen=True, slots=True)
class Step:
    """An order as the plot has it: "day hh:mm:ss.mmm" in September 2025, type, leverage."""

    moment: str
    order_type: str
    leverage: float
    src: int = ORGANIC

    @property
    def ms(self) -> int:
        """The moment in ms."""
        return parse_time(f"2025-09-{self.moment}")


Plot: TypeAlias = tuple[str, Sequence[Step]]
"""One position: the pair, and its orders."""


def _hotkey(name: str) -> str:
    return f"5TestTrader{name}".ljust(48, "x")


ANNA, BRUNO, CHEN, DARA, EMEKA, FREYA = map(
    _hotkey, ("Anna", "Bruno", "Chen", "Dara", "Emeka", "Freya")
)

PLOTS: dict[str, Sequence[Plot]] = {
    # adds, reduces, closes with FLAT -L and by an opposite order, and is invested at the end
    ANNA: (
        (
            "BTCUSD",
            (
                Step("01 08:15:30.250", "LONG", 0.2),
                Step("03 14:02:11.000", "LONG", 0.15),
                Step("06 09:40:00.000", "SHORT", -0.1),
                Step("10 16:20:45.120", "FLAT", -0.25),
            ),
        ),
        (
            "ETHUSD",
            (
                Step("12 10:00:05.000", "SHORT", -0.3),
                Step("16 21:13:37.900", "LONG", 0.1),
                Step("19 07:30:00.500", "LONG", 0.4),
            ),
        ),
        (
            "BTCUSD",
            (Step("26 12:00:00.000", "LONG", 0.25), Step("29 18:45:10.010", "LONG", 0.1)),
        ),
    ),
    # buys the top of everything and sells the bottom: a drawdown; FLAT with leverage 0
    BRUNO: (
        (
            "SOLUSD",
            (Step("11 13:05:00.000", "LONG", 0.35), Step("23 02:10:20.000", "FLAT", 0.0)),
        ),
        (
            "BTCUSD",
            (Step("11 13:20:30.333", "LONG", 0.35), Step("22 23:59:59.999", "FLAT", 0.0)),
        ),
        (
            "ETHUSD",
            (Step("12 03:00:00.000", "LONG", 0.3), Step("23 02:11:00.000", "FLAT", 0.0)),
        ),
    ),
    # forex only, held over weekends
    CHEN: (
        (
            "EURUSD",
            (
                Step("05 14:30:00.000", "LONG", 2.0),
                Step("08 09:15:12.500", "LONG", 1.0),
                Step("09 15:00:00.000", "FLAT", -3.0),
            ),
        ),
        (
            "GBPUSD",
            (Step("15 07:45:00.000", "SHORT", -2.5), Step("18 16:10:05.000", "FLAT", 0.0)),
        ),
        (
            "EURUSD",
            (Step("19 20:59:30.000", "SHORT", -1.5), Step("23 11:00:00.000", "LONG", 1.5)),
        ),
    ),
    # orders seconds apart, and several in one millisecond, on one pair and on two
    DARA: (
        (
            "BTCUSD",
            (
                Step("02 10:00:00.000", "LONG", 0.1),
                Step("02 10:00:00.000", "LONG", 0.05),
                Step("02 10:00:12.500", "FLAT", -0.15),
            ),
        ),
        (
            "BTCUSD",
            (Step("02 10:01:03.000", "SHORT", -0.2), Step("04 18:30:00.777", "FLAT", 0.2)),
        ),
        (
            "ETHUSD",
            (Step("02 10:01:03.000", "LONG", 0.2), Step("04 18:30:00.777", "FLAT", -0.2)),
        ),
        (
            "EURUSD",
            (
                Step("16 13:00:00.000", "SHORT", -1.0),
                Step("16 13:00:07.000", "SHORT", -1.0),
                Step("16 13:24:59.000", "LONG", 0.5),
                Step("25 13:00:00.000", "LONG", 1.5),
            ),
        ),
    ),
    # eliminated: the network closed both positions with orders of price 0
    EMEKA: (
        (
            "SOLUSD",
            (
                Step("01 00:30:00.000", "SHORT", -0.4),
                Step("12 06:00:00.000", "FLAT", 0.0, ELIMINATION_FLAT),
            ),
        ),
        (
            "GBPUSD",
            (
                Step("03 08:00:00.000", "SHORT", -2.0),
                Step("12 06:00:00.000", "FLAT", 0.0, ELIMINATION_FLAT),
            ),
        ),
    ),
    # both asset classes at once, open at the end over a month's last days
    FREYA: (
        (
            "GBPUSD",
            (Step("10 06:20:00.000", "LONG", 1.0), Step("16 06:20:00.000", "FLAT", -1.0)),
        ),
        (
            "SOLUSD",
            (
                Step("14 20:00:00.000", "SHORT", -0.1),
                Step("17 20:00:00.000", "SHORT", -0.1),
                Step("22 20:00:00.000", "LONG", 0.05),
                Step("24 20:00:00.000", "FLAT", 0.15),
            ),
        ),
        ("EURUSD", (Step("26 15:30:00.000", "LONG", 2.0),)),
        ("ETHUSD", (Step("27 11:11:11.111", "LONG", 0.2),)),
    ),
}

ACCOUNT_SIZES: dict[str, Sequence[tuple[str, float]]] = {
    ANNA: (("2025-08-30", 100_000.0), ("2025-09-14T09:00", 250_000.0)),
    BRUNO: (("2025-08-30", 100_000.0),),
    CHEN: (("2025-08-30", 500_000.0),),
    DARA: (("2025-08-30", 50_000.0), ("2025-09-15", 60_000.0)),
    EMEKA: (("2025-08-30", 25_000.0),),
    # none of Freya: the network's smallest size is assumed
}
