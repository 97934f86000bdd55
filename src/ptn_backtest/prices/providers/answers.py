"""What an HTTP answer means, the same for every provider that is asked over HTTP."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ptn_backtest.errors import ProviderError
from ptn_backtest.prices.providers.contract import KeyRefused, TryAgain
from ptn_backtest.prices.providers.keys import hide_keys

_OK, _UNAUTHORIZED, _TIMEOUT, _SERVER_FAULT = 200, 401, 408, 500
_TOO_MANY = (429, 418)  # some exchanges say 418 to who goes on after 429
_SHOWN = 200  # characters of an answer that is no JSON


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (by lower-case name) and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def document(title: str, answer: Answer) -> Any:  # noqa: ANN401 - JSON
    """The JSON of an answer.

    Raises:
        TryAgain: rate limit, fault of the server, or a body that is no JSON (a proxy's page, a body
            that was cut off).
        KeyRefused: status 401.
        ProviderError: any other refusal, with what the provider says.
    """
    if answer.status != _OK:
        raise refused(title, answer)
    try:
        return json.loads(answer.body)
    except ValueError:
        kind = answer.headers.get("content-type", "no content type")
        raise TryAgain(
            f"{title} answered with something else than JSON ({kind}): {_said(answer.body)!r}"
        ) from None


def refused(title: str, answer: Answer) -> ProviderError:
    """The error that a status other than 200 means."""
    said = _said(answer.body)
    message = f"{title} answered with status {answer.status}" + (f": {said}" if said else "")
    if answer.status in _TOO_MANY:
        return TryAgain(f"{title}'s rate limit is reached ({said})", retry_after_s(answer.headers))
    if answer.status == _TIMEOUT or answer.status >= _SERVER_FAULT:
        return TryAgain(message, retry_after_s(answer.headers))
    if answer.status == _UNAUTHORIZED:
        return KeyRefused(f"{message}: is the key right?")
    return ProviderError(message)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or a date; None without one."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def fault(title: str, error: Exception) -> TryAgain:
    """A client library's exception in our words, without the key, whatever URL it shows."""
    return TryAgain(hide_keys(f"{title} cannot be reached: {type(error).__name__}: {error}"))


def _said(body: bytes) -> str:
    """What a body says of an error, in one short line without a key."""
    text = body.decode("utf-8", errors="replace")
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if isinstance(content, dict):
        for name in ("error", "message", "detail"):
            if isinstance(content.get(name), str):
                text = content[name]
                break
    return hide_keys(" ".join(text.split()))[:_SHOWN]
