"""One camera inside the camera process: coded pictures in, what the face does out, the newest picture first."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from engine.face.align import LiveAligner
from engine.face.reader import Reading
from engine.face.stream import FaceFollower, Seen
from streaming.camera.decoder import Damaged, Decoder, TooLarge, pixels
from streaming.camera.messages import Coded, Found, Lost, Manner, Message, Outline, Unusable
from streaming.camera.outline import outline
from streaming.contract import PictureCodec

if TYPE_CHECKING:
    from streaming.camera.encoding import Encoding

PERIOD_LEAST_S: Final = 0.028
"""Pictures that follow one another faster (more than 30 a second, and what jitter makes of 30) are not all followed."""
OUTLINE_S: Final = 0.1
_NOWHERE: Final = np.zeros((0, 2), np.float32)


class Reader(Protocol):
    """The part of `engine.face.reader.FaceReader` that is needed here."""

    lips_from_voice: bool
    eye_contact: bool

    @property
    def calibrated(self) -> float:
        """See `FaceReader`."""
        ...

    def read(self, seen: Seen, width: int, height: int) -> Reading:
        """See `FaceReader`."""
        ...

    def take_neutral(self) -> bool:
        """See `FaceReader`."""
        ...


class Watcher:
    """Decodes a camera's pictures and follows the face in the newest of them.

    Args:
        key: the camera's number.
        follower: finds the face; this camera's alone.
        reader: says what it does; likewise.
    """

    def __init__(self, key: int, follower: FaceFollower, reader: Reader) -> None:
        self.key = key
        self._follower = follower
        self._reader = reader
        self._decoder: Decoder | None = None
        self._outlines = False
        self._encodes = True
        self._encoding: Encoding | None = None
        self._aligner = LiveAligner()
        self._needs_key = True
        self._newest: tuple[VideoFrame, float] | None = None  # the picture to be followed next, and when it arrived
        self._followed_at = float("-inf")  # arrival of the last one that was
        self._outlined_at = float("-inf")

    @property
    def waiting_since(self) -> float | None:
        """When the picture that is to be followed arrived; None when there is none."""
        return self._newest[1] if self._newest is not None else None

    def begin(self, codec: PictureCodec) -> list[Message]:
        """Pictures of this codec follow; the person stays the same."""
        self._newest, self._needs_key = None, True
        try:
            self._decoder = Decoder(codec)
        except Damaged as error:
            self._decoder = None
            return [Unusable(self.key, str(error))]
        return []

    def encode_by(self, encoding: "Encoding") -> None:
        """Have a motion encoder see the pictures that show the face."""
        self._encoding, self._aligner = encoding, LiveAligner(encoding.size)

    def behave(self, manner: Manner) -> None:
        """Read in this manner from now on."""
        self._reader.lips_from_voice, self._reader.eye_contact = manner.lips_from_voice, manner.eye_contact
        self._outlines, self._encodes = manner.outline, manner.encode

    def take_neutral(self) -> None:
        """The face is at rest now."""
        self._reader.take_neutral()

    def take(self, coded: Coded) -> list[Message]:
        """Decode a picture; it takes the place of one that still waits to be followed."""
        if self._decoder is None or (self._needs_key and not coded.is_key):
            return []
        try:
            frame = self._decoder.decode(coded.data)
        except Damaged:
            self._needs_key = True
            return [Lost(self.key)]
        except TooLarge as error:
            self._newest, self._needs_key = None, True
            return [Unusable(self.key, str(error))]
        self._needs_key = False
        if frame is not None and coded.arrived - self._followed_at >= PERIOD_LEAST_S:
            self._newest = frame, coded.arrived
        return []

    def look(self, clock: Callable[[], float]) -> list[Message]:
        """Follow the face in the newest picture, if one waits."""
        if self._newest is None:
            return []
        (frame, arrived), self._newest = self._newest, None
        begun = clock()
        try:
            rgb = pixels(frame)
        except Damaged as error:
            self._needs_key = True
            return [Unusable(self.key, f"the camera's pictures cannot be used: {error}")]
        seen = self._follower.follow(rgb, max(arrived, self._followed_at + 1e-4))
        reading = self._reader.read(seen, rgb.shape[1], rgb.shape[0])
        self._followed_at = arrived
        self._encode(seen, rgb, arrived)
        return [self._found(seen, reading, arrived, begun, clock()), *self._outline(seen, rgb)]

    def _encode(self, seen: Seen, rgb: NDArray[np.uint8], arrived: float) -> None:
        if self._encoding is not None and self._encodes and seen.face is not None:
            matrix = self._aligner.next(seen.face.landmarks, seen.time_s)
            self._encoding.put(self.key, arrived, rgb, matrix)

    def _found(self, seen: Seen, reading: Reading, arrived: float, begun: float, done: float) -> Found:
        state = "following" if seen.face is not None else seen.trouble or "no face"
        calibrated = float(self._reader.calibrated)
        return Found(self.key, arrived, begun, done, state, seen.faces, calibrated, reading.values, reading.confidence)

    def _outline(self, seen: Seen, rgb: NDArray[np.uint8]) -> list[Outline]:
        if not self._outlines or self._followed_at - self._outlined_at < OUTLINE_S:
            return []
        self._outlined_at = self._followed_at
        height, width = rgb.shape[:2]
        return [Outline(self.key, _NOWHERE if seen.face is None else outline(seen.face.landmarks, width, height))]
