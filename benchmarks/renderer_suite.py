"""Suite `renderer`: what does a frame cost on one core, and does the portrait still look like the portrait?

A frame is `prepare` and `finish` at talking motion: the voice driver on real
speech with idle life, as a session composes them, the same motions for every
portrait and size. CPU time of this thread, so that other processes do not
count; sizes are measured in turns, so that a slow minute meets all of them.
The null system is a renderer that returns the same picture; the calibration
kernel is run in the same turns.

Fidelity: PSNR of the neutral pose against the picture that was enrolled, within
the outline of the face's landmarks; for the portraits that ship, whose pictures
lie beside them.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration import kernel
from benchmarks.metrics import Distribution, Metric
from benchmarks.report import Bar, Outcome, ProgressBar, Row
from benchmarks.studio import NullRenderer
from engine.contract import Motion, Renderer
from engine.media import VideoFrame
from engine.motion.compositor import Compositor
from engine.motion.idle import IdleSource
from engine.motion.voice import VoiceSource
from engine.render.mesh import MeshRenderer
from engine.rig import archive
from engine.rig.avatar import FRAME, Avatar
from engine.session import Session
from engine.timeline import Timeline

PSNR = (Bar("", low=36),)
BARS_MS = {512: 10.0, 256: 4.0}
TURN = 5
"""Frames in a row, before it is another one's turn."""
WARM_FRAMES = 10


class Recorder(NullRenderer):
    """Keeps the motions that a session asks to be drawn."""

    def __init__(self) -> None:
        super().__init__(8)
        self.motions: list[Motion] = []

    def prepare(self, motion: Motion) -> None:
        """See `Renderer`."""
        super().prepare(motion)
        self.motions.append(motion)


def talking(voice: NDArray[np.float32], frames: int, fps: int, look_ahead_ms: int) -> list[Motion]:
    """The motions of a session that hears `voice`, one per frame."""
    source = VoiceSource(look_ahead_ms)
    recorder = Recorder()
    session = Session(Timeline(fps=fps), recorder, Compositor({"voice": source, "idle": IdleSource(0)}), source)
    sound = np.resize(voice, session.lead + frames * session.timeline.samples_per_frame)
    session.push(sound[: session.lead])
    for begin in range(session.lead, len(sound), session.timeline.samples_per_frame):
        session.push(sound[begin : begin + session.timeline.samples_per_frame])
        session.tick()
    return recorder.motions


@dataclass(slots=True)
class Contestant:
    """A renderer and what its frames took."""

    portrait: str
    size: int
    renderer: Renderer
    cpu_ms: list[float]
    avatar: Avatar | None = None
    photo: Path | None = None


def run_suite(
    portraits: Sequence[Path], sizes: Sequence[int], voice: NDArray[np.float32], frames: int, fps: int, look_ahead_ms: int
) -> Outcome:
    """Measure every portrait at every size."""
    motions = talking(voice, frames, fps, look_ahead_ms)
    contestants: list[Contestant] = []
    for file in portraits:
        avatar, photo = archive.load(file), file.parent / "source" / f"{file.stem}.png"
        contestants += [Contestant(file.stem, size, MeshRenderer(avatar, size), [], avatar, photo) for size in sizes]
    null = Contestant("null", sizes[0], NullRenderer(sizes[0]), [])
    kernel_ms = _race([*contestants, null], motions)
    outcome = Outcome(
        {"portraits": [file.stem for file in portraits], "sizes": list(sizes), "frames": frames, "fps": fps, "turn": TURN}
    )
    _report(outcome, contestants, null, kernel_ms)
    return outcome


def _race(contestants: list[Contestant], motions: list[Motion]) -> list[float]:
    """Draw all motions with all of them, in turns; the calibration kernel's times."""
    work = kernel()
    kernel_ms: list[float] = []
    progress = ProgressBar("renderer")
    for contestant in contestants:
        for motion in motions[:WARM_FRAMES]:
            _draw(contestant.renderer, motion)
        contestant.renderer.reset()
    for begin in range(0, len(motions), TURN):
        kernel_ms.append(_timed(work))
        for contestant in contestants:
            for motion in motions[begin : begin + TURN]:
                contestant.cpu_ms.append(_timed(lambda r=contestant.renderer, m=motion: _draw(r, m)))
        progress((begin + TURN) / len(motions))
    return kernel_ms


