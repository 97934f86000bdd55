"""The pages by address. Every address is read-only, and every error is a page with a next step."""

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ptn_backtest.errors import BacktestError
from ptn_backtest.report.scripts import static_bytes
from ptn_backtest.web.access import Guard
from ptn_backtest.web.addresses import name_of, part
from ptn_backtest.web.compare_page import Comparisons
from ptn_backtest.web.opened import NoSuchTrader
from ptn_backtest.web.pages import Pages, plain_json
from ptn_backtest.web.progress import network_after
from ptn_backtest.web.query_page import answer_csv, query_parts
from ptn_backtest.web.run_page import run_parts
from ptn_backtest.web.runs import UNFINISHED, NoSuchRun, RunsFolder
from ptn_backtest.web.trader_page import trader_parts

__all__ = ["make_app"]

log = logging.getLogger(__name__)

_STATIC = {
    "app.js": "text/javascript",
    "web.css": "text/css",
    "icon.svg": "image/svg+xml",
}
_SHARED = {
    "charts.js": "text/javascript",
    "keys.js": "text/javascript",
    "tables.js": "text/javascript",
    "uplot/uPlot.iife.min.js": "text/javascript",
    "uplot/uPlot.min.css": "text/css",
    "uplot/LICENSE": "text/plain",
}
_LONGEST_SQL = 20_000


def make_app(
    runs: RunsFolder, *, hosts: Collection[str] = (), token: str | None = None
) -> Starlette:
    """The application for a folder of runs.

    Args:
        runs: the folder.
        hosts: names that the server is called by; without any, only the loopback is answered.
        token: who asks must know it; None lets everybody in.
    """
    pages = Pages()
    views = _Views(runs, pages, Comparisons(runs))
    return Starlette(
        routes=[
            Route("/", views.runs_page),
            Route("/run/{run}", views.run_page),
            Route("/run/{run}/progress", views.progress_part),
            Route("/run/{run}/trader/{hotkey}", views.trader_page),
            Route("/compare", views.compare_page),
            Route("/query", views.query_page),
            Route("/query.csv", views.query_csv),
            Route("/static/{name:path}", views.static),
        ],
        middleware=[
            Middleware(Guard, pages=pages, hosts=hosts, token=token),
            Middleware(GZipMiddleware, minimum_size=2_000, compresslevel=4),
        ],
        exception_handlers={
            BacktestError: views.refused,
            NoSuchTrader: views.no_trader,
            HTTPException: views.http_error,
            Exception: views.failed,
        },
    )


