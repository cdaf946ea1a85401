"""Resume secrets: who opened a session may come back to it, also after its place was given to others."""

import secrets
from collections import OrderedDict
from typing import Final

from streaming.guard.operator import same

KEPT_S: Final = 120.0  # how long after a session ended by itself its id is its holder's
KEPT_AT_MOST: Final = 10_000


class Leases:
    """One secret per session. Instants (`at`) are seconds of any one clock.

    A secret is the session's id, a dot, and 256 random bits: it says itself what it is for.
    """

    def __init__(self) -> None:
        self._secrets: dict[str, str] = {}
        self._ended: OrderedDict[str, float] = OrderedDict()  # session: when; the oldest first

    def grant(self, session: str) -> str:
        """A session's secret: a new one, if it has none yet."""
        self._ended.pop(session, None)
        return self._secrets.setdefault(session, f"{session}.{secrets.token_urlsafe(32)}")

    def session_of(self, secret: str, *, at: float) -> str | None:
        """The session that a secret belongs to; None if to none."""
        session = secret.partition(".")[0]
        return session if self.is_held(session, at=at) and same(secret, self._secrets[session]) else None

    def is_held(self, session: str, *, at: float) -> bool:
        """Whether an id belongs to whoever has its secret."""
        self._forget(at)
        return session in self._secrets

    def end(self, session: str, *, at: float) -> None:
        """A session ended by itself: its holder has `KEPT_S` to come back."""
        if session in self._secrets:
            self._ended[session] = at

    def revoke(self, session: str) -> None:
        """A session was ended by whoever may: its id is anybody's."""
        self._secrets.pop(session, None)
        self._ended.pop(session, None)

    def _forget(self, at: float) -> None:
        while self._ended:
            session, ended = next(iter(self._ended.items()))
            if at - ended < KEPT_S and len(self._ended) <= KEPT_AT_MOST:
                return
            self.revoke(session)
