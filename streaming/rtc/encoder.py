"""Encoders for pictures and voice: computation only, to be run off the event loop by one caller at a time."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# PyAV and aiortc are partly untyped.

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from numpy.typing import NDArray

from engine.timeline import SAMPLE_RATE_HZ
from streaming.rtc.packets import h264_payloads, vp8_payloads

VIDEO_CLOCK_HZ = 90_000
BITRATE_FLOOR_BPS = 100_000  # with the voice and headers 200 kb/s
BITRATE_CEILING_BPS = 6_000_000
VBV_S = 0.15  # what a key frame may borrow; shorter starves it, longer delays it on a thin line
H264_KEY, H264_RAISE = 0.7, 1.5  # of the bitrate x264 was opened with: where a key frame opens it anew
H264_RAISE_FRAMES = 50  # and upwards not sooner than so many frames after the last time
VP8_LOWER, VP8_RAISE = 0.7, 1.4  # libvpx must be reopened to follow, at the price of a key frame
VP8_LOWER_FRAMES, VP8_RAISE_FRAMES = 25, 125  # and not sooner than so many frames after the last time
VOICE_BPS = 48_000
VOICE_PACKET = SAMPLE_RATE_HZ // 50  # samples, 20 ms
_BT601 = 6  # SMPTE 170M in every table of ITU-T H.273
_LIMITED = 1  # AVCOL_RANGE_MPEG


def start_bitrate(size: int, fps: int) -> int:
    """Bits per second at which a talking head of `size` pixels is free of visible artefacts."""
    bits = 2_500_000 * (size / 512) ** 1.5 * (fps / 25) ** 0.5
    return int(min(max(bits, BITRATE_FLOOR_BPS), BITRATE_CEILING_BPS))


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """One encoded picture, cut for RTP; shared by all viewers of its codec."""

    index: int
    timestamp: int  # 90 kHz media clock
    key: bool
    payloads: tuple[bytes, ...]


class PictureEncoder(Protocol):
    """Encodes square I420 pictures; one of another size than the last begins anew, with a key frame. Not thread-safe."""

    @property
    def bitrate(self) -> int:
        """Bits per second it is set to."""
        ...

    def set_bitrate(self, bps: int) -> None:
        """Aim at another bitrate from the next picture on."""
        ...

    def encode(self, picture: NDArray[np.uint8], index: int, *, key: bool) -> EncodedPicture | None:
        """Encode uint8[size * 3 // 2, size]; None when the encoder chose to drop the picture."""
        ...


class _Aim:
    """The bitrate that an encoder aims at: what it was told last, at most what pictures of their size are worth."""

    def __init__(self, size: int, fps: int, bitrate: int | None) -> None:
        self.size, self._fps = size, fps
        self.ceiling_bps = self._told_bps = bitrate or start_bitrate(size, fps)

    @property
    def bps(self) -> int:
        return min(max(self._told_bps, BITRATE_FLOOR_BPS), self.ceiling_bps)

    def tell(self, bps: int) -> None:
        self._told_bps = bps

    def resize(self, size: int) -> None:
        self.ceiling_bps = self.ceiling_bps * start_bitrate(size, self._fps) // start_bitrate(self.size, self._fps)
        self.size = size


class H264Encoder:
    """x264 for conversation: no look-ahead, one thread, key frames only when asked, a bitrate that follows in place.

    `ultrafast` leaves out the deblocking filter and sub-pixel refinement; both
    are switched on again (+3 dB at 512 x 512 and 2.5 Mb/s for +0.5 ms). As long
    as maxrate equals the bitrate it was opened with, x264 follows `bit_rate`
    below it and back without a key frame, within some frames. A key frame
    sooner than that is as large as before (at 512 x 512, 2.5 Mb/s to 230 kb/s:
    21 kB, 0.7 s of such a line); x264 opened anew makes one of 4 kB. So where a
    key frame is due, and the bitrate is far below, it is opened anew; and again
    when the line bears more.
    """

    def __init__(self, size: int, fps: int, bitrate: int | None = None) -> None:
        self._fps, self._aim = fps, _Aim(size, fps, bitrate)
        self._codec = self._reopened()

    @property
    def bitrate(self) -> int:
        """Bits per second it is set to."""
        return self._aim.bps

    def set_bitrate(self, bps: int) -> None:
        """Follow in place, as far as the bitrate it was opened with; beyond it, `encode` opens it anew in time."""
        self._aim.tell(bps)

    def encode(self, picture: NDArray[np.uint8], index: int, *, key: bool) -> EncodedPicture | None:
        """See `PictureEncoder`."""
        self._age += 1
        if picture.shape[1] != self._aim.size:
            self._aim.resize(picture.shape[1])
            self._codec = self._reopened()
        elif self._is_far_off(key=key):
            self._codec = self._reopened()
        self._codec.bit_rate = min(self._aim.bps, self._opened_bps)
        packets = self._codec.encode(_frame(picture, index, key=key))
        if not packets:
            return None
        payloads = h264_payloads(b"".join(bytes(packet) for packet in packets))
        return EncodedPicture(index, _timestamp(index, self._fps), any(p.is_keyframe for p in packets), tuple(payloads))

    def _is_far_off(self, *, key: bool) -> bool:
        ratio = self._aim.bps / self._opened_bps
        too_little = ratio >= H264_RAISE or self._aim.bps == self._aim.ceiling_bps > self._opened_bps
        return (key and ratio <= H264_KEY) or (too_little and self._age >= H264_RAISE_FRAMES)

    def _reopened(self) -> VideoCodecContext:
        self._age, self._opened_bps = 0, self._aim.bps
        options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "profile": "baseline",
            "forced_idr": "1",
            "maxrate": str(self._opened_bps),
            "bufsize": str(int(self._opened_bps * VBV_S)),
            "x264-params": "no-deblock=0:subme=1:scenecut=0",
        }
        return _open("libx264", self._aim.size, self._fps, self._opened_bps, options)