@dataclass(frozen=True, slots=True)
class _Views:
    """What answers each address; Starlette runs these in threads."""

    runs: RunsFolder
    pages: Pages
    comparisons: Comparisons

    def runs_page(self, _: Request) -> Response:
        return self.pages.page(
            "runs.html.j2",
            root=self.runs.root,
            summaries=self.runs.summaries(),
            names=self.runs.names(),
            now_ms=_now_ms(),
        )

    def run_page(self, request: Request) -> Response:
        name = name_of(request.path_params["run"])
        if name not in self.runs.names():
            if name.startswith(UNFINISHED) and name not in self.runs.folders():
                return self._after(name)
            return self.pages.page("progress_page.html.j2", **self._progress(name))
        run = self.runs.open(name)
        progress = self._progress(name)
        return self.pages.page("run.html.j2", **run_parts(run), progress=progress["progress"])

    def _after(self, name: str) -> Response:
        """Where a run went that was under way."""
        finished = name.removeprefix(UNFINISHED)
        if finished in self.runs.names():
            return RedirectResponse(f"/run/{part(finished)}", 303)
        return RedirectResponse("/", 303)

    def progress_part(self, request: Request) -> Response:
        """The part of a page that shows progress, and where to go on once there is none."""
        name = name_of(request.path_params["run"])
        if name not in self.runs.folders():
            return plain_json({"html": "", "next": self._after(name).headers["location"]})
        shown = self._progress(name)
        if shown["progress"] is None and name in self.runs.names():
            return plain_json({"html": "", "next": f"/run/{part(name)}"})
        return plain_json({"html": self.pages.text("progress.html.j2", **shown), "next": ""})

    def _progress(self, name: str) -> dict[str, Any]:
        progress = self.runs.progress(name)
        folder = self.runs.folder(name)
        done = progress.n_done if progress else 0
        return {
            "name": name,
            "folder": folder,
            "progress": progress,
            "state": network_after(folder, done - 1) if done else None,
            "now_ms": _now_ms(),
        }

    def trader_page(self, request: Request) -> Response:
        run = self.runs.open(name_of(request.path_params["run"]))
        hotkey = name_of(request.path_params["hotkey"])
        asked = request.query_params
        shown = trader_parts(run, hotkey, asked.get("pair"), asked.get("position"))
        return self.pages.page("trader.html.j2", **shown)

    def compare_page(self, request: Request) -> Response:
        a, b = (request.query_params.get(side, "") for side in ("a", "b"))
        if not (a and b):
            names = self.runs.names()
            return self.pages.page("compare_choice.html.j2", names=names, a_name=a, b_name=b)
        shown = self.comparisons.parts(a, b, request.query_params.get("trader", ""))
        return self.pages.page("compare.html.j2", **shown)

    def query_page(self, request: Request) -> Response:
        names, sql = self.runs.names(), _sql(request)
        name = request.query_params.get("run", "") or (names[0] if names else "")
        # a link on another site fills the form in, and no more
        foreign = request.headers.get("sec-fetch-site") == "cross-site"
        run = self.runs.open(name).run if name and sql and not foreign else None
        return self.pages.page("query.html.j2", **query_parts(names, name, run, sql))

    def query_csv(self, request: Request) -> Response:
        if request.headers.get("sec-fetch-site") == "cross-site":
            return self.pages.error(403, "Another site asked for this", "Use the query page.")
        run = self.runs.open(request.query_params.get("run", ""))
        return Response(
            answer_csv(run.run, _sql(request)),
            media_type="text/csv",
            headers={"content-disposition": 'attachment; filename="query.csv"'},
        )

    def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name == "report.css":
            return Response(self.pages.style, media_type="text/css", headers=_LASTING)
        if name in _SHARED:  # with reports
            return Response(static_bytes(name), media_type=_SHARED[name], headers=_LASTING)
        if name not in _STATIC:
            raise HTTPException(404)
        content = files("ptn_backtest.web").joinpath("static", name).read_bytes()
        return Response(content, media_type=_STATIC[name], headers=_LASTING)

    # ---- errors

    def refused(self, _: Request, error: Exception) -> Response:
        if isinstance(error, NoSuchRun):
            return self.pages.error(404, str(error), "The list of runs has all that there are.")
        return self.pages.error(
            422, str(error), "Do what the message says, or go on with another run in the list."
        )

    def no_trader(self, request: Request, error: Exception) -> Response:
        run = request.path_params["run"]
        return self.pages.page(
            "error.html.j2",
            404,
            what=f"No trader {error} in this run",
            step="Look it up in the leaderboard; it has every trader of the run.",
            back=f"/run/{part(name_of(run))}",
        )

    def http_error(self, _: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        what = "There is no such page" if status == 404 else str(error)  # noqa: PLR2004
        return self.pages.error(status, what, "Begin with the list of runs.")

    def failed(self, _: Request, error: Exception) -> Response:
        log.error("a page failed", exc_info=error)
        return self.pages.error(
            500,
            f"This page failed: {type(error).__name__}",
            "That is a fault of ptn-backtest: report it, with what the server printed.",
        )


_LASTING = {"cache-control": "max-age=600"}


def _sql(request: Request) -> str:
    sql = request.query_params.get("sql", "")
    if len(sql) > _LONGEST_SQL:
        raise HTTPException(413, f"A query of more than {_LONGEST_SQL:,} letters")
    return sql


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
