"""Who may talk to the server: the browser that was given the link, from the page itself, and nobody else.

The server listens on the loopback interface, but so does everything else on the machine, and any website that is open in the
browser can send requests there. The link holds a random token that is good for one visit and is exchanged for a session cookie
that scripts cannot read and other sites cannot send. On top of it the ``Host`` header must be the loopback's (a name that an
attacker lets point there has another one: DNS rebinding), and what changes anything must come from the page's own origin.
"""

from __future__ import annotations

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from threading import Lock

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN = "/open"
"""Where the link leads that holds the token."""

READING = ("GET", "HEAD")
MOST_BYTES = 16 << 20
"""Of what is sent at once: a thousand decisions, each with pages of notes."""

CLOSED = (
    "This page is opened by the link that 'spurgekit review' prints, which works once and in one browser.\n"
    "Start the command again for a new link; what was decided is kept."
)
FOREIGN = "Requests of other sites are not accepted."
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Sent with every answer; with ``cache-control: no-store`` where the application says nothing else."""


class Guard:
    """An ASGI application that lets through to another one what may be let through.

    Parameters
    ----------
    app : ASGI application
    port : int
        The port that the server listens on.

    Attributes
    ----------
    link : str
        Opens the page, once.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        # Cookies do not know ports: two servers on one machine must not overwrite each other's.
        self._cookie = f"spurgekit-review-{port}"
        self._session = secrets.token_urlsafe(32)
        self._token: str | None = secrets.token_urlsafe(32)
        self._lock = Lock()
        self.link = f"http://127.0.0.1:{port}{OPEN}?token={self._token}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":  # there is nothing to do at start and end
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        answer: ASGIApp = self._answer(scope) or self._app
        if answer is self._app and scope["method"] not in READING:
            body = await _body(receive, Headers(scope=scope))
            if body is None:
                answer = PlainTextResponse(f"Send up to {MOST_BYTES >> 20} MiB at once.", 413, {"connection": "close"})
            else:
                receive = _again(body, receive)
        await answer(scope, receive, send_guarded)

    def _answer(self, scope: Scope) -> Response | None:
        """Return what to answer in place of the application, or None."""
        headers, method = Headers(scope=scope), scope["method"]
        if headers.getlist("host") not in [[host] for host in self._hosts]:
            return _refuse("This server answers to 127.0.0.1 and localhost only.")
        if scope["path"] == OPEN and method == "GET":
            return self._admit(QueryParams(scope["query_string"]).get("token", ""))
        if not self._has_session(headers):
            return _refuse(CLOSED)
        if method in READING:
            # Pages of other ports of this machine are of the same site, which cookies go by.
            return None if headers.get("sec-fetch-site") in (None, "none", "same-origin") else _refuse(FOREIGN)
        if method != "POST":
            return PlainTextResponse("Only GET and POST are known here.", 405)
        if not _is_from_page(headers):
            return _refuse(FOREIGN)
        if headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            return PlainTextResponse("Send JSON.", 415)
        return None

    def _admit(self, token: str) -> Response:
        with self._lock:
            if self._token is None or not hmac.compare_digest(token.encode(), self._token.encode()):
                return _refuse(CLOSED)
            self._token = None
        response = RedirectResponse("/", 303)
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="strict", path="/")
        return response

    def _has_session(self, headers: Headers) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self._session.encode())


async def _body(receive: Receive, headers: Headers) -> bytes | None:
    """Return the body of a request, or None where it is too large or was cut off, without reading on."""
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:20]) > MOST_BYTES:
        return None
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or len(body) > MOST_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read, and then what follows."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return waiting.pop() if waiting else await receive()

    return give


def _is_from_page(headers: Headers) -> bool:
    """Whether a browser vouches that a request comes from a page of this server; one that says nothing does not."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is None and site is None:
        return False
    return origin in (None, f"http://{headers['host']}") and site in (None, "same-origin")


def _refuse(why: str) -> Response:
    return PlainTextResponse(why + "\n", 403)
