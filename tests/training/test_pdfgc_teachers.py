"""Who judges what is made: a user's networks, or what stands in for them."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from engine.errors import ModelError  # noqa: E402
from tests.training.pdfgc_fakes import SIZE, TINY  # noqa: E402
from training.pdfgc.networks import Networks, Parts, pictures, rgb_of  # noqa: E402
from training.pdfgc.perceptual import EdgeFeatures  # noqa: E402
from training.pdfgc.teachers import teachers_of  # noqa: E402


class Pyramid(nn.Module):
    """A user's perceptual network."""

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Two maps."""
        return image * 2, nn.functional.avg_pool2d(image, 2)


def exported(path: Path) -> Path:
    image = torch.zeros(2, 3, SIZE, SIZE)
    program = torch.export.export(Pyramid(), (image,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    torch.export.save(program, path)
    return path


def test_stand_ins_are_named_and_differentiable() -> None:
    torch.manual_seed(0)
    teachers = teachers_of(Networks(TINY).motion)
    assert "Eq. 1 reconstruction: a motion encoder" in teachers.words
    assert "Eq. 7 perceptual: slopes" in teachers.words
    assert teachers.shape is not None
    assert teachers.gaze is not None
    image = torch.zeros(2, 3, SIZE, SIZE).uniform_(-1, 1).requires_grad_()
    assert teachers.shape(image).shape == (2, 536)
    assert [f.shape[2] for f in teachers.perceptual(image)][-3:] == [SIZE // 2, SIZE // 4, SIZE // 4]
    assert all(float(f.square().mean()) == pytest.approx(1, abs=0.1) for f in teachers.perceptual(image.detach())[-3:])
    teachers.gaze(image).sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def test_without_an_observer_terms_are_left_out_and_it_is_said() -> None:
    teachers = teachers_of(None)
    assert teachers.shape is None
    assert teachers.words.count("none (term left out)") == 3
    assert "Eq. 5 pose: that of the data" in teachers.words


def test_a_users_network_is_used(tmp_path: Path) -> None:
    teachers = teachers_of(None, perceptual=exported(tmp_path / "vgg.pt2"))
    image = torch.ones(5, 3, SIZE, SIZE, requires_grad=True)
    double, half = teachers.perceptual(image)
    assert float(double.detach().mean()) == 2
    assert half.shape == (5, 3, SIZE // 2, SIZE // 2)
    double.sum().backward()
    assert "vgg.pt2" in teachers.words


def test_what_is_no_network_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "no.pt2").write_bytes(b"no network")
    for path in (tmp_path / "no.pt2", tmp_path / "missing.pt2"):
        with pytest.raises(ModelError, match=r"is no program of torch.export.save") as caught:
            teachers_of(None, gaze=path)
        assert "\n" not in str(caught.value)


def test_edges_are_those_of_finite_differences() -> None:
    image = np.random.default_rng(0).normal(size=(1, 3, 16, 16)).astype(np.float32)
    first = EdgeFeatures()(torch.from_numpy(image))[0].numpy()
    assert first[0, 0, 4, 6] == pytest.approx(image[0, 0, 5, 8] - image[0, 0, 5, 6], abs=1e-6)
    assert first[0, 3, 4, 6] == pytest.approx(image[0, 0, 6, 7] - image[0, 0, 4, 7], abs=1e-6)
    around = image[0, 0, 5, 8] + image[0, 0, 5, 6] + image[0, 0, 6, 7] + image[0, 0, 4, 7]
    assert first[0, 6, 4, 6] == pytest.approx(around - 4 * image[0, 0, 5, 7], abs=1e-5)
    assert [f.shape[-1] for f in EdgeFeatures()(torch.from_numpy(image))] == [14, 6, 2, 0]


def test_pictures_go_and_come_back() -> None:
    rgb = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8))
    images = pictures(rgb)
    assert images.shape == (2, 3, 8, 8)
    assert float(images.min()) >= -1
    assert torch.equal(rgb_of(images), rgb)


def test_parts_are_in_the_order_of_the_latent() -> None:
    code = torch.arange(542.0)[None]
    parts = Parts.of(code, TINY.latent)
    assert parts.pose[0].tolist() == list(range(536, 542))
    assert parts.eye[0, 0] == 530
    assert torch.equal(parts.joined(), code)
