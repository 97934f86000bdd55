"""The data of a report, read as the page's script reads it; nothing of the writing code is used."""

import base64
import json
import re
from itertools import accumulate
from typing import Any

import numpy as np


def page_data(page: str) -> dict[str, Any]:
    """What stands in the page's data element."""
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL
    )
    found: dict[str, Any] = json.loads(text)
    return found


def column(table: dict[str, Any], name: str) -> list[list[float]]:
    """A column's values, of each trader."""
    coded, counts = table["columns"][name], table["counts"]
    ends = list(accumulate(counts))
    plain = {"scaled": "u2", "times": "u2"}.get(coded["type"], coded["type"])
    values = _array(coded["data"], plain)
    assert len(values) == sum(counts)
    parts = [values[end - n : end] for end, n in zip(ends, counts, strict=True)]
    if coded["type"] == "scaled":
        low, step = (_array(coded[edge], "f8") for edge in ("low", "step"))
        return [
            [float("nan") if code == 65535 else low[n] + int(code) * step[n] for code in part]
            for n, part in enumerate(parts)
        ]
    if coded["type"] == "times":
        begin = _array(coded["begin"], "f8")
        return [
            [begin[n] + at for at in accumulate(int(each) * coded["unit"] for each in part)]
            for n, part in enumerate(parts)
        ]
    return [part.tolist() for part in parts]


def _array(text: str, kind: str) -> Any:
    return np.frombuffer(base64.b64decode(text), f"<{kind}")
