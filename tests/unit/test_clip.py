import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import MienError
from streaming.capture import clip as module
from streaming.capture.clip import Clip
from tests.unit.clips import MS, film, level_of


def instants(path: Path) -> list[float]:
    return [picture.time_s for picture in Clip(path).pictures()]


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(25), Fraction(30_000, 1001), Fraction(30), Fraction(60)])
def test_a_picture_depicts_the_middle_of_the_time_for_which_it_shows(tmp_path: Path, rate: Fraction) -> None:
    path = film(tmp_path / "a.mp4", times_s=[float(k / rate) for k in range(12)])
    np.testing.assert_allclose(instants(path), [(k + 0.5) / rate for k in range(12)], atol=2e-3)


def test_pictures_of_uneven_length_keep_their_instants(tmp_path: Path) -> None:
    begin = [0.0, 0.04, 0.05, 0.25, 0.3]
    path = film(tmp_path / "a.mkv", times_s=begin)
    np.testing.assert_allclose(instants(path), [0.02, 0.045, 0.15, 0.275, 0.325], atol=2e-3)
    assert [level_of(p.rgb) for p in Clip(path).pictures()] == pytest.approx([20, 40, 60, 80, 100], abs=8)


@pytest.mark.parametrize("late_s", [0.3, -0.3, 0.0])
def test_sound_and_picture_that_start_apart_stay_together(tmp_path: Path, late_s: float) -> None:
    path = film(tmp_path / "a.mkv", times_s=[0.5 + k / 25 for k in range(25)], sound_at_s=0.5 + late_s, click_s=0.4)
    clip = Clip(path)
    assert instants(path)[0] == pytest.approx(0.02, abs=2e-3)
    sound = clip.sound()
    assert int(np.abs(sound).argmax()) / 48_000 == pytest.approx(0.4 + late_s, abs=2e-3)


def test_a_hole_in_the_sound_is_silence(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", times_s=[k / 25 for k in range(25)], sound_at_s=0.0, click_s=0.8, hole_s=(0.2, 0.6))
    assert int(np.abs(Clip(path).sound()).argmax()) / 48_000 == pytest.approx(0.8, abs=2e-3)


def test_a_picture_that_a_telephone_stored_lying_stands(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", times_s=[0.0, 0.04], size=(64, 32), mark_corner=True)
    lying = next(Clip(path).pictures()).rgb
    turn(path)
    standing = next(Clip(path).pictures()).rgb
    assert lying.shape == (32, 64, 3)
    assert standing.shape == (64, 32, 3)
    assert lying[:8, :8].mean() > 150  # the marked corner: top left as stored
    assert standing[:8, -8:].mean() > 150  # turned clockwise: top right


def turn(path: Path) -> None:
    """Write the matrix of a quarter turn clockwise into an mp4's track header, as telephones do."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def test_large_pictures_are_shrunk_and_wide_pixels_stretched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SIDE_WATCHED", 32)
    assert next(Clip(film(tmp_path / "a.mp4", times_s=[0.0], size=(64, 48))).pictures()).rgb.shape == (24, 32, 3)
    wide = film(tmp_path / "b.mp4", times_s=[0.0], size=(32, 32), pixel=Fraction(2))
    assert next(Clip(wide).pictures()).rgb.shape == (16, 32, 3)


def only_sound(path: Path) -> Path:
    return film(path, times_s=[], sound_at_s=0.0, click_s=0.1)


def text(path: Path) -> Path:
    path.write_text("dear diary\n" * 40)
    return path


def no_bytes(path: Path) -> Path:
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: p, "there is no clip a.mkv"),
        (lambda p: p.parent, "is a folder"),
        (text, "a.mkv cannot be read as a film"),
        (no_bytes, "a.mkv cannot be read as a film"),
        (only_sound, "a.mkv holds no picture"),
    ],
)
def test_what_is_no_film_is_refused_in_one_line(tmp_path: Path, make: Any, says: str) -> None:
    with pytest.raises(MienError, match=says) as caught:
        Clip(make(tmp_path / "a.mkv"))
    assert "\n" not in str(caught.value)


def test_what_is_too_large_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.mp4", times_s=[k / 25 for k in range(25)])
    monkeypatch.setattr(module, "SIDE_MOST", 63)
    with pytest.raises(MienError, match="pictures of 64x64 px"):
        Clip(path)
    monkeypatch.setattr(module, "SIDE_MOST", 64)
    monkeypatch.setattr(module, "LONGEST_S", 0.5)
    with pytest.raises(MienError, match="cut it"):
        Clip(path)


def test_a_film_that_does_not_say_how_long_it_is_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = Clip(film(tmp_path / "a.mkv", times_s=[k / 25 for k in range(25)]))
    monkeypatch.setattr(module, "LONGEST_S", 0.5)
    with pytest.raises(MienError, match="cut it"):
        list(clip.pictures())


def test_what_is_damaged_in_the_middle_is_left_out(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", times_s=[k / 25 for k in range(100)], key_every=1)
    spoil(path, (0.4, 0.5))
    clip = Clip(path)
    times = [picture.time_s for picture in clip.pictures()]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(3.98, abs=0.02)


def spoil(path: Path, part: Sequence[float]) -> None:
    data = bytearray(path.read_bytes())
    first, last = (int(share * len(data)) for share in part)
    data[first:last] = np.random.default_rng(0).bytes(last - first)
    path.write_bytes(data)


def test_a_film_that_breaks_off_ends_there(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", times_s=[k / 25 for k in range(100)], key_every=1)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    times = instants(path)
    assert 1.0 < times[-1] < 3.0


def test_clips_without_sound_say_so(tmp_path: Path) -> None:
    clip = Clip(film(tmp_path / "a.mp4", times_s=[0.0, 1 * MS]))
    assert not clip.has_sound
    assert len(clip.sound()) == 0