def _draw(renderer: Renderer, motion: Motion) -> None:
    renderer.prepare(motion)
    renderer.finish(None)


def _timed(work: Callable[[], None]) -> float:
    began = time.thread_time()
    work()
    return (time.thread_time() - began) * 1000


def _report(outcome: Outcome, contestants: list[Contestant], null: Contestant, kernel_ms: list[float]) -> None:
    sizes = sorted({c.size for c in contestants}, reverse=True)
    unit = float(np.median(kernel_ms))
    per_size: dict[str, Metric] = {}
    for size in sizes:
        found = Distribution.of([ms for c in contestants if c.size == size for ms in c.cpu_ms])
        per_size[str(size)] = found
        bars = (Bar("p50", BARS_MS[size]),) if size in BARS_MS else ()
        note = f"all portraits; {found.p50 / unit:.2f} of the kernel" if found else ""
        outcome.rows.append(Row(f"render_ms at {size}", found, bars, note))
    per_portrait: dict[str, Metric] = {}
    for contestant in contestants:
        found = Distribution.of(contestant.cpu_ms)
        per_portrait[f"{contestant.portrait}@{contestant.size}"] = found
        bars = (Bar("p50", BARS_MS[contestant.size]),) if contestant.size in BARS_MS else ()
        outcome.rows.append(Row(f"  {contestant.portrait}@{contestant.size}", found, bars))
    fidelity: dict[str, Metric] = {f"{c.portrait}@{c.size}": neutral_psnr(c) for c in contestants}
    outcome.rows += [
        Row(f"neutral PSNR {name}", value, (Bar("", low=36),), "dB, face region") for name, value in fidelity.items()
    ]
    outcome.rows.append(Row("null: render_ms", Distribution.of(null.cpu_ms)))
    outcome.rows.append(Row("calibration kernel ms", Distribution.of(kernel_ms)))
    first = per_size[str(sizes[0])]
    outcome.metrics = {
        "render_ms": first,
        "render_ms_by_size": per_size,
        "render_ms_by_portrait": per_portrait,
        "neutral_psnr_db": fidelity,
        "null_render_ms": Distribution.of(null.cpu_ms),
        "calibration_ms": Distribution.of(kernel_ms),
        "render_to_calibration": first.p50 / unit if isinstance(first, Distribution) else None,
        "stage_inference_ms": first,
    }


def neutral_psnr(contestant: Contestant) -> float | None:
    """PSNR in dB of the neutral pose against the enrolled picture, in the face region; None without that picture."""
    avatar, size = contestant.avatar, contestant.size
    photo = cv2.imread(str(contestant.photo)) if contestant.photo and contestant.photo.is_file() else None
    if avatar is None or photo is None or photo.shape[:2] != (FRAME, FRAME):
        return None
    contestant.renderer.reset()
    contestant.renderer.prepare(Motion.of())
    frame = contestant.renderer.finish(None)
    assert isinstance(frame, VideoFrame)
    drawn = frame.rgb.astype(np.float64)
    method = cv2.INTER_AREA if size < FRAME else cv2.INTER_CUBIC
    wanted = cv2.resize(cv2.cvtColor(photo, cv2.COLOR_BGR2RGB), (size, size), interpolation=method).astype(np.float64)
    outline = cv2.convexHull((avatar.landmarks[:468, :2] * (size / FRAME)).astype(np.float32)).round().astype(np.int32)
    face = cv2.fillConvexPoly(np.zeros((size, size), np.uint8), outline, 1).astype(bool)
    error = float(np.mean((drawn - wanted)[face] ** 2))
    return 10 * float(np.log10(255**2 / max(error, 1e-6)))
