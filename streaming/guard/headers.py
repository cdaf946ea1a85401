"""The headers that keep a page to itself: what it may load, what it may use, who may frame it."""

from typing import Final

from aiohttp import web

from streaming.guard.hosts import host_name

_ALLOWED: Final = ("microphone", "camera", "autoplay", "fullscreen", "picture-in-picture")
_DENIED: Final = (
    "accelerometer", "display-capture", "encrypted-media", "geolocation", "gyroscope", "hid", "idle-detection",
    "magnetometer", "midi", "payment", "publickey-credentials-get", "screen-wake-lock", "serial", "usb",
    "xr-spatial-tracking",
)  # fmt: skip
_PERMISSIONS: Final = ", ".join([*(f"{name}=(self)" for name in _ALLOWED), *(f"{name}=()" for name in _DENIED)])
_HSTS: Final = "max-age=31536000"  # a year; without subdomains, which are not ours
_ALWAYS: Final = {
    "Permissions-Policy": _PERMISSIONS,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none at all, browsers hide the Origin of a form
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add to a response what it does not say itself."""
    for name, value in _ALWAYS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", _policy(request.headers.get("Host", "")))
    if request.secure:
        response.headers.setdefault("Strict-Transport-Security", _HSTS)
    response.headers.pop("Server", None)  # nobody needs to know which version of what this is


async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
    """`add_headers` as aiohttp's signal, so that no response goes without."""
    add_headers(request, response)


def _policy(host: str) -> str:
    # Older Safari does not count WebSockets as 'self'.
    sockets = f" ws://{host} wss://{host}" if host_name(host) else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' blob: data:; "
        f"media-src 'self' blob:; connect-src 'self'{sockets}; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
