"""The laws of the parts that make tracks, on made-up data."""

import zipfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from engine.contract.motion import CHANNELS, Channel
from engine.enrol.people import FOLDER
from engine.features.decimate import DELAY
from engine.rig.archive import load
from engine.rig.camera import rotation
from engine.timeline import SAMPLE_RATE_HZ
from tests.training.films import FPS, tone, write_film
from training.data.assemble import Sampler, Unusable, check
from training.data.faces import Faces
from training.data.fit import Person, fit_controls, judge
from training.data.head import Fit, de_posed, fit_head, mean_face, pose_of, straightened
from training.data.measures import gap_of, width_of
from training.data.media import _upright, decimated, frame_rate, pictures, sound_of
from training.data.tracks import Track, TrackError


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """float64[478, 3]: a portrait's landmarks in its head's frame."""
    return straightened(load(FOLDER / "mei.mien").landmarks.astype(np.float64))


@pytest.fixture(scope="module")
def person(face: np.ndarray) -> Person:
    return Person.of(face)


def seen(
    face: np.ndarray, angles: np.ndarray, u_px: float = 60.0, place: tuple[float, float, float] = (160, 120, 0)
) -> np.ndarray:
    """float32[F, 478, 3] px: the face turned by rows of yaw, pitch, roll."""
    return np.array([u_px * face @ rotation(*row).T.astype(np.float64) + place for row in angles], np.float32)


def waves(frames: int, *heights: float) -> np.ndarray:
    t = np.arange(frames)[:, None] / FPS
    return np.array(heights) * np.sin(2 * np.pi * t * np.array([0.5, 0.7, 0.4, 0.9, 1.1])[: len(heights)] + 0.3)


def test_the_head_is_taken_out_and_its_angles_are_those_of_the_motion_contract(face: np.ndarray) -> None:
    angles = waves(40, 20, 12, 9)
    landmarks = seen(face, angles)
    fit = fit_head(face, landmarks)
    assert np.abs(pose_of(fit, face)[:, :3] - angles).max() < 1e-3
    assert np.abs(de_posed(landmarks, fit) - face).max() < 1e-5
    assert fit.residual.max() < 1e-5
    assert fit.scale == pytest.approx(60, rel=1e-5)


@pytest.mark.parametrize(("step_px", "expected"), [((6, 0, 0), (0.1, 0, 0)), ((0, 6, 0), (0, -0.1, 0))])
def test_the_head_moves_to_the_persons_left_and_up(
    face: np.ndarray, step_px: tuple[float, float, float], expected: tuple[float, float, float]
) -> None:
    still = np.zeros((8, 3))
    before, after = seen(face, still), seen(face, still, place=(160 + step_px[0], 120 + step_px[1], 0))
    pose = pose_of(fit_head(face, np.concatenate([before, after]), 1), face)
    assert pose[-1, 3:] - pose[0, 3:] == pytest.approx(expected, abs=1e-4)


def test_a_larger_face_is_nearer(face: np.ndarray) -> None:
    still = np.zeros((8, 3))
    pose = pose_of(fit_head(face, np.concatenate([seen(face, still), seen(face, still, 66.0)]), 1), face)
    assert 0.5 < pose[-1, 5] - pose[0, 5] < 2.0


def test_a_face_that_is_only_turned_has_its_own_mean(face: np.ndarray) -> None:
    assert np.abs(mean_face(seen(face, waves(50, 15, 10, 8))) - face).max() < 1e-4


def test_controls_are_found_again_and_repeat_lips_and_width(person: Person) -> None:
    frames = 60
    true = np.zeros((frames, len(CHANNELS)), np.float32)
    true[:, Channel["jawOpen"]] = np.maximum(waves(frames, 0.5)[:, 0], 0)
    true[:, Channel["mouthPucker"]] = np.maximum(waves(frames, 0, 0.5)[:, 1], 0)
    true[:, Channel["browInnerUp"]] = np.maximum(waves(frames, 0, 0, 0.6)[:, 2], 0)
    points = person.posed(true)
    found = fit_controls(person, points, FPS)
    quality = judge(person, points, found)
    assert quality.gap_r > 0.995
    assert quality.width_r > 0.98
    assert quality.gap_rms < 0.01
    for name, closeness in (("jawOpen", 0.97), ("mouthPucker", 0.95), ("browInnerUp", 0.95)):
        assert np.corrcoef(true[:, Channel[name]], found[:, Channel[name]])[0, 1] > closeness, name


def test_rounding_and_spreading_never_undo_each_other(person: Person) -> None:
    frames = 80
    true = np.zeros((frames, len(CHANNELS)), np.float32)
    for name, wave in zip(("jawOpen", "mouthFunnel", "mouthStretchLeft"), waves(frames, 0.4, 0.5, 0.5).T, strict=True):
        true[:, Channel[name]] = np.maximum(wave, 0)
    true[:, Channel["mouthStretchRight"]] = true[:, Channel["mouthStretchLeft"]]
    points = person.posed(true)
    found, wider = fit_controls(person, points, FPS), width_of(points) - width_of(person.neutral)
    assert found[wider > 0.01][:, Channel["mouthFunnel"]].max() <= 0.07
    assert found[wider < -0.01][:, Channel["mouthStretchLeft"]].max() <= 0.07


