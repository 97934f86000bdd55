"""Who may read the pages: the address they ask for, the token, and what a browser may do with them.

The pages show what is in run folders, whoever wrote them, so nothing in them may run as script: the
content security policy allows our own files and nothing else.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ptn_backtest.web.pages import Pages

__all__ = ["TOKEN_FIELD", "Guard", "is_loopback"]

TOKEN_FIELD = "token"  # noqa: S105 - its name
_MOST_TOKEN = 1_000
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """Middleware: lets a request through, or answers it.

    A page of another site that has a name resolve to this machine (DNS rebinding) sends that name in
    Host, so only names that were said to be ours are answered, and addresses, which need no name.
    """

    def __init__(
        self, app: ASGIApp, pages: Pages, *, hosts: Collection[str], token: str | None
    ) -> None:
        """Guard an application.

        Args:
            app: what to guard.
            pages: for its own pages.
            hosts: names that the server is called by; without any, only the loopback is answered.
            token: who asks must know it; None lets everybody in.
        """
        self._app = app
        self._pages = pages
        self._hosts = frozenset(host.lower() for host in hosts)
        self._token = token
        self._proof = (
            "" if token is None else hashlib.sha256(f"cookie {token}".encode()).hexdigest()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let through; every answer gets the headers."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no websockets
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "private, no-cache")
            await send(message)

        answer = self._refusal(Request(scope))
        await (answer or self._app)(scope, receive, send_guarded)

    def _refusal(self, request: Request) -> Response | None:
        """The answer to who may not go on; None lets the request through."""
        if not self._is_ours(_host(request.headers)):
            return self._pages.error(
                421,
                "This server is not known by that name",
                "Open it by the address that it printed, or name it with --allow-host.",
            )
        if request.method not in ("GET", "HEAD"):
            return self._pages.error(405, "Pages are only read", "Go back, and use a link.")
        if self._token is None or request.url.path.startswith("/static/"):
            return None
        given = request.query_params.get(TOKEN_FIELD)
        if given is not None:
            return self._let_in(request, given)
        cookie = _cookie(request.headers, self._cookie_name(request))
        if hmac.compare_digest(cookie.encode(), self._proof.encode()):
            return None
        return self._pages.login(wrong=False)

    def _let_in(self, request: Request, given: str) -> Response:
        """A cookie for who knows the token, and the same address without it."""
        token = self._token or ""
        if len(given) > _MOST_TOKEN or not hmac.compare_digest(given.encode(), token.encode()):
            return self._pages.login(wrong=True)
        rest = [(k, v) for k, v in parse_qsl(request.url.query) if k != TOKEN_FIELD]
        path = "/" + request.url.path.lstrip("/\\")  # "//host" would lead elsewhere
        answer = RedirectResponse(path + (f"?{urlencode(rest)}" if rest else ""), 303)
        answer.set_cookie(
            self._cookie_name(request), self._proof, httponly=True, samesite="strict", path="/"
        )
        return answer

    def _cookie_name(self, request: Request) -> str:
        """Cookies know no ports: two servers on one machine need two names."""
        server = request.scope.get("server") or ("", 0)
        return f"ptn_backtest_{server[1]}"

    def _is_ours(self, host: str) -> bool:
        if host in self._hosts or host == "localhost":
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return bool(self._hosts) or address.is_loopback


def is_loopback(host: str) -> bool:
    """Whether an address to bind to is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host(headers: Headers) -> str:
    """The name in Host without its port; "" where there are several."""
    given = headers.getlist("host")
    if len(given) != 1:
        return ""
    host = given[0].strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def _cookie(headers: Headers, name: str) -> str:
    found: SimpleCookie = SimpleCookie()
    try:
        found.load(headers.get("cookie", ""))
    except CookieError:
        return ""
    return found[name].value if name in found else ""
