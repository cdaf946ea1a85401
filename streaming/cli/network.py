"""`mien doctor --network`: why a browser cannot connect, one finding for each thing that must be right."""

import asyncio
import ipaddress
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast

from aioice import stun
from aioice.turn import TurnTransport, create_turn_endpoint

from streaming.cli.finding import Check, Finding
from streaming.config import Refused, exposure_line, is_loopback
from streaming.rtc.reach import Address, this_host
from streaming.rtc.servers import IceServer, IceServers

PATIENCE_S: Final = 3.0
TRIES: Final = 3
EXPIRES_SOON_DAYS: Final = 14
GREETING: Final = b"mien"
CREDENTIAL_ERRORS: Final = (401, 403, 438)


@dataclass(frozen=True, slots=True)
class Network:
    """How the server is, or will be, started."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    servers: IceServers = field(default_factory=IceServers)


def checks(network: Network) -> dict[str, Check]:
    """What must be right, in the order in which a connection needs it."""
    named = network.servers.at(time.time())
    return {
        "addresses": lambda: addresses(network),
        "page": lambda: page(network),
        "certificate": lambda: certificate(network),
        "clock": clock,
        "UDP": lambda: udp(network),
        **{server.url: lambda server=server: relay(server) if server.relays else reflection(server) for server in named},
        **({} if named else {"relays": lambda: unrelayed(network)}),
    }


def addresses(network: Network) -> Finding:
    """Where browsers can find this machine."""
    outward = sorted(map(str, _outward()))
    if is_loopback(network.host):
        return Finding("addresses", "ok", f"{network.host}: browsers on this machine alone; elsewhere needs --host 0.0.0.0")
    if not outward:
        return Finding("addresses", "missing", "no address but loopback", "connect this machine to a network")
    return Finding("addresses", "ok", ", ".join(outward))


def page(network: Network) -> Finding:
    """Whether the page's port can be used, or the server is there already."""
    host = network.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    place = ("localhost" if host in ("", "0.0.0.0", "::") else host, network.port)
    with suppress(OSError), socket.create_connection(place, 1):
        return Finding("page", "ok", f"something answers at {place[0]}:{network.port}: this server, if it runs")
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, network.port))
        except OSError as error:
            cure = "--host takes an address of this machine, see above; ports below 1024 need root"
            return Finding("page", "missing", f"{host}:{network.port}: {error.strerror or error}", cure)
    if is_loopback(host):
        return Finding("page", "ok", f"port {network.port} is free")
    return Finding(
        "page", "ok", f"port {network.port} is free; a firewall must let TCP in to it: sudo ufw allow {network.port}/tcp"
    )


def certificate(network: Network) -> Finding:
    """Browsers give a microphone only to localhost and to https pages."""
    if network.certificate is None or network.key is None:
        if is_loopback(network.host):
            return Finding("certificate", "ok", "none is needed: localhost is trusted")
        return Finding("certificate", "missing", "none, so browsers give the page no microphone", exposure_line(network.host))
    from cryptography import x509

    from streaming.tls import certificate_names, server_context

    try:
        server_context(network.certificate, network.key)
        names = sorted(certificate_names(network.certificate))
    except Refused as error:
        return Finding("certificate", "missing", str(error), "name the certificate and its own key, both in PEM")
    parsed = x509.load_pem_x509_certificate(network.certificate.read_bytes())
    now, ends = datetime.now(UTC), parsed.not_valid_after_utc
    detail = f"for {', '.join(names) or 'no name'}, until {ends:%Y-%m-%d}"
    if not parsed.not_valid_before_utc <= now <= ends:
        return Finding("certificate", "missing", f"{detail}: not valid now", "renew it, and look at this machine's clock")
    if not names:
        return Finding("certificate", "missing", f"{detail}: browsers refuse it", exposure_line(network.host))
    if (ends - now).days < EXPIRES_SOON_DAYS:
        return Finding("certificate", "optional", f"{detail}: {(ends - now).days} days are left", "renew it")
    if parsed.issuer == parsed.subject:
        return Finding(
            "certificate", "optional", f"{detail}, signed by itself", "browsers warn: accept it once in each, or use a CA's"
        )
    return Finding("certificate", "ok", detail)


