from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import vp8_depayload
from hypothesis import given
from hypothesis import strategies as st

from streaming.rtc.packets import PAYLOAD_MAX, h264_payloads, nal_units, vp8_payloads

START = b"\x00\x00\x00\x01"
PARAMETERS = [b"\x67" + b"s" * 20, b"\x68" + b"p" * 5]


def stream(*units: bytes) -> bytes:
    return b"".join(START + unit for unit in units)


def test_units_are_found_behind_short_and_long_start_codes():
    assert list(nal_units(b"\x00\x00\x01ab" + START + b"cd")) == [b"ab", b"cd"]
    assert list(nal_units(b"")) == []


def test_a_key_frame_comes_back_whole():
    picture = b"\x65" + bytes(range(1, 251)) * 40
    payloads = h264_payloads(stream(*PARAMETERS, picture))
    assert max(map(len, payloads)) <= PAYLOAD_MAX
    assert payloads[0][0] & 0x1F == 24
    assert b"".join(h264_depayload(p) for p in payloads) == stream(*PARAMETERS, picture)


def test_fragments_say_where_they_start_and_end_and_are_of_like_size():
    payloads = h264_payloads(stream(b"\x41" + b"x" * 4000))
    assert [p[1] >> 6 for p in payloads] == [0b10, 0b00, 0b00, 0b01]
    assert max(map(len, payloads)) - min(map(len, payloads)) <= 1


def test_what_a_decoder_does_not_need_is_not_sent():
    assert h264_payloads(stream(b"\x06banner", b"\x09\x10", b"\x41p")) == [b"\x41p"]


@given(st.binary(min_size=1, max_size=5000), st.integers(0, 0x7FFF))
def test_a_vp8_frame_comes_back_whole(frame: bytes, picture_id: int):
    payloads = vp8_payloads(frame, picture_id)
    assert max(map(len, payloads)) <= PAYLOAD_MAX
    assert b"".join(vp8_depayload(p) for p in payloads) == frame
    assert [p[0] & 0x10 for p in payloads] == [0x10] + [0] * (len(payloads) - 1)
    assert {int.from_bytes(p[2:4], "big") & 0x7FFF for p in payloads} == {picture_id}
