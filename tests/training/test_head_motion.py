import argparse
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.motion.head import NOISES, SPEC, STYLE_SHAPE, STYLE_SPEC  # noqa: E402
from engine.motion.head import HeadMotion as LiveHead  # noqa: E402
from engine.runtime.ort import OrtGraph  # noqa: E402
from training import head_motion  # noqa: E402
from training.data.head_speakers import PIECE, Speakers, typical_mel, wandering  # noqa: E402
from training.data.head_tracks import HeadClip, head_clips, save_clips  # noqa: E402
from training.data.tracks import TrackError  # noqa: E402
from training.head_distance import distance  # noqa: E402
from training.networks.head_motion import (  # noqa: E402
    Discriminator,
    HeadMotion,
    StyleEncoder,
    statistics,
    wander_constants,
    wandering_noise,
)

DRAW = np.random.default_rng(0)


def a_clip(name: str = "a", *, heard: bool = True, split: str = "train", steps: int = PIECE) -> HeadClip:
    rng = np.random.default_rng(len(name))
    mel = np.concatenate([typical_mel(rng)] * -(-steps // 150))[: 2 * steps]
    pose = wandering(mel, rng)
    sound = rng.normal(0, 0.05, 320 * steps).astype(np.float32)
    return HeadClip(name, "grid_s1", split, mel, sound, pose - pose.mean(0), heard)  # type: ignore[arg-type]


@pytest.fixture
def networks():
    torch.manual_seed(0)
    return HeadMotion().eval(), StyleEncoder().eval()


def test_step_by_step_equals_the_whole(networks):
    head, encoder = networks
    steps = 90
    mel, white = torch.rand(1, 2 * steps, 40), torch.randn(1, steps, NOISES)
    style = encoder(torch.rand(1, 300, 40), torch.randn(1, 150, 6))
    states = [torch.zeros(spec.shape) for spec in SPEC.states]
    poses, noise = [], []
    with torch.no_grad():
        for n in range(steps):
            pose, *states = head.step(mel[:, 2 * n : 2 * n + 2], white[:, n], style, *states)
            poses.append(pose)
            noise.append(states[1][:, 1])
        whole = head(mel, torch.stack(noise, 1), style)
    np.testing.assert_allclose(torch.stack(poses, 1), whole, atol=1e-5)


def test_the_future_does_not_change_the_past(networks):
    head, _ = networks
    mel, drift, style = torch.rand(1, 80, 40), torch.randn(1, 40, NOISES), torch.randn(1, *STYLE_SHAPE)
    other = mel.clone()
    other[:, 40:] = -1
    with torch.no_grad():
        np.testing.assert_array_equal(head(mel, drift, style)[:, :20], head(other, drift, style)[:, :20])


def test_a_livelier_reference_makes_a_livelier_style(networks):
    _, encoder = networks
    mel, pose = torch.rand(1, 300, 40), torch.randn(1, 150, 6)
    with torch.no_grad():
        small, large = encoder(mel, pose), encoder(mel, 3 * pose)
    assert float(large.norm() / small.norm()) > 2


def test_wandering_noise_has_deviation_1():
    noise = wandering_noise(32, 400)
    assert noise.shape == (32, 400, NOISES)
    np.testing.assert_allclose(noise[..., :10].std((0, 1)), 1, atol=0.15)
    assert all(len(part) == NOISES for part in wander_constants())


def test_the_distance_is_least_for_what_is_distributed_alike():
    torch.manual_seed(0)
    real, one, two = (wandering_noise(16, 450)[..., 4:10] for _ in range(3))
    alike, _ = distance(one, two, real)
    still, _ = distance(0 * one + 1e-3 * one, 1e-3 * two, real)
    wild, _ = distance(3 * one, 3 * two, real)
    assert float(alike) < min(float(still), float(wild))


def test_the_critic_hears_mean_and_deviation_of_movement_and_of_its_differences():
    pose = torch.randn(3, 50, 6)
    told = statistics(pose)
    assert told.shape == (3, 24)
    np.testing.assert_allclose(told[:, :6], pose.mean(1), atol=1e-6)
    np.testing.assert_allclose(told[:, 18:], (pose[:, 1:] - pose[:, :-1]).std(1, correction=0), atol=1e-3)
    assert Discriminator()(pose).shape == (3,)


def test_equal_generators_draw_equal_speakers():
    clips = [a_clip("a"), a_clip("bb"), a_clip("silent", heard=False)]
    voices = [typical_mel(np.random.default_rng(1))]
    one, two = (Speakers(clips, voices, np.random.default_rng(5)).draw(6, 300) for _ in range(2))
    np.testing.assert_array_equal(one.pose, two.pose)
    assert one.pose.shape == (6, 300, 6)
    assert one.mel.shape == (6, 600, 40)
    assert one.reference_pose.shape == (6, 150, 6)
    assert np.isfinite(one.pose).all()
    assert np.abs(one.mel).max() <= 1.2


def test_without_a_heard_clip_there_is_nothing_to_learn():
    with pytest.raises(ValueError, match="no clip with sound"):
        Speakers([a_clip(heard=False)], [], DRAW)


def test_clips_survive_their_file(tmp_path):
    clips = [a_clip("a"), a_clip("silent", heard=False, split="test")]
    save_clips(tmp_path / "heads.npz", clips)
    found = list(head_clips(tmp_path / "heads.npz"))
    assert [(clip.name, clip.split, clip.heard) for clip in found] == [("a", "train", True), ("silent", "test", False)]
    np.testing.assert_array_equal(found[1].pose, clips[1].pose)
    np.testing.assert_allclose(found[0].sound, clips[0].sound, atol=1e-4)
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(TrackError, match="no clips of heads"):
        list(head_clips(tmp_path / "bad.npz"))


def options(out: Path, steps: int, *, resume: bool = False) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    head_motion.add_arguments(parser)
    words = ["--out", str(out), "--steps", str(steps), "--batch", "2", *(["--resume"] if resume else [])]
    args = parser.parse_args(words)
    args.preset = "head-motion"
    return args


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(head_motion, "AHEAD", PIECE)
    monkeypatch.setattr(head_motion, "SAVE_EVERY", 2)
    clips = [a_clip("a"), a_clip("bb")]
    head_motion.train(options(tmp_path / "run", 2), clips, [])
    head_motion.train(options(tmp_path / "run", 3, resume=True), clips, [])
    head, encoder = head_motion.trained(tmp_path / "run")
    assert torch.isfinite(head.feature.weight).all()
    style = head_motion.default_style(encoder, people=4)
    assert style.shape == STYLE_SHAPE
    assert style.dtype == np.float32


def test_the_exported_head_is_the_network(tmp_path, networks):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from export.default_style import put
    from export.exporting import export
    from export.shipped import head_network, style_network

    style = np.random.default_rng(0).normal(0, 0.3, STYLE_SHAPE).astype(np.float32)
    head, encoder = networks
    export(head_network(head), tmp_path)
    export(style_network(encoder), tmp_path)
    put(style, tmp_path)
    graph = OrtGraph.load(tmp_path / "head.onnx")
    assert graph.spec == SPEC
    assert OrtGraph.load(tmp_path / "head_style.onnx").spec == STYLE_SPEC
    pose = LiveHead(graph, style, 0).step(np.zeros((2, 40), np.float32), 1.0)
    assert pose.shape == (6,)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2e6
