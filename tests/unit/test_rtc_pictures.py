import random
import struct
from dataclasses import dataclass

import pytest
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import VpxPayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from streaming.contract import CodedPicture
from streaming.rtc.pictures import ASK_AGAIN_S, H264, HELD_MOST, PATIENCE_S, REORDER_S, RESTART_PACKETS, VP8, PictureStream

FRAME_S = 0.033


@dataclass(frozen=True)
class Packet:
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes


def picture(index: int, packets: int, *, key: bool) -> bytes:
    return bytes([0 if key else 1]) + f"picture {index} ".encode() * 8 * packets


def vp8(pictures: int, *, packets: int = 3, keys: tuple[int, ...] = (0,), first: int = 65_530) -> list[Packet]:
    """Pictures of so many packets each; their sequence numbers wrap."""
    sent: list[Packet] = []
    for index in range(pictures):
        data = picture(index, packets, key=index in keys)
        step = -(-len(data) // packets)
        for part in range(packets):
            head = bytes(VpxPayloadDescriptor(partition_start=int(part == 0), partition_id=0, picture_id=index))
            payload = head + data[part * step : (part + 1) * step]
            sent.append(Packet(first + len(sent) & 0xFFFF, 3000 * index, part == packets - 1, payload))
    return sent


def add(stream: PictureStream, packet: Packet, at: float) -> list[CodedPicture]:
    return stream.add(packet.sequence, packet.timestamp, packet.marker, packet.payload, at)


def feed(stream: PictureStream, packets: list[Packet], *, step_s: float = 0.001) -> list[bytes]:
    return [got.data for number, packet in enumerate(packets) for got in add(stream, packet, number * step_s)]


def test_a_picture_is_out_with_its_last_packet() -> None:
    stream = PictureStream(VP8)
    packets = vp8(4)
    got = [[p.data for p in add(stream, packet, 0.1 * n)] for n, packet in enumerate(packets)]
    assert got == [[], [], [picture(0, 3, key=True)]] + [x for i in (1, 2, 3) for x in ([], [], [picture(i, 3, key=False)])]
    assert (stream.stats.pictures, stream.stats.keys, stream.wants_key) == (4, 1, False)


def test_a_sender_without_markers_costs_one_picture_of_delay() -> None:
    packets = [Packet(p.sequence, p.timestamp, False, p.payload) for p in vp8(3)]
    assert feed(PictureStream(VP8), packets) == [picture(0, 3, key=True), picture(1, 3, key=False)]


@given(st.integers(0, 2**32), st.integers(1, 5))
def test_order_and_repetition_do_not_matter(seed: int, packets: int) -> None:
    """Packets shuffled within a few ms, some of them twice."""
    sent = vp8(12, packets=packets)
    rng = random.Random(seed)
    order = sorted(range(1, len(sent)), key=lambda n: n + rng.uniform(0, 6))
    mixed = [sent[0], *(sent[n] for n in order for _ in range(rng.choice((1, 1, 2))))]
    stream = PictureStream(VP8)
    assert feed(stream, mixed, step_s=0.0001) == [picture(i, packets, key=i == 0) for i in range(12)]
    assert not stream.waiting
    assert stream.stats.lost == 0


@given(st.integers(0, 2**32), st.floats(0, 0.4), st.sets(st.integers(1, 59), max_size=6))
def test_what_comes_out_can_be_decoded_whatever_is_lost(seed: int, loss: float, keys: set[int]) -> None:
    """Never a picture after a lost one without a key frame between, never one in part, never one twice."""
    rng = random.Random(seed)
    stream, out = PictureStream(VP8), list[bytes]()
    for n, packet in enumerate(vp8(60, packets=2, keys=(0, *keys))):
        at = n * FRAME_S / 2
        out += [p.data for p in stream.tick(at)]
        if rng.random() >= loss:
            out += [p.data for p in add(stream, packet, at)]
    out += [p.data for p in stream.tick(1e3)]
    whole = {picture(i, 2, key=i in {0, *keys}): i for i in range(60)}
    shown = [whole[data] for data in out]
    assert shown == sorted(set(shown))
    for before, after in zip([-1, *shown], shown, strict=False):
        assert after == before + 1 or after in {0, *keys}
    assert not stream.waiting or stream.wants_key


def test_a_missing_packet_is_asked_for_again_and_completes_its_picture() -> None:
    stream, sent = PictureStream(VP8), vp8(3)
    feed(stream, sent[:4])
    assert feed(stream, sent[5:]) == []
    assert stream.wanted(0.0) == []
    late = 0.01 + REORDER_S
    assert stream.wanted(late) == [sent[4].sequence]
    assert stream.wanted(late + ASK_AGAIN_S / 2) == []
    assert stream.wanted(late + ASK_AGAIN_S) == [sent[4].sequence]
    assert [p.data for p in add(stream, sent[4], 0.08)] == [picture(1, 3, key=False), picture(2, 3, key=False)]
    assert (stream.stats.recovered, stream.stats.lost, stream.waiting) == (1, 0, False)


def test_without_it_pictures_are_held_back_until_a_key_frame() -> None:
    stream, sent = PictureStream(VP8), vp8(5, keys=(0, 4))
    feed(stream, sent[:4] + sent[5:9])
    assert stream.tick(PATIENCE_S / 2) == []
    assert not stream.wants_key
    assert stream.tick(1.0) == []
    assert stream.wants_key
    assert [p.data for n, packet in enumerate(sent[9:]) for p in add(stream, packet, 1.0 + n)] == [picture(4, 3, key=True)]
    assert not stream.wants_key
    assert stream.stats.held_back == 3


def test_a_key_frame_ends_the_wait_for_what_was_lost_before_it() -> None:
    stream = PictureStream(VP8)
    feed(stream, vp8(2)[3:])
    assert stream.wants_key
    sent = vp8(4, keys=(0, 3))
    stream = PictureStream(VP8)
    feed(stream, sent[:4])
    stream.wants_key = True
    assert feed(stream, sent[5:]) == [picture(3, 3, key=True)]
    assert not stream.waiting


def test_padding_between_and_within_pictures_is_nothing() -> None:
    sent = vp8(2, packets=2)
    padded: list[Packet] = []
    for packet in sent:
        padded.append(Packet(len(padded), packet.timestamp, packet.marker, packet.payload))
        padded.append(Packet(len(padded), packet.timestamp, False, b""))
    assert feed(PictureStream(VP8), padded) == [picture(0, 2, key=True), picture(1, 2, key=False)]


def test_a_jump_of_the_numbers_is_a_sender_that_began_anew() -> None:
    stream = PictureStream(VP8)
    feed(stream, vp8(3))
    again = vp8(2, first=65_530 + RESTART_PACKETS * 3)
    assert feed(stream, again) == [picture(0, 3, key=True), picture(1, 3, key=False)]


def test_memory_is_bounded_while_a_packet_is_missing() -> None:
    stream, sent = PictureStream(VP8), vp8(400)
    feed(stream, sent[:3] + sent[4:], step_s=0.0)
    assert len(stream._held) <= HELD_MOST  # pyright: ignore[reportPrivateUsage]
    assert stream.wants_key


def h264(units: list[bytes]) -> list[bytes]:
    """As aiortc's encoder packetises them."""
    return H264Encoder._packetize(iter(units))  # pyright: ignore[reportPrivateUsage]


def test_h264_pictures_come_out_with_start_codes() -> None:
    sps, pps, idr, slice_ = b"\x67" + b"s" * 9, b"\x68pp", b"\x65" + b"i" * 4000, b"\x41" + b"p" * 3000
    packets: list[Packet] = []
    for index, units in enumerate(([sps, pps, idr], [slice_], [slice_])):
        payloads = h264(units)
        packets += [Packet(len(packets) + k, index, k == len(payloads) - 1, payload) for k, payload in enumerate(payloads)]
    stream = PictureStream(H264)
    got = [p for n, packet in enumerate(packets) for p in add(stream, packet, n)]
    start = b"\0\0\0\1"
    assert [p.data for p in got] == [start + start.join((sps, pps, idr)), start + slice_, start + slice_]
    assert [p.key for p in got] == [True, False, False]
    lost = PictureStream(H264)
    assert [p.key for n, packet in enumerate(packets[2:]) for p in add(lost, packet, n)] == []


@pytest.mark.parametrize("codec", [VP8, H264])
@given(data=st.data())
def test_any_payload_is_a_picture_or_counted(codec: object, data: st.DataObject) -> None:
    stream = PictureStream(VP8 if codec is VP8 else H264)
    for number in range(data.draw(st.integers(1, 8))):
        payload = data.draw(st.binary(max_size=40))
        marker = data.draw(st.booleans())
        for got in stream.add(number, number // 2, marker, payload, 0.0):
            assert got.key or stream.stats.keys
    assert stream.stats.packets > 0


def test_a_damaged_packet_spoils_its_picture_only_until_the_next_key_frame() -> None:
    sent = vp8(4, keys=(0, 3))
    sent[4] = Packet(sent[4].sequence, sent[4].timestamp, sent[4].marker, struct.pack("!BB", 0x80, 0x80))
    stream = PictureStream(VP8)
    assert feed(stream, sent) == [picture(0, 3, key=True), picture(3, 3, key=True)]
    assert stream.stats.damaged == 1
