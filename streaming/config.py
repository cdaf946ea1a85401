"""What an operator may decide about the server, and what it refuses to start with."""

import ipaddress
import re
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from engine.errors import MienError
from streaming.contract import LOOK_AHEAD_MS, LOOK_AHEADS_MS
from streaming.publish_target import Target
from streaming.rtc.servers import IceServers

DEFAULT_PORT = 8700
SIZES = (256, 384, 512, 768)  # px
RATES = (25, 30, 50, 60)  # fps
TOKEN_LENGTH = 16  # characters at least, so that it cannot be guessed
KEY_LENGTH = 32  # likewise; as long as what it signs with (RFC 7518, section 3.2)

_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")

_CERTIFICATE_CURE = (
    'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN={name}" '
    '-addext "subjectAltName=DNS:{name}" -keyout key.pem -out certificate.pem'
)


class Refused(MienError):
    """The server does not start with these options; the message says what to do instead."""


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The operator's configuration.

    Raises:
        Refused: for options that would serve a face to strangers, or that contradict each other.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    size: int = 512  # px, what a page gets that asks for nothing else
    fps: int = 25
    look_ahead_ms: int = LOOK_AHEAD_MS
    renderer: str = "mesh"  # one of streaming.worker.options.STUDIOS
    models: Path | None = None  # folder of the renderer's networks, if it has any
    device: str = "auto"  # where they run, see engine.runtime.placement
    canonical: tuple[str, ...] = ()  # factors of pdfgc's latent that it holds there
    workers: int | None = None  # None: as many as use the cores
    microphone: str | None = None  # this machine's own: a device, or "" for the default one
    audio: str | None = None  # file or stream that PyAV reads
    camera: str | None = None  # this machine's own: a device, film or address, or "" for the first device
    portrait: str | None = None  # the face that is chosen when a page opens
    badge: bool = True
    head_style: Path | None = None  # file of a style: how heads move with the voice
    portraits: Path | None = None  # folder of the user's own portraits
    token: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    ice_servers: IceServers = field(default_factory=IceServers)  # STUN and TURN, for browsers and for this server
    publish: Target | None = None  # a WHIP server that sessions are pushed to
    hosts: frozenset[str] = frozenset()  # further names that the server is called by, lower-case
    origins: frozenset[str] = frozenset()  # other pages that may use it, as "https://name[:port]", lower-case
    admission_key: str | None = None  # shared with a broker that issues admissions; None: nobody else does
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()  # of which X-Forwarded-For is believed
    sessions_per_client: int = 16  # of one address
    drain_s: float = 8.0  # what sessions are left after SIGTERM; containers are killed after 10 s

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise Refused(f"--size must be one of {_listed(SIZES)}, got {self.size}")
        if self.fps not in RATES:
            raise Refused(f"--fps must be one of {_listed(RATES)}, got {self.fps}")
        if self.look_ahead_ms not in LOOK_AHEADS_MS:
            raise Refused(f"--look-ahead-ms must be {_listed(LOOK_AHEADS_MS)}, got {self.look_ahead_ms}")
        if not 0 <= self.port <= 65_535:
            raise Refused(f"--port must be between 0 and 65535, got {self.port}")
        if (self.certificate is None) != (self.key is None):
            raise Refused("--certificate and --key belong together: give both or neither")
        if self.token is not None and len(self.token) < TOKEN_LENGTH:
            raise Refused(f'a token has at least {TOKEN_LENGTH} characters: --token "$(openssl rand -hex 16)"')
        if self.admission_key is not None and len(self.admission_key) < KEY_LENGTH:
            raise Refused(f'an admission key has at least {KEY_LENGTH} characters: --admission-key "$(openssl rand -hex 32)"')
        if self.sessions_per_client < 1:
            raise Refused(f"--sessions-per-client must be at least 1, got {self.sessions_per_client}")
        if not 0 <= self.drain_s <= 3600:
            raise Refused(f"--drain-s must be between 0 and 3600, got {self.drain_s:g}")
        self._check_names()
        if not self.loopback and (self.token is None or self.certificate is None):
            raise Refused(exposure_line(self.host))

    def _check_names(self) -> None:
        for name in self.hosts:
            if not _HOST.fullmatch(name):
                raise Refused(f"--allow-host takes a name like face.example.org, got {name!r}")
            if not is_loopback(name) and self.token is None:
                raise Refused(f"who calls this server {name} may come from elsewhere, so it needs --token")
        for origin in self.origins:
            scheme, _, rest = origin.partition("://")
            if scheme not in ("http", "https") or not _HOST.fullmatch(rest.rpartition(":")[0] or rest):
                raise Refused(f"--allow-origin takes an origin like https://example.org, got {origin!r}")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    @property
    def scheme(self) -> str:
        """What the page's address begins with."""
        return "https" if self.certificate else "http"


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def exposure_line(host: str) -> str:
    """The one line that says why a server that others can reach needs a token and a certificate, and how to get them."""
    name = "this-machine.local" if host in ("0.0.0.0", "::", "") else host
    cure = _CERTIFICATE_CURE.format(name=name)
    return (
        f"{host} can be reached from other machines, so it needs --token, --certificate and --key: {cure} && "
        f'./mien serve --host {host} --token "$(openssl rand -hex 16)" --certificate certificate.pem --key key.pem'
    )


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values[:-1])) + f" or {values[-1]}"
