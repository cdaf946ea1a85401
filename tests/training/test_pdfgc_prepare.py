"""Video into clips, on small films whose truth is known."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from engine.contract.motion import Channel
from tests.training.films import drawn, talking, tone, write_film
from training.data.prepare import PrepareError
from training.pdfgc import prepare
from training.pdfgc.clips import FilmedClips
from training.pdfgc.layouts import layout_of, takes_in


def options(folder: Path, out: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    prepare.add_arguments(parser)
    return parser.parse_args([str(folder), "--out", str(out), "--size", "112", *more])


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_voxceleb2_is_read_with_its_people_and_sounds(tmp_path: Path) -> None:
    touch(tmp_path, "dev/mp4/id00012/21Uxsk56VDQ/00001.mp4", "dev/aac/id00012/21Uxsk56VDQ/00001.m4a")
    touch(tmp_path, "test/mp4/id00017/01dfn2spqyE/00002.mp4")
    assert layout_of(tmp_path) == "voxceleb2"
    first, second = takes_in(tmp_path, "voxceleb2")
    assert (first.clip.speaker, first.clip.name) == ("id00012", "id00012-21Uxsk56VDQ-00001")
    assert first.sound == tmp_path / "dev/aac/id00012/21Uxsk56VDQ/00001.m4a"
    assert (second.sound, second.split) == (None, "test")


def test_mead_is_read_from_the_front(tmp_path: Path) -> None:
    for person in ("M003", "W011"):
        touch(tmp_path, f"{person}/video/front/angry/level_1/001.mp4", f"{person}/video/left_30/angry/level_1/001.mp4")
        touch(tmp_path, f"{person}/audio/angry/level_1/001.m4a")
    assert layout_of(tmp_path) == "mead"
    takes = list(takes_in(tmp_path, "mead"))
    assert [take.clip.name for take in takes] == ["M003-angry-level_1-001", "W011-angry-level_1-001"]
    assert takes[0].split == "test"
    assert takes[1].sound == tmp_path / "W011/audio/angry/level_1/001.m4a"


@pytest.mark.parametrize("rate", [25.0, 30.0, 29.97, 12.5, 50.0])
def test_films_of_any_rate_are_taken_25_times_a_second(rate: float) -> None:
    frames = [(3.0 + i / rate, np.full((1, 1, 3), i, np.uint8)) for i in range(40)]
    taken = [int(rgb[0, 0, 0]) for _, rgb in prepare.at_25_fps(iter(frames))]
    assert len(taken) == pytest.approx(40 * 25 / rate, abs=1)
    assert all(abs(i / rate - n / 25) <= 0.5 / 25 + 1 / rate for n, i in enumerate(taken))
    if rate == 25:
        assert taken == list(range(40))


def test_a_film_becomes_a_clip_that_tells_what_it_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    controls = talking(40)
    pictures, _ = drawn(controls, size=160)
    films, out = tmp_path / "films", tmp_path / "clips"
    films.mkdir()
    write_film(films / "one.mkv", pictures, tone(1.6))
    write_film(films / "silent.mkv", pictures[:30], None)
    (films / "cut.mkv").write_bytes((films / "one.mkv").read_bytes()[:900])
    assert prepare.main(options(films, out)) == 0
    report = json.loads((out / "report.json").read_text())["films"]
    assert report == {"files": 3, "clips": 1, "pictures": 40, "corrupt": 1, "no sound": 1}
    source = FilmedClips(out)
    clip = source.clip(int(np.concatenate(source.people("train") or source.people("test"))[0]))
    assert len(clip) == 40
    assert len(clip.sound) == 40 * 640
    assert np.corrcoef(clip.motion[:, Channel["jawOpen"]], controls[:, Channel["jawOpen"]])[0, 1] > 0.8
    assert np.corrcoef(clip.motion[:, Channel["roll"]], controls[:, Channel["roll"]])[0, 1] > 0.9
    middle = clip.eyes.mean((0, 2)) * 224
    assert middle == pytest.approx(np.array([[141.5, 68.8], [82.8, 68.8]]), abs=8)  # the person's left, then right
    capsys.readouterr()
    prepare.main(options(films, out))
    assert "preparing" not in capsys.readouterr().err
    assert prepare.main(options(films, tmp_path / "with-silent", "--silent", "--limit", "2")) == 0


def test_nothing_to_prepare_is_said(tmp_path: Path) -> None:
    with pytest.raises(PrepareError, match="no video in"):
        prepare.main(options(tmp_path, tmp_path / "out"))
    with pytest.raises(PrepareError, match="is no folder"):
        prepare.main(options(tmp_path / "none", tmp_path / "out"))
