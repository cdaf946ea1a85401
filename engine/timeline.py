"""The only place where samples meet frames."""

from dataclasses import dataclass

SAMPLE_RATE_HZ = 48_000
MOTION_RATE_HZ = 50  # one step per 20 ms Opus packet, whatever the video's rate
MOTION_STEP = SAMPLE_RATE_HZ // MOTION_RATE_HZ  # samples


@dataclass(frozen=True, slots=True)
class Timeline:
    """The media clock: sample indices at `rate` Hz, cut into frames at `fps`.

    A frame is a whole number of samples; a pair of rates for which it is not
    is refused, because any rounding would make picture and sound drift apart.

    Raises:
        ValueError: if `rate` does not divide into `fps`, or either is not positive.
    """

    rate: int = SAMPLE_RATE_HZ
    fps: int = 25

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.fps <= 0:
            raise ValueError(f"rates must be positive, got {self.rate} Hz and {self.fps} fps")
        if self.rate % self.fps:
            fitting = "; 48000 Hz does" if SAMPLE_RATE_HZ % self.fps == 0 else "; 25, 30, 50 and 60 fps do at 48000 Hz"
            raise ValueError(f"{self.rate} Hz does not divide into {self.fps} fps{fitting}")

    @property
    def samples_per_frame(self) -> int:
        """Samples that are heard while one frame shows."""
        return self.rate // self.fps

    @property
    def samples_per_piece(self) -> int:
        """Samples that live sound is taken in: the largest equal part of a frame's that lasts no longer than 20 ms."""
        whole, most = self.samples_per_frame, self.samples(1000 / MOTION_RATE_HZ)
        return next(whole // parts for parts in range(1, whole + 1) if whole % parts == 0 and whole // parts <= most)

    @property
    def frame_s(self) -> float:
        """Duration of one frame in seconds."""
        return 1 / self.fps

    def frame_start(self, frame: int) -> int:
        """The first sample heard while `frame` shows."""
        return frame * self.samples_per_frame

    def frame_centre(self, frame: int) -> int:
        """The sample at which the motion of `frame` is evaluated."""
        return frame * self.samples_per_frame + self.samples_per_frame // 2

    def frame_at(self, sample: int) -> int:
        """The frame that shows while `sample` is heard."""
        return sample // self.samples_per_frame

    def samples(self, milliseconds: float) -> int:
        """The whole number of samples nearest to a duration in milliseconds."""
        return round(milliseconds * self.rate / 1000)

    def milliseconds(self, samples: int) -> float:
        """A number of samples as a duration in milliseconds."""
        return samples * 1000 / self.rate
