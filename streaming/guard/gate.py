"""The gate that every request comes through before anything else looks at it."""

import re
import time
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from streaming.contract import SESSION_ID, now
from streaming.guard.admission import Admission, Admissions, NotAdmitted
from streaming.guard.answers import refused, too_often, unknown_caller
from streaming.guard.hosts import Hosts
from streaming.guard.lease import Leases
from streaming.guard.operator import Operator
from streaming.guard.proxies import Proxies
from streaming.guard.quota import GUESSES, Quota, client_of
from streaming.guard.rules import RULES, Rule, route_name, rule_for

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
SOCKET_PROTOCOL: Final = "mien"
SOCKET_BEARER: Final = "bearer."  # a browser's WebSocket shows its token as a second protocol: ["mien", "bearer.TOKEN"]
CONTENT_TYPE_LENGTH: Final = 200  # characters; Python's parser of it is quadratic: 2,000 hold the event loop for 0.3 s
_ID: Final = re.compile(SESSION_ID)
_NAMED: Final = ("session", "portrait", "ticket", "peer")  # the variable parts of our addresses
_CORS: Final = {
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, X-Ticket",
    "Access-Control-Max-Age": "600",
}
_EXPOSED: Final = "Location, Link, ETag, Accept-Patch, Accept-Post, Retry-After"


