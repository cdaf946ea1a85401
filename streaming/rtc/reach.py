"""Which addresses a stranger's offer may have us send to.

Every candidate of an offer is an address of the offerer's choice that ICE
sends datagrams to (RFC 8445, section 19.5.1), so only those pass that a peer
can really have: global unicast, and this network's own where the operator
allows them. IPv6 forms that hide an IPv4 address (mapped, NAT64, 6to4,
Teredo) are not judged but refused, unless they are plain mapped ones.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final

import psutil

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

USER_PORTS: Final = range(1024, 65_536)
_METADATA: Final = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200")))
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")  # RFC 4291: all else of IPv6 is special, 64:ff9b::/96 too
_PRIVATE: Final = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))


@dataclass(frozen=True, slots=True)
class Reach:
    """The addresses that may be sent to.

    Attributes:
        private: whether loopback and private addresses may (RFC 1918, RFC 4193).
        own: addresses that may whatever they are, as long as they are unicast and not link-local.
    """

    private: bool = False
    own: frozenset[Address] = frozenset()

    def allows(self, address: Address) -> bool:
        """Whether datagrams may be sent to an address."""
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            return self.allows(address.ipv4_mapped)
        if address in _METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
            return False
        if address in self.own:
            return True
        if address.is_loopback or any(address in network for network in _PRIVATE if network.version == address.version):
            return self.private
        return address.is_global and _is_plain(address)

    def usable(self, candidate: str) -> bool:
        """Whether a candidate may be checked: `candidate:...` as in RFC 8839, section 5.1, with or without `a=`.

        Only UDP to a user's port of a literal address is; a name (`.local`) is not looked up.
        """
        fields = candidate.partition(":")[2].split()
        try:
            transport, host, port = fields[2].lower(), fields[4], int(fields[5])
            address = ipaddress.ip_address(host)
        except (IndexError, ValueError):
            return False
        return transport == "udp" and port in USER_PORTS and self.allows(address)


def this_host() -> frozenset[Address]:
    """Loopback and every address of this machine's interfaces, as they are now."""
    found = {ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")}
    for entries in psutil.net_if_addrs().values():
        for entry in entries:
            try:
                found.add(ipaddress.ip_address(entry.address.partition("%")[0]))
            except ValueError:
                continue  # a hardware address
    return frozenset(found)


def _is_plain(address: Address) -> bool:
    """Whether an address is what it seems: neither 6to4 nor Teredo, which carry an IPv4 address of anybody's."""
    if isinstance(address, ipaddress.IPv4Address):
        return True
    return address in _GLOBAL_UNICAST and address.sixtofour is None and address.teredo is None
