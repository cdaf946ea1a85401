"""Who may talk to the server: Host, Origin, token, and the headers that keep a page to itself."""

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

COOKIE = "mien"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS = frozenset({"/livez", "/readyz", "/login", "/static/login.css", "/favicon.ico"})

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_PERMISSIONS = "microphone=(self), camera=(self), autoplay=(self), fullscreen=(self), picture-in-picture=(self)"


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules that every request meets before anything else looks at it.

    Attributes:
        names: host names that mean this server; anything else is DNS rebinding. "*.example.org" stands for one label.
        token: what a client must show, or None when only this machine can connect.
        addresses: whether any literal IP address is a good Host (a server that others reach by its address).
        secure: whether the cookie is for TLS only.
    """

    names: frozenset[str] = LOOPBACK_NAMES
    token: str | None = None
    addresses: bool = False
    secure: bool = False
    _cookie: str = field(init=False)

    def __post_init__(self) -> None:
        # The cookie proves that its bearer knew the token without carrying it.
        proof = hmac.new((self.token or "").encode(), b"mien cookie", hashlib.sha256).hexdigest()
        object.__setattr__(self, "_cookie", proof)

    def knows_host(self, host: str | None) -> bool:
        """Whether a Host header means this server."""
        name = _name(host)
        if name is None:
            return False
        if name in self.names or f"*.{name.partition('.')[2]}" in self.names:
            return True
        return self.addresses and _is_address(name)

    def knows_origin(self, origin: str | None, host: str, fetch_site: str | None) -> bool:
        """Whether a request that changes something comes from our own page, or from a program that is no browser."""
        if fetch_site not in (None, "same-origin", "none"):
            return False
        return origin is None or _authority(origin) == _authority(f"//{host}", urlsplit(origin).scheme)

    def admits(self, request: web.Request) -> bool:
        """Whether a request shows the token: as a cookie of ours or as `Authorization: Bearer`."""
        if self.token is None:
            return True
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        return same(bearer, self.token) or same(request.cookies.get(COOKIE, ""), self._cookie)

    def remember(self, response: web.StreamResponse) -> None:
        """Give a browser the cookie that admits it from now on."""
        response.set_cookie(COOKIE, self._cookie, httponly=True, samesite="Strict", secure=self.secure, max_age=30 * 86_400)

    def refusal(self, request: web.Request) -> web.Response | None:
        """The answer to a request that breaks a rule, or None."""
        host = request.headers.get("Host")
        if not self.knows_host(host):
            return refused(403, "this server is not called by that name; open it as http://localhost")
        websocket = request.headers.get("Upgrade", "").lower() == "websocket"
        if request.method not in SAFE_METHODS or websocket:
            origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
            if not self.knows_origin(origin, host or "", site):
                return refused(403, "that page may not use this server: only its own page may")
        if request.path not in OPEN_PATHS and not self.admits(request):
            return refused(401, "this server asks for its token")
        return None


def refused(status: int, line: str) -> web.Response:
    """An error as every client of ours gets it: `{"error": one line}`."""
    return web.json_response({"error": line}, status=status)


def same(shown: str, expected: str) -> bool:
    """Compare secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(shown.encode(), expected.encode())


def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """The headers that keep the page to its own scripts, and others from framing or reading it."""
    host = request.headers.get("Host", "")
    # Older Safari does not count WebSockets as 'self'.
    sockets = f"ws://{host} wss://{host}" if _name(host) else ""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' blob: data:; "
        f"media-src 'self' blob:; connect-src 'self' {sockets}; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    for name, value in (
        ("Content-Security-Policy", policy),
        ("Permissions-Policy", _PERMISSIONS),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "same-origin"),  # with none at all, browsers hide the Origin of a form
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cache-Control", "no-cache"),
    ):
        response.headers.setdefault(name, value)


def middleware(guard: Guard, login_page: Handler) -> Middleware:
    """The guard as aiohttp's outermost middleware; a browser that lacks the token is shown `login_page`."""

    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = guard.refusal(request)
        if refusal is None or (refusal.status == 401 and _shows_token(guard, request)):
            return _entrance(guard, request) or await handler(request)
        if refusal.status == 401 and "text/html" in request.headers.get("Accept", ""):
            page = await login_page(request)
            page.set_status(401)
            return page
        return refusal

    return watch


def _shows_token(guard: Guard, request: web.Request) -> bool:
    shown = request.query.get("token")
    return guard.token is not None and shown is not None and request.method == "GET" and same(shown, guard.token)


def _entrance(guard: Guard, request: web.Request) -> web.Response | None:
    """A right token in the address becomes a cookie, and the browser goes on to the address without it."""
    if not _shows_token(guard, request):
        return None
    response = web.Response(status=303, headers={"Location": str(request.rel_url.without_query_params("token"))})
    guard.remember(response)
    return response


def _name(host: str | None) -> str | None:
    """The host name in a Host header, lower-case and without port or brackets; None if it is malformed."""
    if not host or any(c in host for c in "/@\\?# ,;"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises when it is no number
    except ValueError:
        return None
    return (parts.hostname or "").rstrip(".") or None


def _authority(url: str, scheme: str | None = None) -> tuple[str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if (scheme or parts.scheme) == "https" else 80)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
