"""What `mien render` writes is what a live session emits."""

import itertools
from pathlib import Path

import av
import numpy as np
import pytest

from engine.contract import Motion
from streaming.cli.main import main
from streaming.contract import SessionSettings
from streaming.film import Film, frames_of
from streaming.worker.mesh import MeshStudio

PORTRAIT = Path(__file__).parents[2] / "engine/models/portraits/mei.mien"
SETTINGS = SessionSettings("mei", size=128, badge=False)


def speech(seconds: float) -> np.ndarray:
    """A voice-like buzz in bursts."""
    t = np.arange(round(48_000 * seconds)) / 48_000
    return (0.3 * np.sign(np.sin(2 * np.pi * 120 * t)) * (np.sin(2 * np.pi * 3 * t) > 0)).astype(np.float32)


def test_rendering_gives_the_frames_of_a_live_session() -> None:
    sound = speech(0.6)
    count, emissions = frames_of(SETTINGS, PORTRAIT, sound, {})
    rendered = [emission.video.rgb.copy() for emission in emissions]
    session = MeshStudio().build(SETTINGS, str(PORTRAIT), lambda: 0.0).session
    rest, live = sound, []
    while len(rest):  # as live: packet by packet
        rest = rest[session.push(rest[:960]) :]
        while session.ready:
            live.append(session.tick().video.rgb.copy())
    live += [session.tick().video.rgb.copy() for _ in range(session.end_utterance())]
    assert count == len(rendered) == len(live) == 15
    assert all(np.array_equal(a, b) for a, b in zip(rendered, live, strict=True))


def test_the_film_holds_picture_and_sound_of_equal_length(tmp_path: Path) -> None:
    sound = speech(0.6)
    out = tmp_path / "out.mp4"
    count, emissions = frames_of(SETTINGS, PORTRAIT, sound, {"preset": "smile"})
    pictures: list[np.ndarray] = []
    with Film(out, SETTINGS, crf=10) as film:
        for emission in emissions:
            film.add(emission)
            pictures.append(emission.video.rgb.astype(float))
    assert not list(tmp_path.glob("*.part"))
    with av.open(str(out)) as container:
        frames = [frame.to_ndarray(format="rgb24").astype(float) for frame in container.decode(video=0)]
    with av.open(str(out)) as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert len(frames) == count
    errors = [np.mean((a - b) ** 2) for a, b in zip(frames, pictures, strict=True)]
    assert max(errors) < 60  # about 30 dB after 4:2:0 and x264
    energy = np.correlate(np.abs(heard[: len(sound)]), np.abs(sound), "same")
    assert abs(int(energy.argmax()) - len(sound) // 2) < 480  # sound and picture start together, within 10 ms


def test_an_unfinished_film_leaves_nothing(tmp_path: Path) -> None:
    _, emissions = frames_of(SETTINGS, PORTRAIT, speech(0.2), {})
    film = Film(tmp_path / "out.mp4", SETTINGS, crf=18)
    film.add(next(emissions))
    film.__exit__(RuntimeError, RuntimeError(), None)
    assert not list(tmp_path.iterdir())


def test_the_mouth_opens_with_the_voice() -> None:
    loud = [m["jawOpen"] for m in motions(np.concatenate([np.zeros(24_000, np.float32), speech(0.5)]))]
    assert max(loud) > 0.05
    assert max(m["jawOpen"] for m in motions(np.zeros(48_000, np.float32))) < 0.01


class Turn:
    """Looks ahead for `at_s`, then turns the head; says nothing of the lips."""

    look_ahead = 0

    def __init__(self, at_s: float) -> None:
        self._at = at_s * 48_000
        self.reset()

    def reset(self, sample: int = 0) -> None:
        self._next = sample

    def advance(self, until_sample: int) -> list[Motion]:
        steps = range(self._next, until_sample + 1, 960)
        self._next += 960 * len(steps)
        return [Motion.of(at, {"yaw": 12.0 if at >= self._at else 0.0}) for at in steps]


def test_a_clip_moves_the_head_at_its_instant_and_nothing_else_moves() -> None:
    factors = {"pose": "camera", "gaze": "still", "expression": "still", "lips": "still"}
    _, emissions = frames_of(SETTINGS, PORTRAIT, speech(0.6), {"factors": factors}, Turn(0.3))
    frames = [emission.video.rgb.astype(int) for emission in emissions]
    changes = [int(np.abs(b - a).max()) for a, b in itertools.pairwise(frames)]
    assert max(changes[:6]) == 0  # frame 7 shows the instant 0.30 s
    assert changes[7] > 20


def motions(sound: np.ndarray) -> list[Motion]:
    performance = MeshStudio().build(SETTINGS, str(PORTRAIT), lambda: 0.0)
    seen: list[Motion] = []
    prepare = performance.session.renderer.prepare

    def watch(motion: Motion) -> None:
        seen.append(motion)
        prepare(motion)

    performance.session.renderer.prepare = watch  # pyright: ignore[reportAttributeAccessIssue]
    for begin in range(0, len(sound), 1920):
        performance.session.push(sound[begin : begin + 1920])
        performance.session.tick()
    return seen


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nobody", "x.wav"], "there are amara"),
        (["mei", "missing.wav"], "there is no sound file missing.wav"),
        (["mei", "x.wav", "--size", "33"], "--size is an even number"),
        (["mei", "-o", "o.mp4"], "there is nothing to render: give a SOUND"),
        (["mei", "--driving", "missing.mp4"], "there is no clip missing.mp4"),
        (["mei", "x.wav", "--pose-from", "camera"], "--pose-from camera is for ./mien serve"),
        (["mei", "x.wav", "-o", __file__], "exists; choose another name"),
    ],
)
def test_bad_words_get_one_line(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", *words]) == 1
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1


def test_a_text_file_is_not_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a sound\n" * 20)
    assert main(["render", "mei", str(text), "-o", str(tmp_path / "o.mp4")]) == 1
    assert capsys.readouterr().err.startswith("mien: notes.txt")
