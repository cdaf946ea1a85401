"""How a request is refused: `{"error": one line}` and the right status."""

import math

from aiohttp import web


def refused(status: int, line: str) -> web.Response:
    """An error as every client of ours gets it."""
    return web.json_response({"error": line}, status=status)


def unknown_caller(line: str, error: str | None = None) -> web.Response:
    """401, with what RFC 6750 (section 3) asks to be said; `error` is one of its codes when a token was shown."""
    response = refused(401, line)
    response.headers["WWW-Authenticate"] = 'Bearer realm="mien"' + (f', error="{error}"' if error else "")
    return response


def too_often(line: str, wait_s: float) -> web.Response:
    """429, with the seconds after which it may be tried again."""
    response = refused(429, line)
    response.headers["Retry-After"] = str(max(math.ceil(wait_s), 1))
    return response
