"""Folders of video -> tracks, end to end, against films with known truth."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from engine.contract.motion import Channel, Motion
from tests.training.films import FPS, drawn, talking, tone, write_film
from training.data import prepare
from training.data.prepare import add_arguments, main
from training.data.tracks import Track
from training.teacher import missing

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def prepared(*words: object) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return main(parser.parse_args([str(word) for word in words]))


def report(out: Path) -> dict[str, str]:
    return {row["name"]: row["dropped"] for row in json.loads((out / "report.json").read_text())["clips"]}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, np.ndarray, np.ndarray]:
    """A folder of films, the folder of their tracks, and the truth of `good`: controls and landmarks."""
    folder, out = tmp_path_factory.mktemp("films") / "someone", tmp_path_factory.mktemp("tracks")
    folder.mkdir()
    controls = talking()
    pictures, landmarks = drawn(controls)
    few, empty = pictures[:26], [np.full((160, 160, 3), 90, np.uint8)] * 26
    write_film(folder / "good.mp4", pictures, tone(3))
    write_film(folder / "low-rate.mp4", few, tone(1.04, 8000), 8000)
    write_film(folder / "mute.mp4", few, None)
    write_film(folder / "nobody.mp4", empty, tone(1.04))
    write_film(folder / "short.mp4", pictures[:10], tone(0.4))
    write_film(
        folder / "small.mp4", [np.ascontiguousarray(np.pad(p[::5, ::5], ((0, 0), (0, 96), (0, 0)))) for p in few], tone(1.04)
    )
    write_film(folder / "two.mp4", [np.hstack([p, p[:, ::-1]]) for p in few], tone(1.04))
    whole = (folder / "good.mp4").read_bytes()
    (folder / "cut-off.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "text.mp4").write_text("no film at all")
    (folder / "notes.txt").write_text("not looked at")
    assert prepared(folder, "--out", out, "--sheet", 1) == 0
    return folder, out, controls, landmarks


@pytest.fixture(scope="module")
def track(studio: tuple[Path, Path, np.ndarray, np.ndarray]) -> Track:
    return Track.load(studio[1] / "someone" / "good.npz")


def at_frames(track: Track, name: str) -> np.ndarray:
    """A channel at the instants of the film's frames, (i + 0.5) / 25 s = (2 i + 1) 20 ms."""
    return track.controls[1::2, Channel[name]]


def test_what_cannot_be_used_is_named_and_the_rest_is_kept(studio: tuple[Path, Path, np.ndarray, np.ndarray]) -> None:
    assert report(studio[1]) == {
        "good": "", "low-rate": "low sample rate", "mute": "no sound", "nobody": "no face", "short": "too short",
        "small": "face too small", "two": "several faces", "cut-off": "corrupt", "text": "corrupt",
    }  # fmt: skip
    assert [path.name for path in (studio[1] / "someone").glob("*.npz")] == ["good.npz"]


def test_the_sheet_is_drawn(studio: tuple[Path, Path, np.ndarray, np.ndarray]) -> None:
    assert (studio[1] / "sheets" / "someone-good.png").stat().st_size > 10_000


