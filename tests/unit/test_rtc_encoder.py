from typing import cast

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import vp8_depayload
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from streaming.rtc.encoder import (
    BITRATE_FLOOR_BPS,
    H264_RAISE_FRAMES,
    VOICE_PACKET,
    EncodedPicture,
    H264Encoder,
    PictureEncoder,
    VoiceEncoder,
    Vp8Encoder,
    start_bitrate,
)

SIZE, FPS = 128, 25
DEPAYLOAD = {"h264": h264_depayload, "vp8": vp8_depayload}


def picture(step: int = 0, size: int = SIZE) -> NDArray[np.uint8]:
    ramp = (np.add.outer(np.arange(size), 2 * np.arange(size) + 5 * step) % 200 + 20).astype(np.uint8)
    chroma = np.full((size // 2, size), 128, np.uint8)
    chroma[: size // 4] = 100
    return np.vstack((ramp, chroma))


def encoders() -> list[tuple[str, PictureEncoder]]:
    return [("h264", H264Encoder(SIZE, FPS)), ("vp8", Vp8Encoder(SIZE, FPS))]


def encoded(encoder: PictureEncoder, index: int, *, key: bool = False) -> EncodedPicture:
    result = encoder.encode(picture(index), index, key=key)
    assert result is not None
    return result


@pytest.mark.parametrize(("codec", "encoder"), encoders())
def test_each_picture_comes_out_at_once_and_decodes_to_what_went_in(codec: str, encoder: PictureEncoder):
    decoder = cast(VideoCodecContext, av.CodecContext.create(codec, "r"))
    for index in range(6):
        result = encoded(encoder, index, key=index == 4)
        assert (result.index, result.timestamp, result.key) == (index, index * 3600, index in (0, 4))
        data = b"".join(DEPAYLOAD[codec](payload) for payload in result.payloads)
        (frame,) = decoder.decode(av.Packet(data))
        assert np.abs(frame.to_ndarray().astype(int) - picture(index)).mean() < 4


def test_h264_says_how_its_colours_are_meant_and_that_it_is_constrained_baseline():
    result = encoded(H264Encoder(SIZE, FPS), 0)
    data = b"".join(map(h264_depayload, result.payloads))
    at = data.index(b"\x67")
    assert data[at + 1] == 66
    assert data[at + 2] & 0xC0 == 0xC0
    decoder = av.CodecContext.create("h264", "r")
    (frame,) = decoder.decode(av.Packet(data))
    assert (frame.color_range, frame.colorspace) == (1, 6)  # limited, BT.601


def test_a_read_only_picture_is_welcome():
    still = picture()
    still.flags.writeable = False
    for _, encoder in encoders():
        assert encoder.encode(still, 0, key=False) is not None


def test_h264_follows_the_bitrate_down_and_up_again_without_a_key_frame():
    rng = np.random.default_rng(0)
    noise = [np.vstack((rng.integers(40, 200, (SIZE, SIZE), np.uint8), picture()[SIZE:])) for _ in range(8)]
    encoder = H264Encoder(SIZE, FPS, 2_000_000)
    sizes: list[int] = []
    for index in range(150):
        if index in (50, 100):
            encoder.set_bitrate(500_000 if index == 50 else 9_000_000)
        result = encoder.encode(noise[index % 8], index, key=False)
        assert result is not None
        assert result.key == (index == 0)
        sizes.append(sum(map(len, result.payloads)))
    high, low, again = (8 * sum(sizes[begin : begin + 25]) for begin in (25, 75, 125))
    assert 1_600_000 < high < 2_400_000
    assert low < 800_000
    assert 1_400_000 < again < 2_400_000
    assert encoder.bitrate == 2_000_000


def test_h264_makes_a_small_key_frame_at_once_where_the_bitrate_fell_and_comes_back_with_one():
    rng = np.random.default_rng(0)
    noise = [np.vstack((rng.integers(40, 200, (SIZE, SIZE), np.uint8), picture()[SIZE:])) for _ in range(8)]
    encoder = H264Encoder(SIZE, FPS, 2_000_000)
    keys: dict[int, int] = {}
    for index in range(150):
        if index in (50, 60):
            encoder.set_bitrate(300_000 if index == 50 else 2_000_000)
        result = encoder.encode(noise[index % 8], index, key=index == 51)
        assert result is not None
        if result.key:
            keys[index] = sum(map(len, result.payloads))
    assert list(keys) == [0, 51, 51 + H264_RAISE_FRAMES]
    assert keys[51] < keys[0] / 2


@pytest.mark.parametrize(("codec", "encoder"), encoders())
def test_a_picture_of_another_size_begins_with_a_key_frame(codec: str, encoder: PictureEncoder):
    decoder = cast(VideoCodecContext, av.CodecContext.create(codec, "r"))
    for index, size in enumerate((SIZE, SIZE, 96, 96, 192, SIZE)):
        result = encoder.encode(picture(index, size), index, key=False)
        assert result is not None
        assert result.key == (index in (0, 2, 4, 5))
        (frame,) = decoder.decode(av.Packet(b"".join(DEPAYLOAD[codec](payload) for payload in result.payloads)))
        assert (frame.width, frame.height) == (size, size)
        assert np.abs(frame.to_ndarray().astype(int) - picture(index, size)).mean() < 8


def test_a_smaller_picture_gets_fewer_bits_and_a_thin_line_is_not_forgotten():
    for encoder in (H264Encoder(512, FPS), Vp8Encoder(512, FPS)):
        rates: list[int] = []
        for index, size in enumerate((512, 256, 512)):
            encoder.encode(picture(index, size), index, key=False)
            rates.append(encoder.bitrate)
        assert rates == [start_bitrate(512, FPS), start_bitrate(256, FPS), start_bitrate(512, FPS)]
        encoder.set_bitrate(300_000)
        encoder.encode(picture(3, 256), 3, key=False)
        assert encoder.bitrate == 300_000


def test_vp8_changes_its_bitrate_rarely():
    encoder = Vp8Encoder(SIZE, FPS, 1_000_000)
    encoder.set_bitrate(500_000)
    keys = [encoded(encoder, index).key for index in range(130)]
    assert encoder.bitrate == 500_000
    assert sum(keys) == 2


def test_bitrates_grow_with_the_picture_and_stay_between_floor_and_ceiling():
    rates = [start_bitrate(size, 25) for size in (32, 256, 512, 768)]
    assert rates == sorted(rates)
    assert rates[0] == BITRATE_FLOOR_BPS
    assert rates[2] == 2_500_000
    assert start_bitrate(768, 60) == 6_000_000


@pytest.mark.parametrize("fps", [25, 30, 50, 60])
def test_voice_packets_last_20_ms_and_tile_the_media_clock(fps: int):
    encoder = VoiceEncoder()
    frame = 48_000 // fps
    packets = [p for i in range(12) for p in encoder.encode(np.zeros(frame, np.int16), 1000 + i * frame)]
    assert [p.timestamp for p in packets] == list(range(1000, 1000 + 12 * frame - VOICE_PACKET + 1, VOICE_PACKET))


def test_a_missed_emission_moves_the_voice_to_its_true_instant():
    encoder = VoiceEncoder()
    assert encoder.encode(np.zeros(1600, np.int16), 0)[0].timestamp == 0
    assert encoder.encode(np.zeros(1600, np.int16), 4800)[0].timestamp == 4800
