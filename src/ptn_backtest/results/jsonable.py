"""Values as JSON can hold them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def json_ready(value: Any, *, sort_keys: bool = True) -> Any:  # noqa: ANN401 - JSON is any value
    """`value` with "inf", "-inf", "nan" for numbers that JSON does not have; keys sorted, or as is."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    if isinstance(value, Mapping):
        items = sorted(value.items()) if sort_keys else value.items()
        return {str(key): json_ready(item, sort_keys=sort_keys) for key, item in items}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [json_ready(item, sort_keys=sort_keys) for item in value]
    return value
