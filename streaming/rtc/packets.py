"""Cutting encoded pictures into RTP payloads.

H.264 as in RFC 6184 (packetization-mode 1: single NAL units, STAP-A, FU-A),
VP8 as in RFC 7741 with a 15-bit picture id.
"""

from collections.abc import Iterator
from struct import pack

PAYLOAD_MAX = 1180  # bytes: what fits a 1280-byte path with IP, UDP, SRTP, RTP header and extensions

_SEI, _SPS, _PPS, _DELIMITER, _STAP_A, _FU_A = 6, 7, 8, 9, 24, 28
_UNWANTED = frozenset((_SEI, _DELIMITER))  # x264's banner, access unit delimiters: nothing a decoder needs


def nal_units(stream: bytes) -> Iterator[bytes]:
    """The NAL units of an Annex B byte stream, without start codes."""
    start = stream.find(b"\x00\x00\x01")
    while start >= 0:
        start += 3
        end = stream.find(b"\x00\x00\x01", start)
        unit = stream[start:] if end < 0 else stream[start:end].rstrip(b"\x00")
        if unit:
            yield unit
        start = end


def h264_payloads(stream: bytes, limit: int = PAYLOAD_MAX) -> list[bytes]:
    """The RTP payloads of one H.264 access unit in Annex B form, each at most `limit` bytes."""
    units = [unit for unit in nal_units(stream) if unit[0] & 0x1F not in _UNWANTED]
    payloads: list[bytes] = []
    parameters = [unit for unit in units if unit[0] & 0x1F in (_SPS, _PPS)]
    if len(parameters) > 1 and sum(len(unit) + 2 for unit in parameters) < limit:
        payloads.append(_aggregate(parameters))
        units = [unit for unit in units if unit[0] & 0x1F not in (_SPS, _PPS)]
    for unit in units:
        payloads += [unit] if len(unit) <= limit else _fragments(unit, limit)
    return payloads


def _aggregate(units: list[bytes]) -> bytes:
    importance = max(unit[0] & 0x60 for unit in units)
    return bytes([importance | _STAP_A]) + b"".join(pack("!H", len(unit)) + unit for unit in units)


def _fragments(unit: bytes, limit: int) -> list[bytes]:
    """FU-A fragments of nearly equal size: a last fragment of a few bytes would be one more packet to lose."""
    indicator, kind = (unit[0] & 0x60) | _FU_A, unit[0] & 0x1F
    body = memoryview(unit)[1:]
    pieces = list(_pieces(body, limit - 2))
    last = len(pieces) - 1
    return [bytes((indicator, (i == 0) << 7 | (i == last) << 6 | kind)) + piece for i, piece in enumerate(pieces)]


def vp8_payloads(frame: bytes, picture_id: int, limit: int = PAYLOAD_MAX) -> list[bytes]:
    """The RTP payloads of one VP8 frame, each at most `limit` bytes."""
    identity = pack("!BH", 0x80, 0x8000 | picture_id & 0x7FFF)  # X=1: extension octet I=1, 15-bit id
    pieces = _pieces(memoryview(frame), limit - 4)
    return [bytes([0x90 if i == 0 else 0x80]) + identity + piece for i, piece in enumerate(pieces)]


def _pieces(data: memoryview, limit: int) -> Iterator[memoryview]:
    count = -(-len(data) // limit)
    for i in range(count):
        yield data[len(data) * i // count : len(data) * (i + 1) // count]
