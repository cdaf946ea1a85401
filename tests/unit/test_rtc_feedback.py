import struct

import pytest
from aiortc import rtp
from hypothesis import given
from hypothesis import strategies as st

from streaming.rtc.feedback import PACKETS_MOST, Feedback, split

RECEIVER_REPORT = bytes(rtp.RtcpRrPacket(ssrc=1))


def report(base: int, count: int, chunks: list[int], deltas: bytes, reference: int = 100) -> bytes:
    body = struct.pack("!LLHH", 1, 2, base, count) + reference.to_bytes(3, "big", signed=True) + b"\x07"
    body += b"".join(struct.pack("!H", chunk) for chunk in chunks) + deltas
    padding = -len(body) % 4
    body += bytes(padding - 1) + bytes([padding]) if padding else b""
    return struct.pack("!BBH", 0x80 | bool(padding) << 5 | 15, 205, len(body) // 4) + body


def only(data: bytes) -> Feedback:
    (found,), rest = split(data)
    assert rest == b""
    return found


def test_a_run_of_packets():
    found = only(report(65534, 3, [0x2003], bytes((4, 8, 40))))
    assert found.base == 65534
    assert found.arrivals == pytest.approx((6.401, 6.403, 6.413))


def test_lost_ones_and_ones_that_came_before_the_last():
    one_bit = 0x8000 | 0b10110000000000
    found = only(report(7, 4, [one_bit], bytes((0, 4, 4))))
    assert found.arrivals == (6.4, None, pytest.approx(6.401), pytest.approx(6.402))
    two_bits = 0xC000 | 0b01001000000000
    found = only(report(7, 3, [two_bits], bytes((40,)) + struct.pack("!h", -8)))
    assert found.arrivals == (pytest.approx(6.41), None, pytest.approx(6.408))
    assert only(report(7, 9, [0x0009], b"")).arrivals == (None,) * 9


def test_it_is_taken_out_of_what_came_with_it():
    data = RECEIVER_REPORT + report(1, 1, [0x2001], b"\x04") + RECEIVER_REPORT
    (found,), rest = split(data)
    assert found.base == 1
    assert rest == 2 * RECEIVER_REPORT
    assert split(RECEIVER_REPORT) == ([], RECEIVER_REPORT)


@pytest.mark.parametrize(
    "damaged",
    [
        report(1, 5, [0x2003], b""),  # ends before its chunks do
        report(1, 5, [0x2005], b"\x01"),  # and before its deltas
        report(1, 5, [0x6005], bytes(20)),  # a symbol that is not defined
        report(1, 5, [0x2000] * 4, bytes(20)),
        report(1, PACKETS_MOST + 1, [0x0000 | 0x1FFF] * 8, b""),
        b"\x8f\xcd\x00\x00",
    ],
)
def test_a_damaged_report_is_none(damaged: bytes):
    assert split(RECEIVER_REPORT + damaged) == ([], RECEIVER_REPORT)


def test_what_is_no_rtcp_is_left_to_whoever_reads_on():
    assert split(b"\x00\x01\x02") == ([], b"\x00\x01\x02")
    assert split(RECEIVER_REPORT + b"\x8f\xcd\xff\xff") == ([], RECEIVER_REPORT + b"\x8f\xcd\xff\xff")


@given(st.binary(max_size=200))
def test_any_bytes_raise_nothing(body: bytes):
    for header in (b"", b"\x8f\xcd" + struct.pack("!H", len(body) // 4)):
        found, rest = split(header + body)
        assert len(rest) <= len(header + body)
        assert all(len(one.arrivals) <= PACKETS_MOST for one in found)


@given(st.integers(0, 0xFFFF), st.lists(st.sampled_from((None, 0, 4, 255, -300, 9000)), min_size=1, max_size=60))
def test_what_is_written_is_read(base: int, deltas: list[int | None]):
    symbols = [0 if delta is None else 1 if 0 <= delta < 256 else 2 for delta in deltas]
    chunks = [
        0xC000 | sum(symbol << 12 - 2 * i for i, symbol in enumerate(symbols[at : at + 7])) for at in range(0, len(symbols), 7)
    ]
    data = b"".join(struct.pack("!B" if 0 <= d < 256 else "!h", d) for d in deltas if d is not None)
    found, at = only(report(base, len(deltas), chunks, data)), 6.4
    for delta, arrival in zip(deltas, found.arrivals, strict=True):
        at += (delta or 0) * 0.00025
        assert arrival == (None if delta is None else pytest.approx(at))
