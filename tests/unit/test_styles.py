from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import MienError, ModelError
from engine.motion.head import STYLE_SHAPE, load_style, save_style
from streaming.styles import cache_root, chosen, style_file

STYLE = np.full(STYLE_SHAPE, 0.25, np.float32)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def never(clip: Path) -> NDArray[np.float32]:
    raise AssertionError("learned twice")


def test_a_clip_is_learned_once(tmp_path: Path) -> None:
    clip = tmp_path / "me.mp4"
    clip.write_bytes(b"moving pictures")
    file = style_file(clip, lambda _: STYLE)
    np.testing.assert_array_equal(load_style(file), STYLE)
    assert file.parent == cache_root()
    assert style_file(clip, never) == file
    clip.write_bytes(b"other pictures")
    assert style_file(clip, lambda _: 2 * STYLE) != file


def test_what_is_damaged_in_the_cache_is_learned_anew(tmp_path: Path) -> None:
    clip = tmp_path / "me.mp4"
    clip.write_bytes(b"moving pictures")
    file = style_file(clip, lambda _: STYLE)
    file.write_bytes(b"")
    np.testing.assert_array_equal(load_style(style_file(clip, lambda _: 2 * STYLE)), 2 * STYLE)


def test_a_style_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "mine.npz"
    save_style(file, STYLE)
    assert style_file(file, never) == file.resolve()
    whole = file.read_bytes()
    for damaged in (b"no style", b"", whole[: len(whole) // 2]):
        file.write_bytes(damaged)
        with pytest.raises(ModelError, match="no head style"):
            style_file(file, never)


def test_a_clip_that_is_not_there_or_shows_nothing_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="No such file"):
        style_file(tmp_path / "none.mp4", never)
    clip = tmp_path / "wall.mp4"
    clip.write_bytes(b"a wall")

    def fail(clip: Path) -> NDArray[np.float32]:
        raise MienError(f"{clip} shows no face")

    with pytest.raises(MienError, match="no face"):
        style_file(clip, fail)
    assert list(tmp_path.glob("cache/**/*.npz")) == []


def test_only_what_is_named_is_learned(tmp_path: Path) -> None:
    assert chosen(None) is None
    file = tmp_path / "mine.npz"
    save_style(file, STYLE)
    assert chosen(file) == file.resolve()
    with pytest.raises(MienError, match="No such file"):
        chosen(tmp_path / "none.mp4")


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    clip = tmp_path / "me.mp4"
    clip.write_bytes(b"moving pictures")
    with pytest.raises(MienError, match="XDG_CACHE_HOME"):
        style_file(clip, lambda _: STYLE)
