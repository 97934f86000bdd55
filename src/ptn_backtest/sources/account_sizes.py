"""What is told where a source has no account sizes: a run does without, but scores are lower."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class KeepsAccountSizes(Protocol):
    """A source of a kind that may have account sizes."""

    def account_sizes_place(self) -> str | None:
        """Where they are looked for, in words; None where this one has no place for them."""
        ...


def missing_account_sizes(
    source: object, sizes: Mapping[str, Sequence[tuple[int, float]]], smallest_usd: float
) -> tuple[str, ...]:
    """A warning where a source could have account sizes and has none.

    Args:
        source: where they were read.
        sizes: {hotkey: [(update time in ms, USD), ...]}, as read.
        smallest_usd: what a rulebook takes for an unknown account.
    """
    place = source.account_sizes_place() if isinstance(source, KeepsAccountSizes) else None
    if sizes or place is None:
        return ()
    counts_as = f"every account counts as {smallest_usd:,.0f} USD"
    return (f"no account sizes: {place}; {counts_as}, which lowers scores (penalty_account_size)",)
