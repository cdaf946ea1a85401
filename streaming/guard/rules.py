"""Which request needs whose leave: one table. What is not in it is the operator's alone."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from streaming.guard.admission import Scope
from streaming.guard.quota import ADMISSIONS, OFFERS, SESSIONS, UPLOADS, Rate


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may make a request. The operator's token as a bearer's always does.

    Attributes:
        anybody: everyone may.
        recognized: the operator's browser may, by its cookie, and on a server without a token whoever reaches it.
        scope: an admission of this scope may.
        holder: the resume secret of a session may; of the session that the address names, if it names one.
        spends: whether an admission is used up by it.
        rate: how often one client may.
    """

    anybody: bool = False
    recognized: bool = True
    scope: Scope | None = None
    holder: bool = False
    spends: bool = True
    rate: Rate | None = None


OPERATOR: Final = Rule()
ANYBODY: Final = Rule(anybody=True)
_OF_HOLDER: Final = Rule(holder=True)
_BY_ADDRESS: Final = ANYBODY  # the address of a connection ends in 96 random bits or more: who knows it has been let in

RULES: Final = {
    "GET /livez": ANYBODY,
    "GET /readyz": ANYBODY,
    "GET /favicon.ico": ANYBODY,
    "GET /static": ANYBODY,  # the page's program, which is no secret
    "POST /login": ANYBODY,
    "POST /api/sessions": Rule(scope=Scope.OPEN, holder=True, rate=SESSIONS),
    "GET /api/sessions/{session}": _OF_HOLDER,
    "DELETE /api/sessions/{session}": _OF_HOLDER,
    "GET /api/sessions/{session}/events": Rule(scope=Scope.CONTROL),
    "POST /api/admissions": Rule(holder=True, rate=ADMISSIONS),
    "POST /api/portraits": Rule(scope=Scope.ENROL, rate=UPLOADS),
    "POST /whip/{session}": Rule(recognized=False, scope=Scope.SPEAK, rate=OFFERS),
    "POST /whep/{session}": Rule(recognized=False, scope=Scope.WATCH, rate=OFFERS),
    "PATCH /whip/{session}/{peer}": _BY_ADDRESS,
    "PATCH /whep/{session}/{peer}": _BY_ADDRESS,
    "DELETE /whip/{session}/{peer}": _BY_ADDRESS,
    "DELETE /whep/{session}/{peer}": _BY_ADDRESS,
    # They name relays and the credentials to use them with.
    "OPTIONS /whip/{session}": Rule(scope=Scope.SPEAK, spends=False, holder=True),
    "OPTIONS /whep/{session}": Rule(scope=Scope.WATCH, spends=False, holder=True),
    "OPTIONS /whip/{session}/{peer}": ANYBODY,
    "OPTIONS /whep/{session}/{peer}": ANYBODY,
}


def route_name(request: web.Request) -> str:
    """How the table calls a request: its method and its route, not its address."""
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return f"{method} {resource.canonical if resource is not None else ''}"


def rule_for(request: web.Request) -> Rule:
    """The rule that a request is under."""
    return RULES.get(route_name(request), OPERATOR)
