"""How often one client may ask for what costs something. Instants are arguments."""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

CLIENTS_AT_MOST: Final = 4096
PAGES_PER_SESSION: Final = 16


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` at once, and `per_s` more every second."""

    burst: int
    per_s: float


GUESSES: Final = Rate(10, 0.1)  # wrong tokens
SESSIONS: Final = Rate(50, 5)
OFFERS: Final = Rate(100, 20)
ADMISSIONS: Final = Rate(100, 20)
UPLOADS: Final = Rate(10, 0.2)
MESSAGES: Final = Rate(400, 200)  # on one socket; a page's sliders send 60 a second


class Bucket:
    """A token bucket: full at first."""

    __slots__ = ("_at", "_left", "_rate")

    def __init__(self, rate: Rate, *, at: float) -> None:
        self._rate, self._left, self._at = rate, float(rate.burst), at

    def wait_s(self, *, at: float) -> float:
        """Seconds until one may be taken; 0.0: now."""
        self._left = min(self._left + max(at - self._at, 0.0) * self._rate.per_s, float(self._rate.burst))
        self._at = max(at, self._at)
        return max(1.0 - self._left, 0.0) / self._rate.per_s

    def take(self, *, at: float) -> float:
        """Take one if there is one; else the seconds until there is."""
        wait = self.wait_s(at=at)
        if wait == 0.0:
            self._left -= 1
        return wait


class Quota:
    """A bucket for each client; the ones that have been silent longest are forgotten first."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, client: str, *, at: float) -> float:
        """Take one if there is one; else the seconds until there is."""
        return self._bucket(client, at).take(at=at)

    def wait_s(self, client: str, *, at: float) -> float:
        """Seconds until one may be taken; 0.0: now."""
        return self._bucket(client, at).wait_s(at=at)

    def _bucket(self, client: str, at: float) -> Bucket:
        bucket = self._buckets.pop(client, None) or Bucket(self._rate, at=at)
        self._buckets[client] = bucket
        if len(self._buckets) > CLIENTS_AT_MOST:
            self._buckets.popitem(last=False)
        return bucket


def client_of(remote: str | None) -> str:
    """Whom an address counts as: itself, or its /64 in IPv6, where one client has as many as it likes."""
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ipaddress.IPv6Address(int(address) >> 64 << 64))
