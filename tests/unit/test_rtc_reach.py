import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.rtc.reach import Address, Reach, this_host

NEVER = (
    "169.254.169.254", "169.254.7.7", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200",  # link-local, metadata
    "224.0.0.1", "239.1.1.1", "ff02::1", "ff0e::1", "255.255.255.255",  # many at once
    "0.0.0.0", "0.1.2.3", "::", "240.0.0.1", "192.0.2.1", "2001:db8::1", "fec0::1", "100.64.0.1",  # nobody's
    "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b::a00:1", "2002:a9fe:a9fe::1", "::7f00:1",  # in disguise
    "2001:0:a9fe:a9fe::1",
)  # fmt: skip
PRIVATE = ("127.0.0.1", "::1", "10.0.0.1", "192.168.0.1", "172.16.0.1", "fd12::1", "::ffff:10.0.0.1")
GLOBAL = ("8.8.8.8", "2a00:1450::7", "::ffff:8.8.8.8")


def allowed(reach: Reach, *hosts: str) -> list[str]:
    return [host for host in hosts if reach.allows(ipaddress.ip_address(host))]


@pytest.mark.parametrize("reach", [Reach(), Reach(private=True), Reach(own=this_host())])
def test_some_addresses_are_never_sent_to(reach: Reach):
    assert allowed(reach, *NEVER) == []


def test_private_ones_are_where_the_operator_says_so():
    assert allowed(Reach(), *PRIVATE) == []
    assert allowed(Reach(private=True), *PRIVATE) == list(PRIVATE)
    assert allowed(Reach(), *GLOBAL) == list(GLOBAL)


def test_a_server_on_loopback_sends_to_its_own_host_and_not_to_its_neighbours():
    own = Reach(own=frozenset(map(ipaddress.ip_address, ("127.0.0.1", "192.168.0.1", "fe80::1"))))
    assert allowed(own, "127.0.0.1", "192.168.0.1", "::ffff:192.168.0.1") == ["127.0.0.1", "192.168.0.1", "::ffff:192.168.0.1"]
    assert allowed(own, "192.168.0.2", "127.0.0.2", "fe80::1") == []
    assert {ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")} <= this_host()


@pytest.mark.parametrize(
    ("candidate", "usable"),
    [
        ("a=candidate:1 1 udp 2122194687 8.8.8.8 50000 typ host", True),
        ("candidate:1 1 UDP 2122194687 8.8.8.8 50000 typ host", True),
        ("candidate:1 1 tcp 2122194687 8.8.8.8 50000 typ host", False),
        ("candidate:1 1 udp 2122194687 8.8.8.8 53 typ host", False),
        ("candidate:1 1 udp 2122194687 8.8.8.8 65536 typ host", False),
        ("candidate:1 1 udp 2122194687 example.org 50000 typ host", False),
        ("candidate:1 1 udp 2122194687 08.8.8.8 50000 typ host", False),
        ("candidate:1 1 udp", False),
        ("", False),
    ],
)
def test_only_udp_to_a_literal_address_on_a_port_of_users(candidate: str, usable: bool):
    assert Reach().usable(candidate) is usable


@given(st.ip_addresses(), st.booleans())
def test_what_is_allowed_is_one_machine(address: Address, private: bool):
    if Reach(private=private).allows(address):
        plain = getattr(address, "ipv4_mapped", None) or address
        assert not any((plain.is_multicast, plain.is_link_local, plain.is_unspecified))
        assert plain.is_global or private


@given(st.text(max_size=200))
def test_any_text_is_usable_or_not(text: str):
    assert Reach().usable("candidate:" + text) in (True, False)
