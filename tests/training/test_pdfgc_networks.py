from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402 - torch first
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from training.networks.pdfgc.appearance import AppearanceEncoder  # noqa: E402
from training.networks.pdfgc.audio import AudioEncoder  # noqa: E402
from training.networks.pdfgc.config import PDFGC_224, PDFGC_256, PDFGC_LITE, PRESETS, Widths  # noqa: E402
from training.networks.pdfgc.discriminator import Discriminator  # noqa: E402
from training.networks.pdfgc.generator import Generator  # noqa: E402
from training.networks.pdfgc.layers import channels_last, sized  # noqa: E402
from training.networks.pdfgc.motion import MotionEncoder  # noqa: E402

LITE_112 = PDFGC_LITE.at(112)


def image(widths: Widths, batch: int = 1) -> Any:
    torch.manual_seed(5)
    return torch.rand(batch, 3, widths.size, widths.size) * 2 - 1


def latent_and_start(widths: Widths, batch: int = 1) -> tuple[Any, Any]:
    torch.manual_seed(6)
    start = torch.randn(batch, widths.generator.channels[0], widths.start, widths.start)
    return torch.randn(batch, widths.latent.total), start


def networks(widths: Widths) -> dict[str, tuple[nn.Module, tuple[Any, ...]]]:
    """Those that run, each with an input: appearance once, the others for every frame."""
    torch.manual_seed(4)
    return {
        "appearance": (AppearanceEncoder(widths).eval(), (image(widths),)),
        "motion": (MotionEncoder(widths).eval(), (image(widths),)),
        "audio": (AudioEncoder(widths).eval(), (torch.rand(1, 1, 80, 20),)),
        "generator": (Generator(widths).eval(), latent_and_start(widths)),
    }


@torch.no_grad()
def giga_macs(module: nn.Module, inputs: tuple[Any, ...]) -> float:
    with FlopCounterMode(display=False) as counter:
        module(*inputs)
    return counter.get_total_flops() / 2e9


def test_lite_keeps_its_budget() -> None:
    cost = {name: giga_macs(*network) for name, network in networks(PDFGC_LITE).items()}
    weights = sum(tensor.numel() for net, _ in networks(PDFGC_LITE).values() for tensor in net.state_dict().values())
    assert cost["generator"] + cost["motion"] + cost["audio"] <= 1.7
    assert 2 * weights <= 20e6
    assert giga_macs(*networks(LITE_112)["generator"]) < 0.5


def test_the_published_sizes_cost_what_the_paper_s_code_costs() -> None:
    nets = networks(replace(PDFGC_224, published=False))
    assert giga_macs(*nets["motion"]) == pytest.approx(6.33, abs=0.005)
    assert giga_macs(*nets["audio"]) == pytest.approx(0.473, abs=0.0005)
    assert giga_macs(*nets["appearance"]) == pytest.approx(4.29, abs=0.005)
    assert giga_macs(Discriminator(PDFGC_224), (image(PDFGC_224),)) == pytest.approx(3.58, abs=0.005)


@torch.no_grad()
def test_a_generator_grows_by_a_level_and_keeps_what_it_knew() -> None:
    small, large = Generator(LITE_112).eval(), Generator(PDFGC_LITE).eval()
    last: Any = large.to_rgbs[-1]
    missing, unknown = large.load_state_dict(small.state_dict(), strict=False)
    assert not unknown
    assert {key.rpartition(".")[0].partition(".conv")[0] for key in missing} >= {"convs.8", "convs.9"}
    assert all(key.startswith(("convs.8.", "convs.9.", "to_rgbs.4.")) for key in missing)
    for parameter in last.conv.parameters():  # a new level that says nothing yet: the picture, twice as large
        parameter.zero_()
    wanted = last.upsample(torch.atanh(small(*latent_and_start(LITE_112)).double()).float())
    torch.testing.assert_close(large(*latent_and_start(PDFGC_LITE)), torch.tanh(wanted), atol=1e-3, rtol=0)


@torch.no_grad()
def test_encoders_fit_every_size() -> None:
    small, large = networks(LITE_112), networks(PDFGC_LITE)
    for name in ("appearance", "motion", "audio"):
        large[name][0].load_state_dict(small[name][0].state_dict())
    picture = image(LITE_112)
    twice = torch.nn.functional.interpolate(picture, scale_factor=2)
    torch.testing.assert_close(small["motion"][0](picture).unified, large["motion"][0](twice).unified, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_widths_travel_as_json(name: str) -> None:
    widths = PRESETS[name]
    assert Widths.from_json(widths.as_json()) == widths


def test_widths_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="the last stage has 2048 channels, the latent 100"):
        replace(PDFGC_224, latent=replace(PDFGC_224.latent, appearance=100))
    with pytest.raises(ValueError, match="100 px cannot be reached by 6 levels"):
        replace(PDFGC_224, size=100)
    with pytest.raises(ValueError, match="no level makes 100 px: they double from 7 px to 224"):
        PDFGC_LITE.at(100)
    with pytest.raises(ValueError, match="not widths of PD-FGC"):
        Widths.from_json({"size": 224})


def test_256_px_start_at_8() -> None:
    assert PDFGC_256.start == 8


@torch.no_grad()
def test_noise_is_fresh_unless_it_is_given() -> None:
    widths = replace(LITE_112, generator=replace(LITE_112.generator, noise=True))
    generator, inputs = Generator(widths).eval(), latent_and_start(widths)
    for name, parameter in generator.named_parameters():
        if name.endswith("noise.weight"):
            parameter.fill_(1)
    assert not torch.equal(generator(*inputs), generator(*inputs))
    assert torch.equal(generator(*inputs, generator.frozen_noise()), generator(*inputs, generator.frozen_noise()))
    assert Generator(LITE_112).frozen_noise() is None


def test_every_weight_learns() -> None:
    for name, (net, inputs) in networks(LITE_112).items():
        found = net.train()(*(torch.cat([value, value.flip(-1)]) for value in inputs))
        torch.stack([part.sum() for part in ([found] if isinstance(found, torch.Tensor) else found)]).sum().backward()
        silent = [key for key, parameter in net.named_parameters() if parameter.grad is None]
        assert not silent, (name, silent)


@torch.no_grad()
def test_half_precision_and_channels_last_change_little() -> None:
    inputs = latent_and_start(LITE_112, 2)
    torch.manual_seed(1)
    generator = Generator(LITE_112).eval()
    plain = generator(*inputs)
    turned = channels_last(generator)(inputs[0], inputs[1].contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(turned, plain, atol=1e-4, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        half = generator(*inputs)
    assert half.dtype == torch.bfloat16
    assert float((half.float() - plain).abs().mean()) < 0.02
    assert generator.bfloat16()(*(value.bfloat16() for value in inputs)).dtype == torch.bfloat16


def test_a_discriminator_judges_patches_at_two_scales() -> None:
    said = Discriminator(LITE_112)(image(LITE_112, 2))
    assert [tuple(scale[-1].shape) for scale in said] == [(2, 1, 17, 17), (2, 1, 10, 10)]
    assert [len(scale) for scale in said] == [5, 5]
    assert sum(parameter.numel() for parameter in Discriminator(PDFGC_224).parameters()) == pytest.approx(5.53e6, rel=1e-3)


def test_pictures_are_shrunk_by_areas() -> None:
    picture = torch.arange(16.0).view(1, 1, 4, 4)
    assert sized(picture, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert sized(picture, 4) is picture
    assert sized(picture, 8).shape == (1, 1, 8, 8)