class Vp8Encoder:
    """libvpx for conversation, for receivers without H.264.

    It does not follow a changed bitrate in place, so it is reopened when the
    target leaves a wide band, and not more often than every few seconds.
    """

    def __init__(self, size: int, fps: int, bitrate: int | None = None) -> None:
        self._fps, self._aim = fps, _Aim(size, fps, bitrate)
        self._codec = self._reopened()
        self._picture_id = 0

    @property
    def bitrate(self) -> int:
        """Bits per second it is set to."""
        return self._opened_bps

    def set_bitrate(self, bps: int) -> None:
        """Remember the target; `encode` reopens the codec when it is far off for long enough."""
        self._aim.tell(bps)

    def encode(self, picture: NDArray[np.uint8], index: int, *, key: bool) -> EncodedPicture | None:
        """See `PictureEncoder`."""
        self._age += 1
        if picture.shape[1] != self._aim.size:
            self._aim.resize(picture.shape[1])
            self._codec = self._reopened()
        elif self._is_far_off():
            self._codec = self._reopened()
        packets = self._codec.encode(_frame(picture, index, key=key))
        if not packets:
            return None
        self._picture_id = (self._picture_id + 1) & 0x7FFF
        payloads = vp8_payloads(b"".join(bytes(packet) for packet in packets), self._picture_id)
        return EncodedPicture(index, _timestamp(index, self._fps), any(p.is_keyframe for p in packets), tuple(payloads))

    def _is_far_off(self) -> bool:
        ratio = self._aim.bps / self._opened_bps
        too_much, too_little = ratio <= VP8_LOWER, ratio >= VP8_RAISE
        return (too_much and self._age >= VP8_LOWER_FRAMES) or (too_little and self._age >= VP8_RAISE_FRAMES)

    def _reopened(self) -> VideoCodecContext:
        self._age, self._opened_bps = 0, self._aim.bps
        options = {
            "deadline": "realtime",
            "cpu-used": "-8",
            "lag-in-frames": "0",
            "minrate": str(self._opened_bps),  # minrate = maxrate = bitrate: constant bitrate
            "maxrate": str(self._opened_bps),
            "bufsize": str(self._opened_bps // 2),
            "static-thresh": "1",
            "undershoot-pct": "100",
            "overshoot-pct": "15",
            "qmin": "2",
            "qmax": "52",
        }
        return _open("libvpx", self._aim.size, self._fps, self._opened_bps, options)


@dataclass(frozen=True, slots=True)
class EncodedVoice:
    """20 ms of Opus that begin at sample `timestamp` of the media clock (48 kHz)."""

    timestamp: int
    payload: bytes


class VoiceEncoder:
    """Opus, mono, with in-band error correction: pieces of any length in, packets of 20 ms out."""

    def __init__(self, bitrate: int = VOICE_BPS) -> None:
        codec = av.CodecContext.create("libopus", "w")
        codec.sample_rate = SAMPLE_RATE_HZ
        codec.format = "s16"
        codec.layout = "mono"
        codec.bit_rate = bitrate
        codec.options = {
            "application": "voip",
            "frame_duration": "20",
            "fec": "1",
            "packet_loss": "10",
            "compression_level": "5",
        }
        self._codec = codec
        self._left = np.zeros(0, np.int16)
        self._position = 0  # media sample at which `_left` starts

    def encode(self, samples: NDArray[np.int16], start: int) -> list[EncodedVoice]:
        """The packets that are complete once `samples` int16[N], which begin at media sample `start`, have come.

        When `start` does not continue what came before (some were missed),
        an unfinished packet is dropped: it could only be finished with a wrong
        instant.
        """
        if start != self._position + len(self._left):
            self._left, self._position = self._left[:0], start
        pending = np.concatenate((self._left, samples)) if len(self._left) else samples
        packets: list[EncodedVoice] = []
        whole = len(pending) // VOICE_PACKET * VOICE_PACKET
        for at in range(0, whole, VOICE_PACKET):
            packets += self._packet(pending[at : at + VOICE_PACKET], self._position + at)
        self._left, self._position = pending[whole:].copy(), self._position + whole
        return packets

    def _packet(self, samples: NDArray[np.int16], start: int) -> list[EncodedVoice]:
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts = None
        return [EncodedVoice(start, bytes(packet)) for packet in self._codec.encode(frame)]


def _open(name: str, size: int, fps: int, bitrate: int, options: dict[str, str]) -> VideoCodecContext:
    codec = cast(VideoCodecContext, av.CodecContext.create(name, "w"))
    codec.width = codec.height = size
    codec.pix_fmt = "yuv420p"
    codec.bit_rate = bitrate
    codec.framerate = Fraction(fps)
    codec.time_base = Fraction(1, fps)
    codec.thread_count = 1
    codec.gop_size = 1_000_000  # no periodic key frames: they are asked for
    codec.max_b_frames = 0
    codec.color_range = _LIMITED
    codec.colorspace = codec.color_primaries = codec.color_trc = _BT601
    codec.options = options
    return codec


def _frame(picture: NDArray[np.uint8], index: int, *, key: bool) -> av.VideoFrame:
    """The picture as a frame over the same memory: both encoders copy what they keep."""
    frame = av.VideoFrame.from_numpy_buffer(picture, "yuv420p")
    frame.pts = index
    frame.pict_type = PictureType.I if key else PictureType.NONE
    return frame


def _timestamp(index: int, fps: int) -> int:
    return index * VIDEO_CLOCK_HZ // fps
