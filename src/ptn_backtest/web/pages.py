"""Pages out of templates; whatever a run says is escaped, and cannot be a script or an address."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from jinja2 import ChoiceLoader, Environment, PackageLoader
from starlette.responses import Response

from ptn_backtest.clock import format_time
from ptn_backtest.prices.providers.keys import hide_keys
from ptn_backtest.report import rule_wording, wording
from ptn_backtest.report.comparison_html import add_comparison_words
from ptn_backtest.report.environment import page_environment
from ptn_backtest.results.exporting import cell_text
from ptn_backtest.results.jsonable import json_ready
from ptn_backtest.results.run_folder import versions
from ptn_backtest.sources.passwords import hide_passwords
from ptn_backtest.web.addresses import part

__all__ = ["Pages"]

_MOST_CELL = 400


class Pages:
    """Templates, filled in."""

    def __init__(self) -> None:
        """Read the templates: ours, and those of reports, which some pages show in our frame."""
        self._environment = _environment()
        self.style = self._environment.get_template("style.css.j2").render()

    def page(self, template: str, status: int = 200, **shown: Any) -> Response:  # noqa: ANN401
        """A page."""
        text = self._environment.get_template(template).render(**shown)
        # a text of a damaged file may hold what UTF-8 cannot
        return Response(text.encode("utf-8", "replace"), status, media_type="text/html")

    def text(self, template: str, **shown: Any) -> str:  # noqa: ANN401
        """A part of a page."""
        return self._environment.get_template(template).render(**shown)

    def error(self, status: int, what: str, step: str) -> Response:
        """A page for an error: what was wrong, and what to do."""
        what = hide_keys(hide_passwords(what))
        return self.page("error.html.j2", status, what=what, step=hide_keys(hide_passwords(step)))

    def login(self, *, wrong: bool) -> Response:
        """The page that asks for the token."""
        return self.page("login.html.j2", 401, wrong=wrong)


def _environment() -> Environment:
    environment = page_environment()
    environment.loader = ChoiceLoader(
        [PackageLoader("ptn_backtest.web"), PackageLoader("ptn_backtest.report")]
    )
    add_comparison_words(environment)
    environment.filters |= {
        "address": part,
        "cell": _cell,
        "data": lambda value: json.dumps(json_ready(value, sort_keys=False), allow_nan=False),
        "fate": lambda text: rule_wording.reason(str(text)),
        "figure": wording.figure,
        "lasting": lasting,
        "plain": lambda number: f"{number:.6g}",
        "price": lambda number: f"{number:,.8g}",
        "second": lambda ms: format_time(ms).removesuffix(" UTC"),
        "sentence": rule_wording.sentence,
        "usd": wording.usd,
    }
    environment.globals |= {"query_address": query_address, "versions": versions()}
    return environment


def query_address(run: str, sql: str) -> str:
    """The address of the query page with a query."""
    return f"/query?{urlencode({'run': run, 'sql': sql}, errors='replace')}"


def lasting(ms: int) -> str:
    """A length of time: 45 s, 3 min 20 s, 2 h 5 min."""
    seconds = max(round(ms / 1_000), 0)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _cell(value: Any) -> str:  # noqa: ANN401 - any value of an answer
    text = cell_text(value)
    return text if len(text) <= _MOST_CELL else f"{text[:_MOST_CELL]}…"


def plain_json(value: Mapping[str, Any]) -> Response:
    """A small JSON answer."""
    return Response(json.dumps(value).encode("utf-8", "replace"), media_type="application/json")
