"""STUN and TURN servers: what the operator names, and the credentials that peers get for them."""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

CREDENTIAL_S: Final = 3600
"""How long a short-lived credential allows new allocations; one that is made with it lives on."""
DEFAULT_PORTS: Final = {"stun": 3478, "turn": 3478, "turns": 5349}

# RFC 7064 and RFC 7065; no address of IPv6, which aiortc does not understand.
_URL = re.compile(
    r"(?P<scheme>stun|turns?):(?P<host>[A-Za-z0-9.-]{1,253})(:(?P<port>\d{1,5}))?(\?transport=(?P<transport>udp|tcp))?"
)


@dataclass(frozen=True, slots=True)
class IceServer:
    """One server as a peer is told of it, `stun:host:port` or `turn:host:port?transport=udp`.

    Raises:
        ValueError: if the address is not one of a STUN or TURN server.
    """

    url: str
    username: str | None = None
    credential: str | None = None

    def __post_init__(self) -> None:
        match = _URL.fullmatch(self.url)
        if match is None or int(match["port"] or 1) not in range(1, 65_536):
            raise ValueError(
                f"{self.url[:80]!r} is no STUN or TURN server: write stun:HOST:PORT, turn:HOST:PORT, "
                "turn:HOST:PORT?transport=tcp or turns:HOST:PORT"
            )
        if match["transport"] and self.scheme == "stun":
            raise ValueError(f"{self.url}: STUN has no transport to choose; leave ?transport= away")
        if self.transport == "udp" and self.scheme == "turns":
            raise ValueError(f"{self.url}: TURN over TLS goes over TCP; leave ?transport=udp away")

    @property
    def scheme(self) -> str:
        """What it speaks: "stun", "turn", or "turns" for TURN over TLS."""
        return self.url.partition(":")[0]

    @property
    def relays(self) -> bool:
        """Whether it is a TURN server."""
        return self.scheme != "stun"

    @property
    def transport(self) -> str:
        """How it is reached: "udp" or "tcp"."""
        found = self.url.partition("?transport=")[2]
        return found or ("tcp" if self.scheme == "turns" else "udp")

    @property
    def place(self) -> tuple[str, int]:
        """Its host and port."""
        host, _, port = self.url.partition(":")[2].partition("?")[0].partition(":")
        return host, int(port or DEFAULT_PORTS[self.scheme])

    @property
    def link(self) -> str:
        """As the value of a Link header (RFC 9725, section 4.6)."""
        link = f'<{self.url}>; rel="ice-server"'
        if self.username is not None:
            link += f'; username="{self.username}"; credential="{self.credential}"; credential-type="password"'
        return link


@dataclass(frozen=True, slots=True)
class IceServers:
    """The servers of an operator, in order of preference.

    Attributes:
        urls: their addresses.
        secret: what is shared with the TURN servers (coturn's `static-auth-secret`); each peer gets credentials that expire.
        username, password: of the TURN servers that have no such secret.

    Raises:
        ValueError: for what is no server, and for TURN without credentials, or with both kinds.
    """

    urls: tuple[str, ...] = ()
    secret: str | None = None
    username: str | None = None
    password: str | None = None

    def __post_init__(self) -> None:
        relays = any(IceServer(url).relays for url in self.urls)
        if self.secret and self.username:
            raise ValueError("TURN takes a shared secret or a user and password, not both")
        if relays and not self.secret and not (self.username and self.password):
            raise ValueError("a TURN server needs a shared secret (short-lived credentials) or a user and password")
        if any(set(word or "") & set('"\\\r\n') for word in (self.username, self.password)):
            raise ValueError("a TURN user and password have no quotes, backslashes or line breaks")

    def at(self, wall_s: float) -> tuple[IceServer, ...]:
        """The servers with credentials that are good from `wall_s`, in seconds of Unix time, for `CREDENTIAL_S`."""
        username, password = self.username, self.password
        if self.secret:
            username = str(int(wall_s) + CREDENTIAL_S)
            password = short_lived(self.secret, username)
        plain = (IceServer(url) for url in self.urls)
        return tuple(IceServer(server.url, username, password) if server.relays else server for server in plain)


def short_lived(secret: str, username: str) -> str:
    """The password to a user name that says when it expires (draft-uberti-behave-turn-rest-00; coturn's `use-auth-secret`)."""
    return base64.b64encode(hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()).decode()
