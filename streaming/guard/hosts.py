"""The names that this server is called by, and the pages that may use it."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_HOST: Final = re.compile(r"[A-Za-z0-9._-]+(:\d*)?|\[[0-9A-Fa-f:.]+\](:\d*)?")  # RFC 9110, section 7.2
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Hosts:
    """Allow-lists of `Host` and `Origin`.

    Attributes:
        names: host names that mean this server; anything else is DNS rebinding. "*.example.org" stands for one label.
        addresses: whether any literal IP address is a good Host (a server that others reach by its address).
        origins: other pages that may use this server, as `https://name[:port]`.
    """

    names: frozenset[str] = LOOPBACK_NAMES
    addresses: bool = False
    origins: frozenset[str] = frozenset()

    def knows(self, host: str | None) -> bool:
        """Whether a Host header means this server."""
        name = host_name(host)
        if name is None:
            return False
        if name in self.names or f"*.{name.partition('.')[2]}" in self.names:
            return True
        return self.addresses and _is_address(name)

    def is_own(self, origin: str | None, host: str, fetch_site: str | None) -> bool:
        """Whether a request comes from our own page, or from a program that is no browser."""
        if fetch_site not in (None, "same-origin", "none"):
            return False
        authority = _authority(origin) if origin is not None else None
        return origin is None or (authority is not None and authority == _authority(f"//{host}", origin))

    def is_allowed(self, origin: str | None) -> bool:
        """Whether a request comes from another page that the operator allows."""
        return origin is not None and origin.lower() in self.origins


def host_name(host: str | None) -> str | None:
    """The host name in a Host header, lower-case and without port or brackets; None if it is malformed."""
    if not host or not _HOST.fullmatch(host):
        return None
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises when it is no number
    except ValueError:
        return None
    return (parts.hostname or "").rstrip(".") or None


def _authority(url: str, scheme_of: str | None = None) -> tuple[str, int] | None:
    """Host and port of an address; a port that is not named is that of its scheme, or of the scheme of another address."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if urlsplit(scheme_of or url).scheme == "https" else 80)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
