"""Suite `engine`: how long does the engine keep a voice before its picture leaves?

End points: T1 a 20 ms packet of real speech is handed to the session, T7 the
bitstream of the picture that shows it is ready. In between lies everything the
server does: the inlet, the worker process, motion, rendering, I420, shared
memory, the encoder that all viewers share. No browser and no network.

Beside it the same path with a renderer that does nothing (the null system),
and a fixed piece of work (the calibration kernel), for ratios. Three controls
make it void when they fail: the sound that came out must be that which went
in, the mouth in the pictures must move with it, and an injected stall must
show in exactly the frames it was put into.
"""

import asyncio
import dataclasses
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks import mouth, pipeline, residence
from benchmarks.calibration import calibrate
from benchmarks.metrics import Distribution, Metric
from benchmarks.mouth import Lag, Window
from benchmarks.pipeline import COLUMNS, PipelineSettings, Run
from benchmarks.report import Bar, Outcome, ProgressBar, Row
from benchmarks.residence import STAGES, Deadlines, Frames, Journeys, StallCheck
from benchmarks.studio import NullRenderer
from engine.motion.voice import VoiceSource
from engine.rig import archive
from engine.rig.avatar import FRAME
from engine.session import Mixer, Session
from engine.timeline import SAMPLE_RATE_HZ, Timeline
from streaming.worker.loop import STALL_EVERY

LAG_MOST_MS = 60.0
"""Of the mouth behind or before the sound it is sent with; EBU R37 allows +40/-60 for the whole chain."""
CORRELATION_LEAST = 0.3
MATCHED_LEAST = 0.8
"""Share of the samples whose way through the engine must be known."""
Result = TypeVar("Result")
RESIDENCE = (Bar("p50", 60), Bar("p99", 100))
MISSES = (Bar("", 0.01),)
LAG = (Bar("", LAG_MOST_MS, -LAG_MOST_MS),)
CORRELATION = (Bar("", low=CORRELATION_LEAST),)


@dataclass(frozen=True, slots=True)
class Findings:
    """What one run of the pipeline says."""

    run: Run
    lead_ms: float
    frames: list[Frames]
    journeys: list[Journeys]
    deadlines: Deadlines
    lag: Lag | None

    @property
    def whole(self) -> NDArray[np.float64]:
        """From the push to the bitstream, the look-ahead included, of all sessions."""
        return np.concatenate([journey.whole for journey in self.journeys])

    @property
    def residence(self) -> Distribution | None:
        """Without what the look-ahead holds back."""
        return Distribution.of(self.whole - self.lead_ms)

    def stage(self, name: str) -> Distribution | None:
        """One stage of all sessions."""
        return Distribution.of(np.concatenate([journey.stages[name] for journey in self.journeys]))

    @property
    def miss_rate(self) -> float | None:
        """Misses over ticks."""
        return self.deadlines.misses / self.deadlines.ticks if self.deadlines.ticks else None

    @property
    def matched(self) -> float:
        """Share of the samples whose way is known."""
        return float(np.isfinite(self.whole).mean()) if self.whole.size else 0.0

    @property
    def cpu_per_stream_s(self) -> float:
        """CPU seconds of all processes per second of one stream."""
        return self.run.cpu_s / (self.run.ended - self.run.began) / len(self.run.takes)


def lead_ms(settings: PipelineSettings) -> float:
    """How long a session holds its sound back for the look-ahead, in ms: what the declared look-ahead really costs."""
    voice = VoiceSource(settings.look_ahead_ms)
    session = Session(Timeline(fps=settings.fps), NullRenderer(8), cast(Mixer, None), voice)
    return session.timeline.milliseconds(session.lead)


def measure(settings: PipelineSettings, voice: NDArray[np.float32], what: str, *, mouth_seen: bool = True) -> Findings:
    """Run the pipeline and read it; `mouth_seen`: look at the mouth in the pictures, too."""
    window = None
    if settings.renderer == "mesh" and mouth_seen:
        window = Window.around(archive.load(settings.portrait).landmarks, settings.size, FRAME)
    progress = ProgressBar(what)
    return read(in_loop(pipeline.run(settings, voice, window, lambda s: progress(s / settings.seconds))))


