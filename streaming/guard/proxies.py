"""Proxies that may say for whom they ask."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Proxies:
    """Those that the operator trusts: what others write into `X-Forwarded-For` means nothing.

    Attributes:
        trusted: their addresses.
    """

    trusted: tuple[Network, ...] = ()

    def client(self, remote: str | None, forwarded: Sequence[str]) -> str | None:
        """The address that asks: of those through which a request came, the last that is no proxy of ours.

        Args:
            remote: where the connection comes from.
            forwarded: the `X-Forwarded-For` headers in their order; each proxy has added at the end whom it heard.
        """
        for hop in reversed([part.strip() for header in forwarded for part in header.split(",")]):
            if not self._trusts(remote) or _address(hop) is None:
                break
            remote = hop
        return remote

    def _trusts(self, remote: str | None) -> bool:
        address = _address(remote or "")
        return address is not None and any(address in network for network in self.trusted if network.version == address.version)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
