"""Admissions: short-lived signed tokens, each of whose scopes lets its bearer in once.

They are JSON Web Tokens (RFC 7519, HS256) with these claims, so that a broker
which shares the key can issue them in any language:

    aud     "mien"
    scope   what it lets do, separated by spaces: open speak watch control enrol
    sub     the session it is for; needed for speak, watch and control
    iat     when it was issued, exp: until when it is good, 120 s later at most
    jti     what tells it from all others
"""

import heapq
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import jwt

from engine.errors import MienError

LIFE_S: Final = 120
CLOCK_SKEW_S: Final = 5  # by which the clock of a broker may be ahead of ours
LENGTH: Final = 1024  # characters of a token at most
_ALGORITHM: Final = "HS256"
_AUDIENCE: Final = "mien"
_CLAIMS: Final = ("aud", "exp", "iat", "jti", "scope")


class Scope(StrEnum):
    """What an admission lets its bearer do."""

    OPEN = "open"  # a session
    SPEAK = "speak"  # to a session, with a voice, a camera or both
    WATCH = "watch"  # a session
    CONTROL = "control"  # a session, over its socket
    ENROL = "enrol"  # a photo


OF_A_SESSION: Final = frozenset({Scope.SPEAK, Scope.WATCH, Scope.CONTROL})


class NotAdmitted(MienError):
    """A token that lets nobody in; the message is one line that says why, and nothing of the token."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What a good token says.

    Attributes:
        id: what tells it from all others.
        scopes: what it lets its bearer do, once each.
        session: the session it is for, if for a certain one.
        expires_at: seconds of Unix time.
    """

    id: str
    scopes: frozenset[str]
    session: str | None
    expires_at: float


class Admissions:
    """Issues admissions and lets their bearers in. Instants (`at`) are seconds of Unix time: brokers have other clocks.

    Args:
        key: what they are signed with, 32 bytes at least; random when nobody else issues them.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(32)
        self._spent: set[tuple[str, str]] = set()  # admission and scope
        self._expiry: list[tuple[float, tuple[str, str]]] = []  # a heap: when each of the spent need not be known any more

    def issue(self, scopes: Iterable[Scope], session: str | None, *, at: float, life_s: int = LIFE_S) -> str:
        """A new token.

        Raises:
            ValueError: for no scope, a scope that needs a session and has none, or a life that is too long.
        """
        wanted = sorted(set(scopes))
        if not wanted or (session is None and OF_A_SESSION.intersection(wanted)):
            raise ValueError(f"an admission needs scopes, and a session for {', '.join(sorted(OF_A_SESSION))}")
        if not 1 <= life_s <= LIFE_S:
            raise ValueError(f"an admission lives 1 to {LIFE_S} s, got {life_s}")
        claims: dict[str, Any] = {"aud": _AUDIENCE, "scope": " ".join(wanted), "jti": secrets.token_hex(16)}
        claims |= {"iat": int(at), "exp": int(at) + life_s} | ({"sub": session} if session is not None else {})
        return jwt.encode(claims, self._key, _ALGORITHM)

    def redeem(self, token: str, scope: Scope, session: str | None, *, at: float, spend: bool = True) -> Admission:
        """Let the bearer of a token in, once; `session` is the one that is asked for, if `scope` is of a session.

        Without `spend` the token is only looked at.

        Raises:
            NotAdmitted: if it is forged, expired, spent, or for something else.
        """
        admission = self._read(token, at)
        if scope not in admission.scopes:
            raise NotAdmitted(f"this admission is not one to {scope}")
        if scope in OF_A_SESSION and admission.session != session:
            raise NotAdmitted("this admission is for another session")
        self._forget(at)
        spent = (admission.id, scope.value)
        if spent in self._spent:
            raise NotAdmitted("this admission has been used; each is good once")
        if spend:
            self._spent.add(spent)
            heapq.heappush(self._expiry, (admission.expires_at, spent))
        return admission

    def _read(self, token: str, at: float) -> Admission:
        """What a token says, if it is one of ours and in its time."""
        if len(token) > LENGTH:
            raise NotAdmitted("this is no admission of this server")
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                options={"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
            raise NotAdmitted("this is no admission of this server") from error
        return _checked(claims, at)

    def _forget(self, at: float) -> None:
        """Expired admissions are refused for that; whether they were spent need not be known."""
        while self._expiry and self._expiry[0][0] <= at:
            self._spent.discard(heapq.heappop(self._expiry)[1])


def _checked(claims: dict[str, Any], at: float) -> Admission:
    issued, expires, session = claims["iat"], claims["exp"], claims.get("sub")
    texts = (claims["scope"], claims["jti"], "" if session is None else session)
    if not all(type(instant) in (int, float) for instant in (issued, expires)) or not all(isinstance(t, str) for t in texts):
        raise NotAdmitted("this admission is not written as it should be")
    if not (expires - issued <= LIFE_S and issued <= at + CLOCK_SKEW_S):
        raise NotAdmitted(f"this admission was issued for more than {LIFE_S} s, or in the future")
    if not at < expires:
        raise NotAdmitted("this admission has expired; ask for a new one")
    return Admission(claims["jti"][:64], frozenset(claims["scope"].split()), session, float(expires))
