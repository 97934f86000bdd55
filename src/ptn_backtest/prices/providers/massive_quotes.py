"""What Massive's quotes mean."""

from typing import Any

from ptn_backtest.errors import ProviderError
from ptn_backtest.prices.providers.contract import DatedQuote, QuotePage, QuoteRequest
from ptn_backtest.prices.providers.conventions import PROVIDERS

NS_OF_MS = 1_000_000
MASSIVE_QUOTES = 50
"""Quotes of one answer: the first will do, the others are there where it lacks a side."""

_TITLE = PROVIDERS["massive"].title


def quote_page(request: QuoteRequest, content: Any) -> QuotePage:  # noqa: ANN401 - JSON
    """The latest quote with both sides.

    Raises:
        ProviderError: the answer is of another form, so that it proves nothing.
    """
    if not isinstance(content, dict) or content.get("status") not in ("OK", "DELAYED"):
        status = content.get("status") if isinstance(content, dict) else type(content).__name__
        raise ProviderError(f"{_TITLE} answered the {request} with status {status!r}")
    if "results" not in content and "request_id" not in content:
        raise ProviderError(f"{_TITLE} answered the {request} without saying what there is")
    try:
        rows = [
            (
                # of equities when the tape had it, of forex when it was made
                int(row.get("sip_timestamp") or row["participant_timestamp"]) // NS_OF_MS,
                float(row.get("bid_price") or 0.0),
                float(row.get("ask_price") or 0.0),
            )
            for row in content.get("results") or []
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProviderError(
            f"{_TITLE} answered the {request} with quotes of another form: {error!r}"
        ) from None
    inside = [row for row in rows if request.oldest_ms <= row[0] <= request.at_ms]
    if rows and not inside:
        return QuotePage(lacks_it=False)
    inside.sort(key=lambda row: row[0], reverse=True)
    for n_before, (quoted_ms, bid, ask) in enumerate(inside):
        if bid > 0 and ask > 0:
            return QuotePage(DatedQuote(quoted_ms, bid, ask), n_one_sided=n_before)
    more = "next_url" in content or len(rows) >= MASSIVE_QUOTES
    earlier = inside[-1][0] - 1 if more and inside else None
    if earlier is not None and earlier < request.oldest_ms:
        earlier = None
    return QuotePage(earlier_ms=earlier, n_one_sided=len(inside))
