import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402 - torch first

from engine.features.mel import BANDS, FRAMES_PER_STEP  # noqa: E402
from training.networks.mouth import DELAYS, LOOK_AHEADS_MS, USUAL, MouthNetwork, MouthStep, Usual  # noqa: E402


@pytest.fixture(scope="module")
def network() -> MouthNetwork:
    torch.manual_seed(0)
    return MouthNetwork(9, 44, hidden=24).eval()


def sound(steps: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (1, steps, FRAMES_PER_STEP, BANDS)).astype(np.float32))


def test_streaming_equals_offline_wherever_it_is_cut(network: MouthNetwork):
    mel = sound(60)
    with torch.no_grad():
        whole, named, _ = network(mel)
        for cuts in ([60], [1] * 60, [7, 1, 30, 22]):
            state, shapes, phones = None, [], []
            for part in torch.split(mel, cuts, dim=1):
                a, b, state = network(part, state)
                shapes.append(a)
                phones.append(b)
            assert torch.allclose(torch.cat(shapes, 1), whole, atol=1e-5)
            assert torch.allclose(torch.cat(phones, 1), named, atol=1e-5)


def test_the_future_never_changes_the_past(network: MouthNetwork):
    mel = sound(40)
    other = mel.clone()
    other[:, 25:] = 1
    with torch.no_grad():
        assert torch.equal(network(mel)[0][:, :25], network(other)[0][:, :25])


def test_a_step_as_exported_gives_probabilities(network: MouthNetwork):
    belongs = torch.zeros(44, 13)
    belongs[torch.arange(44), torch.arange(44) % 13] = 1
    step = MouthStep(network, 1, belongs).eval()
    with torch.no_grad():
        shapes, visemes, *states = step(sound(1)[0, 0], *network.start(1))
        raw, _, wanted = network(sound(1))
    assert shapes.shape == (len(LOOK_AHEADS_MS), 9)
    assert float(shapes.min()) >= 0
    assert float(shapes.max()) <= 1
    assert shapes[:, 1].tolist() == pytest.approx(torch.sigmoid(raw[0, 0, :, 1]).tolist())
    assert visemes.sum(1).tolist() == pytest.approx([1] * 4, abs=1e-5)
    assert all(torch.allclose(a, b) for a, b in zip(states, wanted, strict=True))


def test_a_head_without_look_ahead_speaks_of_the_instant_that_was_just_heard():
    assert dict(zip(LOOK_AHEADS_MS, DELAYS, strict=True)) == {0: -1, 40: 1, 80: 3, 160: 7}


def test_a_louder_or_duller_microphone_is_soon_the_usual():
    usual, state = Usual(), torch.zeros(1, USUAL)
    mel = sound(400) * 0.2
    colour = torch.linspace(-0.1, 0.2, BANDS)
    plain, _ = usual(mel, state)
    other, _ = usual(mel + colour, state)
    assert float((plain - other)[:, -100:].abs().max()) < 0.15 * float(colour.abs().max())


def test_silence_is_not_what_is_usual():
    usual, loud = Usual(), sound(200) * 0.2
    _, before = usual(loud, torch.zeros(1, USUAL))
    _, after = usual(torch.full((1, 100, FRAMES_PER_STEP, BANDS), -1.0), before)
    assert torch.allclose(before[:, :BANDS], after[:, :BANDS], atol=0.02)