class Turned(Exception):
    """The request is turned away with this answer."""

    def __init__(self, answer: web.Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, as far as it was proved.

    Attributes:
        client: what its quotas are counted by.
        operator: whether it may do everything.
        holds: the session whose resume secret it showed.
        admission: what it was admitted by.
    """

    client: str
    operator: bool = False
    holds: str | None = None
    admission: Admission | None = None


CALLER: Final = web.RequestKey("caller", Caller)


class Gate:
    """The rules of a server, and what it has to remember to hold them."""

    def __init__(self, hosts: Hosts, operator: Operator, admissions: Admissions, leases: Leases, proxies: Proxies) -> None:
        self.hosts = hosts
        self.operator = operator
        self.admissions = admissions
        self.leases = leases
        self._proxies = proxies
        self._guesses = Quota(GUESSES)
        self._quotas = {name: Quota(rule.rate) for name, rule in RULES.items() if rule.rate is not None}

    def check(self, request: web.Request) -> Caller:
        """Who makes a request that may be made.

        Raises:
            Turned: if it breaks a rule.
        """
        if not self.hosts.knows(request.headers.get("Host")):
            raise Turned(refused(403, "this server is not called by that name; open it as http://localhost"))
        own = self._is_own(request)
        if not own and _changes(request) and not self.is_foreign(request):
            raise Turned(refused(403, "that page may not use this server: only its own page may"))
        if not all(_ID.fullmatch(request.match_info.get(name, "-")) for name in _NAMED):
            raise Turned(refused(404, "there is nothing at that address"))
        if len(request.headers.get("Content-Type", "")) > CONTENT_TYPE_LENGTH:
            raise Turned(refused(415, "the Content-Type is too long"))
        return self._admit(request, rule_for(request), own=own)

    def is_foreign(self, request: web.Request) -> bool:
        """Whether another page makes the request, one that the operator allows."""
        return self.hosts.is_allowed(request.headers.get("Origin")) and not self._is_own(request)

    def is_operator(self, request: web.Request, shown: str) -> bool:
        """Whether a request shows the operator's token; a client that guesses is soon not answered any more.

        Raises:
            Turned: if it has guessed too often.
        """
        if not self.operator.has_token:
            return False
        client, instant = self._client(request), now()
        if (wait := self._guesses.wait_s(client, at=instant)) > 0:
            raise Turned(too_often("too many wrong tokens; wait some seconds before the next try", wait))
        if self.operator.knows(shown):
            return True
        self._guesses.take(client, at=instant)
        return False

    def _client(self, request: web.Request) -> str:
        return client_of(self._proxies.client(request.remote, request.headers.getall("X-Forwarded-For", [])))

    def _is_own(self, request: web.Request) -> bool:
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        return self.hosts.is_own(origin, request.headers.get("Host", ""), site)

    def _admit(self, request: web.Request, rule: Rule, *, own: bool) -> Caller:
        client, quota = self._client(request), self._quotas.get(route_name(request))
        if rule.anybody:
            return Caller(client)
        if quota is not None and (wait := quota.wait_s(client, at=now())) > 0:  # before an admission is spent on it
            raise Turned(too_often("that was asked for too often; wait a moment", wait))
        shown = _bearer(request)
        if shown is not None:
            caller = self._by_bearer(request, rule, client, shown)
        elif rule.recognized and own and self.operator.recognizes(request):
            caller = Caller(client, operator=True)
        else:
            raise Turned(unknown_caller(_wanted(rule)))
        if quota is not None:
            quota.take(client, at=now())
        return caller

    def _by_bearer(self, request: web.Request, rule: Rule, client: str, shown: str) -> Caller:
        session, line = request.match_info.get("session"), "this server does not know that token"
        if (holds := self.leases.session_of(shown, at=now())) is not None:
            if rule.holder and session in (None, holds):
                return Caller(client, holds=holds)
            raise Turned(refused(403, "a resume secret is for its own session, and does not connect: ask for an admission"))
        if rule.scope is not None:
            try:
                admission = self.admissions.redeem(shown, rule.scope, session, at=time.time(), spend=rule.spends)
                return Caller(client, admission=admission)
            except NotAdmitted as error:
                line = str(error)
        if self.is_operator(request, shown):
            return Caller(client, operator=True)
        raise Turned(unknown_caller(line, "invalid_token"))


def middleware(gate: Gate, login_page: Handler) -> Middleware:
    """The gate as aiohttp's middleware; a browser that lacks the token is shown `login_page`."""

    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        foreign = gate.is_foreign(request)
        try:
            answer = _preflight(request) if foreign else None
            answer = answer or _entrance(gate, request)
            if answer is None:
                request[CALLER] = gate.check(request)
                answer = await handler(request)
        except Turned as turned:
            answer = turned.answer
            if answer.status == 401 and "text/html" in request.headers.get("Accept", ""):
                answer = await login_page(request)
                answer.set_status(401)
        if foreign and not answer.prepared:
            answer.headers.update({"Access-Control-Allow-Origin": request.headers["Origin"], "Vary": "Origin"})
            answer.headers["Access-Control-Expose-Headers"] = _EXPOSED
        return answer

    return watch


def _preflight(request: web.Request) -> web.Response | None:
    """The answer to a browser that asks whether another page may use this server (Fetch, section 3.2)."""
    asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
    return web.Response(status=204, headers=_CORS) if asks else None


def _entrance(gate: Gate, request: web.Request) -> web.Response | None:
    """A right token in the address becomes a cookie, and the browser goes on to the address without it."""
    shown = request.query.get("token")
    if shown is None or request.method != "GET" or not gate.hosts.knows(request.headers.get("Host")):
        return None
    if not gate.is_operator(request, shown):
        return None
    response = web.Response(status=303, headers={"Location": str(request.rel_url.without_query_params("token"))})
    gate.operator.remember(response)
    return response


def _changes(request: web.Request) -> bool:
    """Whether a request may change something."""
    return request.method not in SAFE_METHODS or request.headers.get("Upgrade", "").lower() == "websocket"


def _bearer(request: web.Request) -> str | None:
    """The token that a request shows (RFC 6750, section 2.1)."""
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return shown.strip()
    protocols = (word.strip() for word in request.headers.get("Sec-WebSocket-Protocol", "").split(","))
    return next((word.removeprefix(SOCKET_BEARER) for word in protocols if word.startswith(SOCKET_BEARER)), None)


def _wanted(rule: Rule) -> str:
    if rule.scope is None or rule.recognized:
        return "this server asks for its token"
    return f"this needs an admission to {rule.scope}: POST /api/admissions gives one"