def read(run: Run) -> Findings:
    """What a run says."""
    settings = run.settings
    frames = [residence.frames_of(take, run) for take in run.takes]
    lead = lead_ms(settings)
    journeys = [
        residence.journeys(take, found, settings, run.began, lead, seed)
        for seed, (take, found) in enumerate(zip(run.takes, frames, strict=True))
    ]
    deadlines = residence.total([residence.deadlines(found, settings.period_s) for found in frames])
    return Findings(run, lead, frames, journeys, deadlines, _lag(run, settings))


def _lag(run: Run, settings: PipelineSettings) -> Lag | None:
    """Of the mouth in the pictures of the first session behind the sound that left with them; None where nobody looked."""
    take, timeline = run.takes[0], Timeline(fps=settings.fps)
    if take.windows is None:
        return None
    fresh = np.flatnonzero(take.frames[:, COLUMNS.index("fresh")] == 1)
    if len(fresh) < settings.fps:
        return None
    sound = take.sound.ravel().astype(np.float32) * np.float32(1 / 32768)
    depicted = timeline.frame_start(take.first) + fresh * timeline.samples_per_frame + timeline.samples_per_frame // 2
    return mouth.lag_behind(sound, timeline.frame_start(take.first), depicted, mouth.opening(take.windows[fresh]))


def in_loop(work: Coroutine[Any, Any, Result]) -> Result:
    """Do it in an event loop as the server's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def run_suite(settings: PipelineSettings, voice: NDArray[np.float32], *, null_s: float = 8.0) -> tuple[Outcome, Findings]:
    """Measure, compare with the null system, and check the controls."""
    before = calibrate()
    real = measure(settings, voice, "engine")
    null = measure(dataclasses.replace(settings, renderer="null", seconds=null_s, stall_ms=0.0), voice, "null system")
    after = calibrate()
    kernel_ms = (before.p50 + after.p50) / 2
    outcome = Outcome(settings_json(settings, len(voice)), codec=settings.codec)
    outcome.metrics = metrics_of(real, null, kernel_ms)
    outcome.rows = rows_of(real, null, outcome.metrics)
    outcome.lines = [_busy_line(real.run.busy), f"calibration kernel: {before.p50:.2f} ms before, {after.p50:.2f} ms after"]
    _check(outcome, real, settings)
    return outcome, real


def settings_json(settings: PipelineSettings, voice_samples: int) -> dict[str, object]:
    """The settings as they stand in the JSON."""
    models = settings.models.name if settings.models else None
    found: dict[str, object] = {**dataclasses.asdict(settings), "portrait": settings.portrait.stem, "models": models}
    return {**found, "warm_up_s": pipeline.WARM_S, "voice_s": round(voice_samples / SAMPLE_RATE_HZ, 2), "packet_ms": 20}


def metrics_of(real: Findings, null: Findings | None, kernel_ms: float) -> dict[str, Metric]:
    """All figures by name."""
    inference = real.stage("inference")
    found: dict[str, Metric] = {
        "engine_residence_ms": real.residence,
        "voice_to_picture_ms": Distribution.of(real.whole),
        **{f"stage_{name}_ms": real.stage(name) for name in STAGES},
        "stage_picture_hold_ms": 0.0,
        "look_ahead_held_ms": real.lead_ms,
        "render_ms": inference,
        "deadline_miss_rate": real.miss_rate,
        "frames": real.deadlines.ticks,
        "frames_late": real.deadlines.late,
        "frames_repeated": real.deadlines.repeated,
        "frames_dropped": real.deadlines.dropped,
        "sound_missing_ms": float(sum(int(np.nansum(frames["missing"])) for frames in real.frames)) * 1000 / SAMPLE_RATE_HZ,
        "sound_to_mouth_lag_ms": real.lag.milliseconds if real.lag else None,
        "sound_to_mouth_correlation": real.lag.correlation if real.lag else None,
        "samples_matched_ratio": real.matched,
        "cpu_s_per_stream_s": real.cpu_per_stream_s,
        "resident_mb": real.run.resident_mb,
        "loop_lag_ms": Distribution.of(real.run.loop_late_s * 1000),
        "workers_ready_s": real.run.ready_s,
        "session_open_ms": Distribution.of(np.array(real.run.opened_s) * 1000),
        "bitrate_kbps": _bitrate_kbps(real.run),
        "calibration_ms": kernel_ms,
        "render_to_calibration": inference.p50 / kernel_ms if inference else None,
    }
    if null:
        found |= {
            "null_residence_ms": null.residence,
            "null_miss_rate": null.miss_rate,
            "null_cpu_s_per_stream_s": null.cpu_per_stream_s,
        }
    return found


def _bitrate_kbps(run: Run) -> float:
    """Of one session's picture and sound."""
    sent = float(np.mean([take.bytes_sent for take in run.takes]))
    return sent * 0.008 / (run.settings.seconds + pipeline.WARM_S)


