"""What every position source yields: rows as they were found, not yet judged.

A source neither validates nor converts. It says where each row came from, so that
`positions.conversion` can set a bad one aside with a reason that names the place.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from ptn_backtest.sources.plagiarism import PlagiarismEvents

Fields: TypeAlias = Mapping[str, Any]

POSITION_FIELDS = ("miner_hotkey", "position_uuid", "trade_pair_id", "open_ms", "account_size")
"""Fields of a position that the replay uses."""

STORED_FIELDS = (
    "position_type",
    "close_ms",
    "is_closed_position",
    "current_return",
    "return_at_close",
    "net_leverage",
    "average_entry_price",
    "cumulative_entry_value",
    "realized_pnl",
)
"""Derived fields that a source may have stored; kept aside for comparison, never replayed."""

ORDER_FIELDS = (
    "order_uuid",
    "order_type",
    "leverage",
    "price",
    "bid",
    "ask",
    "slippage",
    "processed_ms",
    "src",
)
"""Fields of an order that the replay uses."""


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """One order as found: `fields` by our names (`ORDER_FIELDS`), and where it was found."""

    fields: Fields
    origin: str


@dataclass(frozen=True, slots=True)
class PositionRecord:
    """One position as found, with its orders as found, in stored order.

    Attributes:
        fields: by our names: miner_hotkey, position_uuid, trade_pair_id, open_ms, account_size;
            what the source lacks is absent.
        orders: in stored order; empty where the position has none.
        stored: derived fields that the source holds (`STORED_FIELDS`).
        origin: where it was found ("positions row 5f3a...", "miners/5abc/.../5f3a").
        orphan: True where `orders` name a position that the source does not have.
        error: why the source could not read this one place (broken JSON, say); then the
            other attributes hold what is known.
    """

    fields: Fields
    orders: Sequence[OrderRecord]
    stored: Fields = field(default_factory=dict)
    origin: str = ""
    orphan: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class EliminationRecord:
    """One recorded elimination: fields of the `eliminations` table, by our names."""

    fields: Fields
    origin: str = ""


@dataclass(frozen=True, slots=True)
class PositionQuery:
    """Which positions are wanted.

    Attributes:
        start_ms: start of the time range, or None for the beginning.
        end_ms: end of the time range (included), or None for no end. Orders after it are left out,
            and so are positions opened after it.
        hotkeys: only these traders; None means all.
        history: "full" also yields positions closed before `start_ms`, which a ledger needs;
            "range" yields just those that were open at some moment of the range.
        price_sources: also read the orders' `price_sources` (large).
    """

    start_ms: int | None = None
    end_ms: int | None = None
    hotkeys: tuple[str, ...] | None = None
    history: Literal["full", "range"] = "full"
    price_sources: bool = False


ALL = PositionQuery()


@runtime_checkable
class ListsTraders(Protocol):
    """A source that can tell whose positions it has without reading them."""

    def hotkeys(self) -> Sequence[str]:
        """Everybody who has a position, sorted."""
        ...


class PositionSource(Protocol):
    """The one interface of all sources. Reading leaves the source as it is."""

    def describe(self) -> str:
        """The source in a few words for logs and run.json; never with a password."""
        ...

    def read(self, query: PositionQuery = ALL) -> Iterator[PositionRecord]:
        """The positions asked for, ordered by hotkey, then open time, then uuid, streamed.

        Raises:
            SourceError: the source cannot be read at all.
        """
        ...

    def read_account_sizes(self, query: PositionQuery = ALL) -> dict[str, list[tuple[int, float]]]:
        """{hotkey: [(update time in ms, account size in USD), ...]}, each list in time order."""
        ...

    def read_eliminations(self, query: PositionQuery = ALL) -> list[EliminationRecord]:
        """Recorded eliminations of the traders asked for, in time order."""
        ...

    def read_plagiarism_events(self, query: PositionQuery = ALL) -> PlagiarismEvents:
        """Recorded plagiarism events of the traders asked for; none where none were recorded."""
        ...