def clock() -> Finding:
    """Certificates and relay credentials hold for a time: a clock that is wrong makes them invalid."""
    detail = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    if time.time() < Path(__file__).stat().st_mtime:
        return Finding("clock", "missing", f"{detail}: mien's own files are newer", "sudo timedatectl set-ntp true")
    if (command := shutil.which("timedatectl")) is None:
        return Finding("clock", "ok", f"{detail}: is that right?")
    shown = subprocess.run((command, "show", "-p", "NTPSynchronized", "--value"), capture_output=True, text=True, check=False)
    if shown.stdout.strip() == "no":
        return Finding("clock", "optional", f"{detail}, not kept by a time server", "sudo timedatectl set-ntp true")
    return Finding("clock", "ok", detail)


def udp(network: Network) -> Finding:
    """Whether datagrams pass on this machine's own addresses: media do not go over the page's port."""
    tried = [ipaddress.ip_address("127.0.0.1")] if is_loopback(network.host) else _outward()
    deaf = [address for address in tried if not _hears_itself(address)]
    if deaf:
        cure = "let UDP in to ports 1024 to 65535: sudo ufw allow 1024:65535/udp"
        return Finding("UDP", "missing", f"no datagram passes at {', '.join(map(str, deaf))}: a local firewall", cure)
    return Finding("UDP", "ok", f"passes on {len(tried)} addresses here; what lies between shows only with --ice-server")


def unrelayed(network: Network) -> Finding:
    """What it means that no server is named."""
    if is_loopback(network.host):
        return Finding("relays", "ok", "none are needed on this machine")
    hidden = not any(address.is_global for address in _outward())
    cure = "--ice-server turn:HOST --ice-server turns:HOST --turn-secret SECRET (coturn with use-auth-secret)"
    if hidden:
        return Finding(
            "relays", "optional", "none, and this machine has private addresses only: its own network reaches it", cure
        )
    return Finding("relays", "optional", "none: browsers whose network blocks UDP do not connect", cure)


def reflection(server: IceServer) -> Finding:
    """Ask a STUN server how the world sees us (RFC 8489)."""
    host, port = server.place
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)[0]
    except OSError as error:
        return _unknown_name(server, error)
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(PATIENCE_S / TRIES)
        for _ in range(TRIES):
            with suppress(OSError, ValueError):
                asking.sendto(bytes(request), place)
                answer = stun.parse_message(asking.recv(2048))
                seen = cast("tuple[str, int]", answer.attributes["XOR-MAPPED-ADDRESS"])[0]
                behind = "" if ipaddress.ip_address(seen) in this_host() else ", behind a NAT"
                return Finding(server.url, "ok", f"answers; this machine is {seen} to it{behind}")
    cure = "let UDP out to it, or name a relay over TCP: --ice-server turns:HOST"
    return Finding(server.url, "optional", f"no answer over UDP within {PATIENCE_S:.0f} s", cure)


