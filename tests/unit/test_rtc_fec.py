from struct import pack, unpack_from

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.rtc.fec import MASK_BITS, parities


def packet(sequence: int, payload: bytes, *, marker: bool = False) -> bytes:
    return pack("!BBHLL", 0x90, marker << 7 | 102, sequence & 0xFFFF, 90_000, 7) + payload


def restored(parity: bytes, received: dict[int, bytes]) -> bytes:
    """RFC 5109, section 9.2: the one packet that is missing of those that a parity is of."""
    first, second, base, stamp, length, longest, mask = unpack_from("!BBHLHHH", parity)
    body = int.from_bytes(parity[14 : 14 + longest], "big")
    missing = None
    for index in range(MASK_BITS):
        if not mask >> MASK_BITS - 1 - index & 1:
            continue
        data = received.get((base + index) & 0xFFFF)
        if data is None:
            assert missing is None
            missing = (base + index) & 0xFFFF
            continue
        first, second = first ^ data[0] & 0x3F, second ^ data[1]
        stamp ^= unpack_from("!L", data, 4)[0]
        length ^= len(data) - 12
        body ^= int.from_bytes(data[12:].ljust(longest, b"\0"), "big")
    assert missing is not None
    return pack("!BBHLL", 0x80 | first, second, missing, stamp, 7) + body.to_bytes(longest, "big")[:length]


@given(
    st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=40), st.integers(1, 3), st.integers(0, 0xFFFF), st.data()
)
def test_any_one_packet_of_a_parity_comes_back(payloads: list[bytes], count: int, base: int, data: st.DataObject):
    packets = [packet(base + i, payload, marker=i == len(payloads) - 1) for i, payload in enumerate(payloads)]
    lost = data.draw(st.integers(0, len(packets) - 1))
    received = {(base + i) & 0xFFFF: one for i, one in enumerate(packets) if i != lost}
    run, within = divmod(lost, MASK_BITS)
    made = parities(packets, count)
    before = run * min(count, MASK_BITS)
    assert restored(made[before + within % count], received) == packets[lost]


@pytest.mark.parametrize(("packets", "count", "made"), [(9, 1, 1), (9, 2, 2), (1, 2, 1), (16, 1, 1), (17, 1, 2), (0, 1, 0)])
def test_how_many(packets: int, count: int, made: int):
    assert len(parities([packet(i, b"x") for i in range(packets)], count)) == made
