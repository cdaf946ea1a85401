"""The factorial set: pools, plans, drawing, and reading it back."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.contract.motion import CHANNELS, Channel
from engine.face.align import CROPPED, three_points
from engine.rig.archive import load
from engine.rig.avatar import Avatar
from training.data.media import Unusable
from training.speech.phones import Phone
from training.speech.utterances import Utterance, save
from training.synthesis.data import MARK, Clips, FactorialSet, Sharing, Stills
from training.synthesis.errors import SynthesisError
from training.synthesis.factors import BLINK, FACTORS, GAZE, LIP, MASK, Pools, make_pools
from training.synthesis.pack import pack
from training.synthesis.plan import FRAMES, SAMPLES, clip_motion, group_rows, random_rows
from training.synthesis.sitters import Sitter, Stage
from training.synthesis.speech import stretches_of
from training.synthesis.store import assemble, encoded, save_part

PORTRAIT = Path(__file__).parents[2] / "engine" / "models" / "portraits" / "mei.mien"
SIZE = 64


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return load(PORTRAIT)


@pytest.fixture(scope="module")
def sitter(avatar: Avatar) -> Sitter:
    return Sitter.of(avatar)


@pytest.fixture(scope="module")
def pools() -> Pools:
    rng = np.random.default_rng(1)
    spoken = np.zeros((400, len(CHANNELS)), np.float32)
    spoken[:, MASK[LIP]] = rng.random((400, int(MASK[LIP].sum())))
    return make_pools(spoken, 24, 0)


def everything(pools: Pools) -> np.ndarray:
    return np.ones((len(FACTORS), pools.size), np.bool_)


def test_factors_are_disjoint_and_together_all_channels() -> None:
    assert (MASK.sum(0) == 1).all()


def test_pools_begin_with_rest_and_stay_in_their_channels(pools: Pools) -> None:
    assert not pools.values[:, 0].any()
    assert not (pools.values * ~MASK[:, None]).any()
    for values in pools.values:
        assert len(np.unique(values, axis=0)) == pools.size


def test_a_motion_is_the_sum_of_its_factors(pools: Pools) -> None:
    motion = pools.motion(np.array([[1, 2, 3, 4, 5]]))
    for factor, value in enumerate((1, 2, 3, 4, 5)):
        np.testing.assert_array_equal(motion[0, MASK[factor]], pools.values[factor, value, MASK[factor]])


def test_pools_come_back_and_say_when_they_cannot(pools: Pools, tmp_path: Path) -> None:
    pools.save(tmp_path / "pools.npz")
    np.testing.assert_array_equal(Pools.load(tmp_path / "pools.npz").values, pools.values)
    (tmp_path / "pools.npz").write_bytes((tmp_path / "pools.npz").read_bytes()[:1000])
    with pytest.raises(SynthesisError, match="prepare-factorial"):
        Pools.load(tmp_path / "pools.npz")


def test_faces_with_a_base_differ_from_it_in_one_factor(pools: Pools) -> None:
    rows = random_rows(everything(pools), 60, np.random.default_rng(0))
    assert not rows.factors[0].any()
    derived = np.flatnonzero(rows.base >= 0)
    assert len(derived) > 5
    for row in derived:
        assert np.flatnonzero(rows.factors[row] != rows.factors[rows.base[row]]).tolist() == [rows.varied[row]]


def test_values_that_are_not_allowed_are_not_shown(pools: Pools) -> None:
    allowed = everything(pools)
    allowed[GAZE, 5:] = False
    assert random_rows(allowed, 60, np.random.default_rng(0)).factors[:, GAZE].max() < 5


def test_groups_vary_each_factor_of_an_open_eyed_base(pools: Pools) -> None:
    rows = group_rows(pools, everything(pools), 3, 2, np.random.default_rng(0))
    assert len(rows.factors) == 3 * (1 + 2 * len(FACTORS))
    bases = np.flatnonzero(rows.base < 0)
    assert pools.motion(rows.factors[bases])[:, Channel["eyeBlinkLeft"]].max() <= 0.3
    for row in np.flatnonzero(rows.base >= 0):
        assert np.flatnonzero(rows.factors[row] != rows.factors[rows.base[row]]).tolist() == [rows.varied[row]]


def test_a_clip_speaks_and_moves_smoothly(pools: Pools) -> None:
    articulators = np.random.default_rng(0).random((2 * FRAMES, 9)).astype(np.float16)
    motion = clip_motion(pools, everything(pools), articulators, np.random.default_rng(3))
    assert motion.shape == (FRAMES, len(CHANNELS))
    np.testing.assert_allclose(motion[:, Channel["jawOpen"]], articulators[1::2, 0].astype(np.float32))
    assert np.abs(np.diff(motion[:, Channel["yaw"]])).max() < 9
    assert motion[:, MASK[BLINK]].max() <= 1
    np.testing.assert_array_equal(motion, clip_motion(pools, everything(pools), articulators, np.random.default_rng(3)))


def test_a_portrait_is_framed_and_moves_by_one_factor(sitter: Sitter, pools: Pools) -> None:
    stage = Stage(sitter, SIZE)
    rest, points = stage.draw(np.zeros(len(CHANNELS), np.float32))
    marks = np.concatenate([points, np.zeros((478, 1), np.float32)], 1)
    np.testing.assert_allclose(three_points(marks), CROPPED * SIZE, atol=0.06 * SIZE)
    values = np.zeros(len(CHANNELS), np.float32)
    values[Channel["jawOpen"]] = 0.5
    spoken, _ = stage.draw(values)
    rows = np.abs(spoken.astype(int) - rest).sum((1, 2))
    assert rows[: SIZE // 3].max() < 10
    assert rows[SIZE // 2 :].max() > 100


def test_rest_of_the_photo_is_taken_out(sitter: Sitter) -> None:
    turned = replace(sitter, turn=sitter.turn @ np.array([[0.99, 0, 0.14], [0, 1, 0], [-0.14, 0, 0.99]]))
    asked = turned.asked(np.zeros(len(CHANNELS), np.float32))[Channel["yaw"]]
    assert asked == pytest.approx(sitter.asked(np.zeros(len(CHANNELS), np.float32))[Channel["yaw"]] - 8, abs=0.5)


def test_who_is_turned_away_is_left_out(avatar: Avatar) -> None:
    marks = avatar.landmarks.copy()
    angle = np.deg2rad(25)
    x, z = marks[:, 0] - 256, marks[:, 2]
    marks[:, 0], marks[:, 2] = 256 + np.cos(angle) * x + np.sin(angle) * z, np.cos(angle) * z - np.sin(angle) * x
    with pytest.raises(Unusable, match="side"):
        Sitter.of(replace(avatar, landmarks=marks))


def shard(folder: Path, pools: Pools) -> None:
    """Three people of twenty faces whose pictures are grey; and a clip of each."""
    rng = np.random.default_rng(0)
    parts = [], []
    for i, split in enumerate(("train", "train", "test")):
        rows = random_rows(everything(pools), 20, rng)
        who = {"people": np.full(20, f"person{i}"), "split": np.full(20, split)}
        pictures = [encoded(np.full((32, 32, 3), 10 * i + k, np.uint8)) for k in range(20)]
        marks = np.full((20, 478, 2), 16 * MARK, np.int16)
        arrays = {"factors": rows.factors, "base": rows.base, "varied": rows.varied, "motion": pools.motion(rows.factors)}
        save_part(folder / f"s{i}.npz", pictures, arrays | who | {"landmarks": marks})
        speech = {"sound": rng.integers(-9000, 9000, (1, 20 * SAMPLES)).astype(np.int16)}
        who = {name: array[:1] for name, array in who.items()}
        save_part(folder / f"c{i}.npz", pictures, speech | who | {"landmarks": marks[None], "motion": arrays["motion"][None]})
        for kind, part in zip("sc", parts, strict=True):
            part.append(folder / f"{kind}{i}.npz")
    for name, part in zip(("stills", "clips"), parts, strict=True):
        assemble(folder / name, part)
    pools.save(folder / "pools.npz")


def test_what_was_drawn_is_read_back(pools: Pools, tmp_path: Path) -> None:
    shard(tmp_path, pools)
    data = FactorialSet.load(tmp_path)
    assert data.groups is None
    stills = data.stills
    assert len(stills) == 60
    assert stills.rows("test").tolist() == list(range(40, 60))
    assert abs(int(stills.read(np.array([25]), 32)[0].mean()) - 15) <= 1
    assert stills.read(np.array([1, 2]), 16).shape == (2, 16, 16, 3)
    assert stills.marks(np.array([0])).max() == 0.5
    for row in np.flatnonzero(stills.base >= 0):
        assert stills.people[stills.base[row]] == stills.people[row]
        assert (stills.factors[row] != stills.factors[stills.base[row]]).sum() == 1


def test_others_who_share_a_value_are_found(pools: Pools, tmp_path: Path) -> None:
    shard(tmp_path, pools)
    stills = Stills.load(tmp_path / "stills")
    sharing = Sharing(stills, np.arange(60))
    drivers = sharing.drivers(np.arange(60), np.random.default_rng(0))
    assert (drivers >= 0).mean() > 0.3
    for row, factor in itertools.product(range(60), range(len(FACTORS))):
        other = drivers[row, factor]
        if other >= 0:
            assert stills.people[other] != stills.people[row]
            assert stills.factors[other, factor] == stills.factors[row, factor]
    assert (sharing.count(np.arange(60), LIP) >= 1).all()


def test_a_clip_is_read_in_windows_with_its_sound(pools: Pools, tmp_path: Path) -> None:
    shard(tmp_path, pools)
    clips = Clips.load(tmp_path / "clips")
    assert clips.frames == 20
    assert clips.read(1, 5, 13, 32).shape == (13, 32, 32, 3)
    heard, windows = clips.heard(0)
    assert windows.shape == (len(heard), 1, 80, 20)
    assert heard.start == 2
    with pytest.raises(ValueError, match="0 to 19"):
        clips.read(0, 10, 13, 32)


def test_a_shard_that_is_cut_short_is_refused(pools: Pools, tmp_path: Path) -> None:
    shard(tmp_path, pools)
    blob = tmp_path / "stills" / "images.bin"
    blob.write_bytes(blob.read_bytes()[:-10])
    with pytest.raises(SynthesisError, match="cut short"):
        Stills.load(tmp_path / "stills")
    (tmp_path / "clips" / "sound.npy").unlink()
    with pytest.raises(SynthesisError, match="prepare-factorial"):
        Clips.load(tmp_path / "clips")


def test_a_pack_is_small_and_read_like_the_set(pools: Pools, tmp_path: Path) -> None:
    shard(tmp_path, pools)
    data = FactorialSet.load(tmp_path)
    report = pack(data, tmp_path / "pack", 16, 80, 2 * 2**20)
    assert report["stills"] == 60
    packed = FactorialSet.load(tmp_path / "pack")
    assert packed.stills.images.size == 16
    assert packed.groups is None
    np.testing.assert_allclose(packed.stills.marks([3]), data.stills.marks([3]), atol=1 / 256)
    derived = np.flatnonzero(packed.stills.base >= 0)
    assert (packed.stills.people[packed.stills.base[derived]] == packed.stills.people[derived]).all()
    with pytest.raises(SynthesisError, match="--megabytes"):
        pack(data, tmp_path / "none", 16, 80, 2**20 + 10)


def spoken(voice: str, count: int) -> list[Utterance]:
    length = SAMPLES * (FRAMES + 1)
    sound, moves = np.zeros(length, np.int16), np.zeros((length // 320, 9), np.float16)
    phones = (Phone(0.0, length / 16000, 5),)
    return [Utterance(f"{voice}-{i}", "de", voice, "espeak", "train", sound, phones, moves) for i in range(count)]


def test_a_voice_that_says_little_is_made_up_for_by_others(tmp_path: Path) -> None:
    for voice, count in (("a", 2), ("b", 9), ("c", 9)):
        save(tmp_path / f"{voice}-train.npz", spoken(voice, count))
    for count, of_a in ((18, 2), (6, 2)):
        names = [stretch.name for stretch in stretches_of(tmp_path, "train", count, seed=0)]
        assert len(set(names)) == count
        assert sum(name.startswith("a-") for name in names) == of_a


def test_too_little_speech_is_refused_with_the_command_that_makes_more(tmp_path: Path) -> None:
    save(tmp_path / "a-train.npz", spoken("a", 3))
    with pytest.raises(SynthesisError, match=r"has 3 .* 4 are wanted; make more with: python -m training speech"):
        stretches_of(tmp_path, "train", 4, seed=0)