def relay(server: IceServer) -> Finding:
    """Allocate a relay as a browser does, and see whether it reaches us (RFC 8656)."""
    try:
        return asyncio.run(_relayed(server))
    except stun.TransactionFailed as error:
        return _refusal(server, error.response.error_code)
    except (TimeoutError, stun.TransactionTimeout):
        cure = f"let {server.transport.upper()} out to it, and look whether it runs; over TCP: {_over_tcp(server)}"
        return Finding(server.url, "optional", f"no answer over {server.transport.upper()} within {PATIENCE_S:.0f} s", cure)
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or error.reason or "TLS fails"
        return Finding(
            server.url, "optional", f"its certificate is refused: {why}", "give it a certificate that browsers trust"
        )
    except socket.gaierror as error:
        return _unknown_name(server, error)
    except (OSError, stun.TransactionError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Finding(server.url, "optional", f"cannot be reached: {why}", "look whether it runs, and at its listening ports")


class _Ear(asyncio.DatagramProtocol):
    """Waits for one greeting, or for what goes wrong with it."""

    def __init__(self) -> None:
        self.heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data == GREETING and not self.heard.done():
            self.heard.set_result(None)

    def error_received(self, exc: Exception) -> None:
        if not self.heard.done():
            self.heard.set_exception(exc)


async def _relayed(server: IceServer) -> Finding:
    began = time.monotonic()
    async with asyncio.timeout(PATIENCE_S):
        transport, mouth = await create_turn_endpoint(
            _Ear,
            server.place,
            server.username,
            server.credential,
            ssl=server.scheme == "turns",
            transport=server.transport,
        )
    took_ms = (time.monotonic() - began) * 1000
    at = cast("tuple[str, int]", transport.get_extra_info("sockname"))[0]
    detail = f"relays from {at} over {server.transport.upper()}, {took_ms:.0f} ms to allocate"
    try:
        return await _greeted(server, transport, mouth, detail)
    finally:
        transport.close()
        await asyncio.sleep(0.1)  # the allocation is given back


async def _greeted(server: IceServer, transport: TurnTransport, mouth: _Ear, detail: str) -> Finding:
    loop = asyncio.get_running_loop()
    ours = _towards(server.place[0])
    socket_, ear = await loop.create_datagram_endpoint(_Ear, local_addr=(ours, 0))
    try:
        transport.sendto(GREETING, cast("tuple[str, int]", socket_.get_extra_info("sockname")))
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait((ear.heard, mouth.heard), return_when=asyncio.FIRST_COMPLETED)
        (ear.heard if ear.heard.done() else mouth.heard).result()
    except (TimeoutError, stun.TransactionError):
        cure = f"let UDP in from the relay, and the relay send to {ours} (coturn: allowed-peer-ip={ours})"
        return Finding(server.url, "optional", f"{detail}, but what it relays does not arrive at {ours}", cure)
    finally:
        socket_.close()
        for waiting in (ear.heard, mouth.heard):
            waiting.cancel()
    return Finding(server.url, "ok", f"{detail}; it reaches this machine at {ours}")


def _refusal(server: IceServer, code: int | None) -> Finding:
    if code in CREDENTIAL_ERRORS:
        cure = "--turn-secret must be its static-auth-secret, or --turn-user one of its users; its clock and ours must agree"
        return Finding(server.url, "optional", f"it refuses the credentials ({code})", cure)
    if code in (486, 508):
        return Finding(
            server.url, "optional", f"it has no relay to spare ({code})", "raise its user-quota, total-quota or port range"
        )
    return Finding(server.url, "optional", f"it refuses to relay ({code})", "look into its log")


def _unknown_name(server: IceServer, error: OSError) -> Finding:
    return Finding(
        server.url, "optional", f"{server.place[0]}: {error.strerror}", "name a host that this machine's resolver knows"
    )


def _over_tcp(server: IceServer) -> str:
    return f"--ice-server turn:{server.place[0]}:{server.place[1]}?transport=tcp"


def _outward() -> Sequence[Address]:
    return [address for address in this_host() if not (address.is_loopback or address.is_link_local)]


def _hears_itself(address: Address) -> bool:
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_DGRAM)) as ear, closing(socket.socket(family, socket.SOCK_DGRAM)) as mouth:
        ear.settimeout(1)
        try:
            ear.bind((str(address), 0))
            mouth.sendto(GREETING, ear.getsockname())
            return ear.recv(16) == GREETING
        except OSError:
            return False


def _towards(host: str) -> str:
    """The address of ours from which a host is reached."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        return probe.getsockname()[0]
