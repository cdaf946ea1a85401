"""PD-FGC's networks against the public code: equal keys and shapes, and, under weights of a stated rule, equal outputs.

`data/pdfgc` holds what the public code answered (of pictures, every third pixel
of every third row). Limits are absolute differences in standard deviations of the output.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from tests.parity.pdfgc_weights import DATA, NETWORKS, published_shapes  # noqa: E402 - torch first
from training.networks.pdfgc.appearance import AppearanceEncoder  # noqa: E402
from training.networks.pdfgc.audio import AudioEncoder  # noqa: E402
from training.networks.pdfgc.config import PDFGC_224, Widths  # noqa: E402
from training.networks.pdfgc.generator import Generator  # noqa: E402
from training.networks.pdfgc.motion import MotionEncoder  # noqa: E402
from training.networks.pdfgc.ruled import digest, ruled  # noqa: E402

CLASSES: dict[str, Any] = dict(zip(NETWORKS, (AppearanceEncoder, MotionEncoder, AudioEncoder, Generator), strict=True))
USED = replace(PDFGC_224, published=False)
LIMIT = 1e-4


def shapes_of(network: str, widths: Widths) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in CLASSES[network](widths).state_dict().items()}


def filled(network: str) -> Any:
    net = CLASSES[network](USED).eval()
    weights = ruled(network, {key: tuple(value.shape) for key, value in net.state_dict().items()})
    net.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    return net


@cache
def answers(network: str) -> dict[str, NDArray[Any]]:
    return {key: value.astype(np.float32) for key, value in np.load(DATA / f"{network}.npz").items()}


def tensor(network: str, key: str) -> Any:
    return torch.from_numpy(answers(network)[key])


def assert_close(found: Any, network: str, key: str, limit: float = LIMIT) -> None:
    wanted = tensor(network, key)
    assert found.shape == wanted.shape
    assert float((found - wanted).abs().max() / wanted.std()) <= limit, key


def watched(net: Any, network: str) -> dict[str, Any]:
    """Filled, as `net` runs, with the outputs of the modules whose statistics are known."""
    outputs: dict[str, Any] = {}
    for name in (key[4:-5] for key in answers(network) if key.startswith("mid_") and key.endswith("_mean")):
        net.get_submodule(name).register_forward_hook(lambda _m, _i, out, name=name: outputs.update({name: out}))
    return outputs


def assert_middles(outputs: dict[str, Any], network: str) -> None:
    """The first module that differs is the one to look at."""
    assert outputs
    for name, output in outputs.items():
        rows = len(answers(network)[f"mid_{name}_mean"])
        for kind, found in (("mean", output[:rows].mean((2, 3))), ("std", output[:rows].std((2, 3), correction=0))):
            wanted = tensor(network, f"mid_{name}_{kind}")
            assert float((found - wanted).abs().max()) <= LIMIT * max(1.0, float(wanted.abs().max())), (name, kind)


@pytest.mark.parametrize("network", NETWORKS)
def test_keys_and_shapes_are_the_published_ones(network: str) -> None:
    assert shapes_of(network, PDFGC_224) == published_shapes(network)


@pytest.mark.parametrize("network", NETWORKS)
def test_what_is_left_out_is_what_nothing_computes_with(network: str) -> None:
    left_out = published_shapes(network).keys() - shapes_of(network, USED).keys()
    assert {key.partition(".")[0] for key in left_out} <= {"style", "input", "model"}
    assert all(key.startswith("model.fc.") for key in left_out if key.startswith("model."))
    assert network in ("net_appearance", "net_generator") or not left_out


def test_the_rule_is_the_one_the_reference_was_filled_by() -> None:
    weights = ruled("net_audio", published_shapes("net_audio"))
    assert digest(weights) == "7f9d6aba273eb070bd985f69a6988187c98a541d603cf491e151b299caf4f408"


@torch.no_grad()
def test_appearance() -> None:
    net = filled("net_appearance")
    middles = watched(net, "net_appearance")
    found = net(tensor("net_appearance", "input"))
    assert_middles(middles, "net_appearance")
    assert_close(found.feature, "net_appearance", "feature")
    assert_close(found.map, "net_appearance", "feature_map")
    assert_close(found.identity, "net_appearance", "identity_logits")


@torch.no_grad()
def test_motion() -> None:
    net = filled("net_motion")
    middles = watched(net, "net_motion")
    found = net(tensor("net_motion", "input"))
    assert_middles(middles, "net_motion")
    assert_close(found.unified, "net_motion", "motion_feature")
    assert_close(net.to_mouth(found.unified), "net_motion", "mouth_feature")
    for part, key in (("pose", "pose"), ("eye", "eye"), ("expression", "emo"), ("lip", "mouth")):
        assert_close(getattr(found, part), "net_motion", key)


@torch.no_grad()
def test_audio() -> None:
    net = filled("net_audio")
    middles = watched(net, "net_audio")
    found = net(tensor("net_audio", "input"))
    assert_middles(middles, "net_audio")
    assert_close(found.feature, "net_audio", "audio_feature")
    assert_close(found.lip, "net_audio", "mouth")


@torch.no_grad()
def test_generator() -> None:
    net = filled("net_generator")
    middles = watched(net, "net_generator")
    image = net(tensor("net_generator", "latent"), tensor("net_generator", "feature_map"), net.frozen_noise())[:, :, ::3, ::3]
    assert_middles(middles, "net_generator")
    assert_close(image[:1], "net_generator", "image")
    assert_close(image[1:], "net_generator", "image_second_f16", limit=1e-3)  # stored as float16
