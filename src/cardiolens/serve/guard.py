"""Who may ask: host names, tokens, the origin of a change, and the headers that every answer carries."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import secrets
import socket
import threading
import time
from collections import OrderedDict, deque
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from cardiolens.addresses import is_loopback
from cardiolens.serve.settings import Settings

if TYPE_CHECKING:
    from starlette.datastructures import Address
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "cardiolens_session"
SESSION_SECONDS = 12 * 3600
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SAFE = ("GET", "HEAD", "OPTIONS")
_OPEN = ("/login", "/static/login.js", "/static/style.css", "/static/icon.svg")
_UPLOADS, _MOST_BODY = "/api/uploads", 32 * 2**20
_Refusal = tuple[int, str, list[tuple[bytes, bytes]]]
_TRIES, _IN_SECONDS = 10, 60.0
_MOST_ADDRESSES = 4096  # whose wrong tokens are counted


class Sessions:
    """Who has shown the token; kept in memory, so that a restart asks again."""

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else _digest(token.strip())
        self._until: dict[str, float] = {}
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def needed(self) -> bool:
        """Whether a token is asked for at all."""
        return self._token is not None

    def right(self, token: str) -> bool:
        """Whether this is the token, compared in constant time."""
        return self._token is not None and hmac.compare_digest(_digest(token), self._token)

    def too_many(self, whose: str) -> bool:
        """Whether ten wrong tokens came from one address (`address_of`) within a minute."""
        with self._lock:
            times = self._failed.get(whose)
            return times is not None and len(times) == _TRIES and time.monotonic() - times[0] < _IN_SECONDS

    def failed(self, whose: str) -> None:
        """Count a wrong token of an address."""
        with self._lock:
            self._failed.setdefault(whose, deque(maxlen=_TRIES)).append(time.monotonic())
            self._failed.move_to_end(whose)
            while len(self._failed) > _MOST_ADDRESSES:
                self._failed.popitem(last=False)

    def start(self) -> str:
        """A new session, for a cookie."""
        now = time.monotonic()
        self._until = {one: until for one, until in self._until.items() if until > now}
        session = secrets.token_urlsafe(32)
        self._until[_digest(session).hex()] = now + SESSION_SECONDS
        return session

    def end(self, session: str) -> None:
        """Forget a session."""
        self._until.pop(_digest(session).hex(), None)

    def known(self, session: str) -> bool:
        """Whether a cookie is of a session that goes on; looked up by its hash, so that time tells nothing."""
        return self._until.get(_digest(session).hex(), 0.0) > time.monotonic()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def address_of(client: tuple[str, int] | Address | None) -> str:
    """Whose wrong tokens are counted together: an IPv4 address, or the network (/64) that an IPv6 client has.

    Args:
        client: host and port, as ASGI tells them.
    """
    host = client[0] if client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    return str(address.ipv4_mapped or ipaddress.ip_network((address.packed, 64), strict=False))


class Guard:
    """ASGI middleware: refuses unknown hosts, strangers and changes that another site asks for; adds headers."""

    def __init__(self, app: ASGIApp, settings: Settings, sessions: Sessions) -> None:
        self.app, self.settings, self.sessions = app, settings, sessions
        own = {"localhost", *settings.names}
        if not is_loopback(settings.host):
            own |= {socket.gethostname(), settings.host}
        self.names = {name.lower() for name in own}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_extra(message.get("headers", []))]
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is None:
            await self.app(scope, receive, sealed)
            return
        status, words, more = refusal
        body = json.dumps({"error": words}).encode()
        start = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
        await sealed({"type": "http.response.start", "status": status, "headers": start})
        await send({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> _Refusal | None:
        """Status, reason and headers; None for a request that may pass."""
        host = headers.get("host", "")
        if not self._own(host):
            return (
                421,
                ("this server does not answer to that host name; start it with --name NAME, or use its address"),
                [],
            )
        if scope["method"] not in _SAFE and not _same_site(headers, host):
            return 403, "a change that another site asks for is refused", []
        return _too_much(scope["path"], headers) or self._stranger(scope, headers)

    def _stranger(self, scope: Scope, headers: dict[str, str]) -> _Refusal | None:
        """A refusal for who has not shown the token; a browser is led to the page that asks for it."""
        whose = address_of(scope.get("client"))
        if not self.sessions.needed or scope["path"] in _OPEN or self._let_in(headers, whose):
            return None
        if self.sessions.too_many(whose):
            return 429, "too many wrong tokens; wait a minute", [(b"retry-after", b"60")]
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            there = quote(scope["path"], safe="/")
            return 303, "show the token first", [(b"location", f"/login?next={there}".encode())]
        return (
            401,
            "a token is needed: send the header Authorization: Bearer TOKEN, or open /login",
            [(b"www-authenticate", b'Bearer realm="cardiolens"')],
        )

    def _own(self, host: str) -> bool:
        """Whether a Host header names this server; a foreign name that points here is DNS rebinding."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name.lower() in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not is_loopback(self.settings.host)

    def _let_in(self, headers: dict[str, str], whose: str) -> bool:
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and not self.sessions.too_many(whose):
            if self.sessions.right(token.strip()):
                return True
            self.sessions.failed(whose)
        session = cookie_of(headers.get("cookie", ""))
        return session is not None and self.sessions.known(session)


def _too_much(path: str, headers: dict[str, str]) -> _Refusal | None:
    """A body larger than any but an upload is, or one whose length is not told; uploads count for themselves."""
    if path == _UPLOADS:
        return None
    length = headers.get("content-length")
    if length is None:
        return (411, "say how long the request is (Content-Length)", []) if "transfer-encoding" in headers else None
    if not length.isdecimal() or int(length) > _MOST_BODY:
        return 413, f"a request may have {_MOST_BODY // 2**20} MiB", []
    return None


def cookie_of(header: str) -> str | None:
    """The session in a Cookie header."""
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return found.value if found else None


def _same_site(headers: dict[str, str], host: str) -> bool:
    """Whether a change comes from a page of this server, or from no page at all (a script with a token)."""
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:  # no address at all
        return False


def _extra(present: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers that are not there yet."""
    there = {name.lower() for name, _ in present}
    wanted = {
        b"content-security-policy": POLICY.encode(),
        b"x-content-type-options": b"nosniff",
        b"x-frame-options": b"DENY",
        b"referrer-policy": b"same-origin",  # without one, a form is sent with the origin "null"
        b"cross-origin-resource-policy": b"same-origin",
        b"cross-origin-opener-policy": b"same-origin",
        b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
        b"cache-control": b"no-store",
    }
    return [(name, value) for name, value in wanted.items() if name not in there]
