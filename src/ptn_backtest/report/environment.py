"""How templates are filled in: what every page of ours needs, whatever it shows."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from ptn_backtest.clock import format_date, format_time
from ptn_backtest.report import wording


def page_environment() -> Environment:
    """An environment that escapes all input and refuses unknown names; a page adds its own words."""
    environment = Environment(
        loader=PackageLoader("ptn_backtest.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": wording.percent,
        "signed": wording.signed_percent,
        "shorten": wording.shorten,
        "time": format_time,
        "date": format_date,
        "minute": lambda ms: format_time(ms)[:16],
        "thousands": lambda number: f"{number:,}",
    }
    environment.globals |= {
        "count": wording.count,
        "synthetic": wording.SYNTHETIC,
        "synthetic_notice": wording.SYNTHETIC_NOTICE,
    }
    return environment