def test_a_second_call_reads_nothing_and_a_changed_file_is_read_again(
    studio: tuple[Path, Path, np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out, _, _ = studio
    made = (out / "someone" / "good.npz").stat().st_mtime_ns
    monkeypatch.setattr(prepare, "_see", lambda task: (task[0], "no face", "seen again"))
    assert prepared(folder, "--out", out) == 0
    assert (out / "someone" / "good.npz").stat().st_mtime_ns == made
    assert "0 of 9 clips read" in capsys.readouterr().out
    (folder / "text.mp4").write_text("something else")
    prepared(folder, "--out", out)
    told = capsys.readouterr()
    assert "1 of 9 clips read" in told.out
    assert "dropped someone/text.mp4: seen again" in told.err


def test_shapes_and_clock(track: Track) -> None:
    steps = len(track.controls)
    assert 148 <= steps <= 150
    assert track.sound.shape == (steps * 320,)
    assert track.mel.shape == (steps * 2, 40)
    assert track.landmarks.shape == (75, 478, 3)
    assert track.valid.all()
    assert track.moving.all()
    assert (track.name, track.source, track.speaker, track.fps) == ("good", "someone", "good", 25.0)
    assert np.abs(track.sound[1600:-1600]).max() == pytest.approx(0.2 * 32767, rel=0.1)


@pytest.mark.parametrize(("name", "closeness"), [("yaw", 0.97), ("pitch", 0.9), ("roll", 0.9), ("tx", 0.9), ("ty", 0.9)])
def test_the_head_moves_as_it_did_with_our_signs(
    studio: tuple[Path, Path, np.ndarray, np.ndarray], track: Track, name: str, closeness: float
) -> None:
    true, found = studio[2][:, Channel[name]], at_frames(track, name)
    length = min(len(true), len(found))
    true, found = true[:length] - true[:length].mean(), found[:length] - found[:length].mean()
    assert np.corrcoef(true, found)[0, 1] > closeness
    assert 0.7 < (true * found).sum() / (true**2).sum() < 1.4


def test_the_gap_of_the_lips_is_the_films(studio: tuple[Path, Path, np.ndarray, np.ndarray], track: Track) -> None:
    marks = studio[3]
    true = np.linalg.norm(marks[:, 14] - marks[:, 13], axis=1) / np.linalg.norm(marks[:, 263] - marks[:, 33], axis=1)
    found = track.gap[1::2]
    assert np.corrcoef(true[: len(found)], found)[0, 1] > 0.95
    jaw, given = at_frames(track, "jawOpen"), studio[2][:, Channel["jawOpen"]]
    assert np.corrcoef(given[: len(jaw)], jaw)[0, 1] > 0.93
    lag = [np.corrcoef(given[2:72], jaw[2 + shift : 72 + shift])[0, 1] for shift in (-2, -1, 0, 1, 2)]
    assert int(np.argmax(lag)) == 2  # neither late nor early


def test_the_mouth_is_shut_where_it_was(studio: tuple[Path, Path, np.ndarray, np.ndarray], track: Track) -> None:
    shut = studio[2][: len(track.gap[1::2]), Channel["jawOpen"]] == 0
    inside = shut & np.roll(shut, 1) & np.roll(shut, -1)
    parted = at_frames(track, "jawOpen") - at_frames(track, "mouthClose")
    assert np.percentile(parted[inside], 90) < 0.06
    assert np.percentile(track.gap[1::2][inside], 90) < 0.02


def test_blinks_are_found_at_their_times_and_nowhere_else(
    studio: tuple[Path, Path, np.ndarray, np.ndarray], track: Track
) -> None:
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        true, found = studio[2][:, Channel[name]], at_frames(track, name)
        true = true[: len(found)]
        assert np.corrcoef(true, found)[0, 1] > 0.85
        assert found[true > 0.9].min() > 0.6
        assert np.median(found[true == 0]) < 0.1


def test_the_gaze_has_our_sign(studio: tuple[Path, Path, np.ndarray, np.ndarray], track: Track) -> None:
    def left(rows: np.ndarray) -> np.ndarray:
        return np.array([Motion(0, row, np.ones(5, np.float32)).gaze_deg("Left")[0] for row in rows])

    found = left(track.controls[1::2])
    assert np.corrcoef(left(studio[2])[: len(found)], found)[0, 1] > 0.8


def test_sound_can_be_absent_when_only_heads_are_wanted(
    studio: tuple[Path, Path, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    folder = tmp_path / "heads"
    folder.mkdir()
    (folder / "mute.mp4").symlink_to(studio[0] / "mute.mp4")
    assert prepared(folder, "--out", tmp_path / "out", "--silent", "--speaker-from", "folder") == 0
    track = Track.load(tmp_path / "out" / "heads" / "mute.npz")
    assert not track.sound.any()
    assert track.speaker == "heads"
    assert len(track.controls) == pytest.approx(26 / FPS * 50, abs=2)


def test_what_fails_unforeseen_is_one_line_and_tried_again(
    studio: tuple[Path, Path, np.ndarray, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "mute.mp4").symlink_to(studio[0] / "mute.mp4")
    with monkeypatch.context() as broken:
        broken.setattr(prepare, "frame_rate", lambda path: 1 / 0)
        assert prepared(folder, "--out", tmp_path / "out", "--silent") == 1
    assert "dropped one/mute.mp4: failed: ZeroDivisionError" in capsys.readouterr().err
    assert prepared(folder, "--out", tmp_path / "out", "--silent") == 0


def test_a_disk_that_takes_nothing_is_said_in_one_line(
    studio: tuple[Path, Path, np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "mute.mp4").symlink_to(studio[0] / "mute.mp4")
    monkeypatch.setattr(prepare.Faces, "save", full)
    with pytest.raises(prepare.PrepareError, match="is the disk full"):
        prepared(folder, "--out", tmp_path / "out", "--silent")


def test_a_folder_without_film_is_refused(tmp_path: Path) -> None:
    with pytest.raises(prepare.PrepareError, match="no video in"):
        prepared(tmp_path, "--out", tmp_path / "out")
    with pytest.raises(prepare.PrepareError, match="is no folder"):
        prepared(tmp_path / "absent", "--out", tmp_path / "out")