def rows_of(real: Findings, null: Findings | None, metrics: dict[str, Metric]) -> list[Row]:
    """The table: voice in -> encoded picture out first, stages second."""
    declared = real.run.settings.look_ahead_ms
    rows = [
        Row("engine_residence_ms", real.residence, RESIDENCE, "look-ahead excluded, T1 -> T7"),
        Row("voice_to_picture_ms", metrics["voice_to_picture_ms"], (), f"nothing excluded; {real.lead_ms:g} ms are look-ahead"),
    ]
    rows += [Row(f"  {name}", metrics[f"stage_{name}_ms"]) for name in STAGES]
    rows += [
        Row("deadline_miss_rate", real.miss_rate, MISSES, _misses_line(real.deadlines)),
        Row("sound_to_mouth_lag_ms", metrics["sound_to_mouth_lag_ms"], LAG, f"seen; look-ahead {declared} ms declared"),
        Row("sound_to_mouth_correlation", metrics["sound_to_mouth_correlation"], CORRELATION),
        Row("loop_lag_ms", metrics["loop_lag_ms"], (), "of the server's event loop"),
        Row("cpu_s_per_stream_s", real.cpu_per_stream_s),
        Row("resident_mb", real.run.resident_mb),
        Row("bitrate_kbps", metrics["bitrate_kbps"]),
        Row("workers_ready_s", real.run.ready_s),
        Row("session_open_ms", metrics["session_open_ms"]),
        Row("render_to_calibration", metrics["render_to_calibration"]),
    ]
    if null:
        rows += [
            Row("null: residence_ms", null.residence, (), "the same path without a renderer"),
            Row("null: cpu_s_per_stream_s", null.cpu_per_stream_s),
        ]
    return rows


def _misses_line(found: Deadlines) -> str:
    return f"{found.late} late, {found.repeated} repeated, {found.dropped} dropped of {found.ticks}"


def _check(outcome: Outcome, real: Findings, settings: PipelineSettings) -> None:
    if real.matched < MATCHED_LEAST:
        outcome.failures.append(f"only {real.matched:.0%} of the sound that came out was recognised as that which went in")
    if settings.renderer == "mesh":
        if real.lag is None:
            outcome.failures.append("the mouth in the pictures does not move")
        elif real.lag.correlation < CORRELATION_LEAST or abs(real.lag.milliseconds) > LAG_MOST_MS:
            outcome.failures.append(
                f"the mouth in the pictures does not follow the sound: {real.lag.milliseconds:.0f} ms behind it at "
                f"a correlation of {real.lag.correlation:.2f}, so the look-ahead of {settings.look_ahead_ms} ms is not verified"
            )
    if settings.stall_ms:
        check = stall_check(real, settings)
        outcome.metrics["stall_injected_frames"] = list(check.injected)
        outcome.metrics["stall_shown_frames"] = list(check.shown)
        outcome.lines.append(f"stall of {settings.stall_ms:g} ms put into {list(check.injected)}, seen in {list(check.shown)}")
        if not check.exact:
            outcome.failures.append("the injected stall does not show in exactly the frames it was put into")


def stall_check(real: Findings, settings: PipelineSettings) -> StallCheck:
    """Of the first session."""
    return residence.stalled(real.frames[0], settings.stall_ms, STALL_EVERY)


def _busy_line(busy: dict[str, float]) -> str:
    return (
        f"machine: load {busy['load_before']:.1f} -> {busy['load_after']:.1f}, "
        f"steal {busy['steal']:.1%}, idle {busy['idle']:.1%} of all cores while it ran"
    )
