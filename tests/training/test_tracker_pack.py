from pathlib import Path

import numpy as np
import pytest

from training.tracker.data import CROP, Shard, ShardError
from training.tracker.pack import pack, unpack
from training.tracker.shards import put

COUNT = 12


def _shard(folder: Path, *, matte: bool) -> None:
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 200, CROP, dtype=np.float32)
    smooth = np.stack([np.add.outer(ramp / 2, ramp / 2 + n) for n in range(COUNT)]).astype(np.uint8)
    names = np.array([f"person-{n}" for n in range(COUNT)])
    put(
        folder,
        crops=np.repeat(smooth[..., None], 3, axis=3),
        landmarks=rng.uniform(-50, CROP, (COUNT, 478, 3)).astype(np.float32),
        people=names,
        split=np.array(["train"] * (COUNT - 2) + ["test", ""]),
        source=np.char.add(names, "/a.jpg#0"),
        score=np.ones(COUNT, np.float32),
        **({"matte": smooth} if matte else {"motion": rng.normal(size=(COUNT, 58)).astype(np.float32)}),
    )


def test_what_is_packed_comes_back_nearly_as_it_was(tmp_path: Path) -> None:
    _shard(tmp_path / "faces" / "stills", matte=True)
    _shard(tmp_path / "faces" / "renders", matte=False)
    assert pack(tmp_path / "faces", tmp_path / "copy.npz", most=100) == 2 * (COUNT - 1)  # one is not drawn yet
    unpack(tmp_path / "copy.npz", tmp_path / "there")
    for name, kind in (("stills", "matte"), ("renders", "motion")):
        was, now = Shard.load(tmp_path / "faces" / name), Shard.load(tmp_path / "there" / name)
        assert len(now) == COUNT - 1
        np.testing.assert_array_equal(now.people, was.people[:-1])
        np.testing.assert_array_equal(now.split, was.split[:-1])
        assert np.abs(now.landmarks - was.landmarks[:-1]).max() <= 1 / 128 + 1e-6
        assert np.abs(now.crops.astype(int) - was.crops[:-1]).mean() < 2
        assert np.abs(getattr(now, kind).astype(float) - getattr(was, kind)[:-1]).mean() < 2
        assert now.landmarks.dtype == np.float32


def test_it_is_as_small_as_it_is_asked_to_be(tmp_path: Path) -> None:
    _shard(tmp_path / "faces" / "frames", matte=False)
    assert pack(tmp_path / "faces", tmp_path / "copy.npz", most=3) == 3
    assert (tmp_path / "copy.npz").stat().st_size < 3 * 40_000


def test_what_is_no_shard_and_what_is_no_copy_are_named(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="prepare-faces"):
        pack(tmp_path, tmp_path / "copy.npz", most=3)
    (tmp_path / "copy.npz").write_bytes(b"nothing")
    with pytest.raises(ShardError, match="pack-faces"):
        unpack(tmp_path / "copy.npz", tmp_path)
