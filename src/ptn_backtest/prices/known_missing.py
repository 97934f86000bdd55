"""Candles that a provider was asked for and does not have: one small file a pair and period.

    missing/minute/EURUSD/2025-01.json   beside the store's minute/EURUSD/2025-01.parquet

Kept as what is missing, not as what was asked: where a file of candles is deleted, its candles are
missing as before, and are asked for again.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from ptn_backtest.errors import CandleError
from ptn_backtest.prices.candle_file import replacing
from ptn_backtest.prices.candles import Ranges
from ptn_backtest.prices.place import StorePath, reaching

FORMAT = "ptn-backtest known-missing candles"
FORMAT_VERSION = 1


def read_known_missing(path: StorePath) -> dict[str, Ranges]:
    """{provider: stretches [start, end) in ms} of one file; empty where there is no file.

    Raises:
        CandleError: the file is damaged, or of another version.
    """
    try:
        with reaching(path):
            text = path.read_text(encoding="utf-8")
        document = json.loads(text)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as fault:
        raise CandleError(f"{path} cannot be read ({fault}): {_REMEDY}") from fault
    about = (document.get("format"), document.get("version")) if isinstance(document, dict) else ()
    if about != (FORMAT, FORMAT_VERSION):
        raise CandleError(f"{path} is not of the format {FORMAT!r}, version 1: {_REMEDY}")
    try:
        return {
            str(provider): [(int(start), int(end)) for start, end in ranges]
            for provider, ranges in document["missing"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise CandleError(f"{path} lists no stretches of time ({fault!r}): {_REMEDY}") from fault


_REMEDY = "delete it; what it named is asked for again"


def write_known_missing(path: Path, missing: Mapping[str, Ranges]) -> None:
    """Replace the file in one step."""
    document = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "missing": {
            provider: [list(each) for each in ranges]
            for provider, ranges in sorted(missing.items())
        },
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")
