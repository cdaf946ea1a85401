"""The operator: who knows the server's token, as a header or, in a browser, as a cookie that stands for it."""

import hashlib
import hmac
from typing import Final

from aiohttp import web

COOKIE: Final = "mien"
COOKIE_LIFE_S: Final = 30 * 86_400


class Operator:
    """Knows the operator by the token that the server was started with.

    Args:
        token: what is to be shown; None: the server can only be reached from this machine, and whoever does is the operator.
        secure: whether the cookie is for TLS only.
    """

    def __init__(self, token: str | None = None, *, secure: bool = False) -> None:
        self._token = token
        self._secure = secure
        # The cookie proves that its bearer knew the token without carrying it.
        self._proof = hmac.new((token or "").encode(), b"mien cookie", hashlib.sha256).hexdigest()

    @property
    def has_token(self) -> bool:
        """Whether there is a token to be shown."""
        return self._token is not None

    def knows(self, shown: str) -> bool:
        """Whether that is the token."""
        return self._token is not None and same(shown, self._token)

    def recognizes(self, request: web.Request) -> bool:
        """Whether a request is the operator's without showing the token: by its cookie, or because there is no token."""
        return self._token is None or same(request.cookies.get(COOKIE, ""), self._proof)

    def remember(self, response: web.StreamResponse) -> None:
        """Give a browser the cookie by which it is recognized from now on."""
        response.set_cookie(COOKIE, self._proof, httponly=True, samesite="Strict", secure=self._secure, max_age=COOKIE_LIFE_S)


def same(shown: str, expected: str) -> bool:
    """Compare secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(shown.encode(errors="surrogateescape"), expected.encode())