def test_a_still_face_with_a_trackers_noise_is_given_still_controls(person: Person) -> None:
    noise = np.random.default_rng(0).normal(0, 0.002, (50, 468, 3))
    found = fit_controls(person, person.neutral[:468] + noise, FPS)
    assert found[:, Channel["jawOpen"]].max() < 0.03
    assert np.abs(np.diff(found, axis=0)).max() < 0.03


def test_the_rigs_jaw_opens_the_measured_gap(person: Person) -> None:
    rows = np.zeros((2, len(CHANNELS)), np.float32)
    rows[1, Channel["jawOpen"]] = 1
    shut, opened = gap_of(person.posed(rows))
    assert opened - shut > 0.15


def test_frames_are_taken_to_50_hz_at_their_centres() -> None:
    at = Sampler(frames=50, fps=25.0, steps=100)
    centres = (np.arange(50) + 0.5) / 25
    assert at(centres[:, None])[1:-1, 0] == pytest.approx(np.arange(1, 99) / 50, abs=1e-9)
    valid = np.ones(50, bool)
    valid[10] = False  # at 0.42 s
    assert np.flatnonzero(~at.trusted(valid)).tolist() == [20, 21, 22]


def faces(frames: int = 50, eyes_px: float = 60.0, lost: float = 0.0, crowd: float = 0.0) -> Faces:
    landmarks = np.zeros((frames, 478, 3), np.float32)
    landmarks[:, 263, 0] = eyes_px
    landmarks[: int(lost * frames)] = np.nan
    size = np.array([100, 100])
    return Faces(landmarks, np.zeros((frames, 3), np.float32), np.arange(frames) / FPS, FPS, crowd, size)


@pytest.mark.parametrize(
    ("clip", "seconds", "kind"),
    [
        (faces(), 0.5, "too short"),
        (faces(crowd=0.6), 2.0, "several faces"),
        (faces(eyes_px=12), 2.0, "face too small"),
        (faces(lost=0.3), 2.0, "face lost"),
        (faces(lost=1.0), 2.0, "no face"),
    ],
)
def test_clips_are_dropped_for_a_reason(clip: Faces, seconds: float, kind: str) -> None:
    check(faces(), 2.0)
    with pytest.raises(Unusable) as refused:
        check(clip, seconds)
    assert refused.value.kind == kind


def click_film(path: Path, late_s: float, rate_hz: int) -> None:
    """A film whose sound, which begins `late_s` after the first picture, has one click 0.5 s after that picture."""
    sound = np.zeros(rate_hz, np.float32)
    sound[round((0.5 - late_s) * rate_hz)] = 0.9
    write_film(path, [np.zeros((32, 32, 3), np.uint8)] * 30, sound, rate_hz, late_s)


@pytest.mark.parametrize("late_s", [0.0, 0.2])
@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_sound_is_aligned_to_the_first_picture_and_decimated_as_live(tmp_path: Path, late_s: float, rate_hz: int) -> None:
    click_film(tmp_path / "click.mkv", late_s, rate_hz)
    start = next(iter(pictures(tmp_path / "click.mkv")))[0]
    sound = sound_of(tmp_path / "click.mkv", start)
    assert abs(int(np.argmax(np.abs(sound))) - 24_000) <= 48
    low = decimated(sound, 16_000)
    assert low.shape == (16_000,)
    assert abs(int(np.argmax(np.abs(low))) - (24_000 + DELAY) // 3) <= 17


def test_holes_in_the_sound_are_silence(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "hole.mkv"), "w") as container:
        audio = container.add_stream("pcm_s16le", rate=SAMPLE_RATE_HZ, layout="mono")
        for start in (0, 960, 9600, 10560):  # nothing from 0.04 to 0.2 s
            frame = av.AudioFrame.from_ndarray((tone(0.02)[None] * 32767).astype(np.int16), "s16", "mono")
            frame.rate, frame.time_base, frame.pts = SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ), start
            container.mux(audio.encode(frame))
    sound = sound_of(tmp_path / "hole.mkv")
    assert len(sound) == pytest.approx(11520, abs=64)
    assert not sound[2200:9300].any()
    assert np.abs(sound[9700:10400]).max() > 0.1


@pytest.mark.parametrize("turn", [0, 90, 180, -90])
def test_pictures_stored_lying_down_are_turned_upright(turn: int) -> None:
    upright = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    stored = np.rot90(upright, -turn // 90)  # a display matrix of +90 turns counterclockwise

    class Stored:
        rotation = turn

        def to_ndarray(self, format: str) -> np.ndarray:
            assert format == "rgb24"
            return stored

    assert np.array_equal(_upright(Stored()), upright)  # type: ignore[arg-type]


def test_a_file_that_is_no_film_is_named_corrupt(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"\x00" * 2000)
    for read in (frame_rate, sound_of, lambda path: list(pictures(path))):
        with pytest.raises(Unusable) as refused:
            read(tmp_path / "x.mp4")
        assert refused.value.kind == "corrupt"


def test_a_damaged_track_says_so(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as file:
        file.writestr("name.npy", b"nonsense")
    whole = (tmp_path / "t.npz").read_bytes()
    for content in (b"", b"PK\x03\x04 nonsense", whole, whole[:40]):
        (tmp_path / "t.npz").write_bytes(content)
        with pytest.raises(TrackError, match="prepare it again"):
            Track.load(tmp_path / "t.npz")


def test_fit_is_a_plain_record(face: np.ndarray) -> None:
    fit = fit_head(face, seen(face, np.zeros((1, 3))))
    assert isinstance(fit, Fit)
    assert fit.rotation.shape == (1, 3, 3)
