import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.features.mel import BANDS, FRAMES_PER_STEP  # noqa: E402 - torch first
from training.networks.mouth import DELAYS, LOOK_AHEADS_MS, MouthNetwork, MouthStep  # noqa: E402


@pytest.fixture(scope="module")
def network() -> MouthNetwork:
    torch.manual_seed(0)
    return MouthNetwork(9, 44, hidden=24).eval()


def sound(steps: int) -> "torch.Tensor":
    return torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (1, steps, FRAMES_PER_STEP, BANDS)).astype(np.float32))


def test_streaming_equals_offline_wherever_it_is_cut(network: MouthNetwork):
    mel = sound(60)
    with torch.no_grad():
        whole, named, _ = network(mel)
        for cuts in ([60], [1] * 60, [7, 1, 30, 22]):
            hidden, shapes, phones = None, [], []
            for part in torch.split(mel, cuts, dim=1):
                a, b, hidden = network(part, hidden)
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
        shapes, visemes, hidden = step(sound(1)[0, 0], torch.zeros(2, 1, 24))
        raw, _, state = network(sound(1))
    assert shapes.shape == (len(LOOK_AHEADS_MS), 9)
    assert float(shapes.min()) >= 0
    assert float(shapes.max()) <= 1
    assert shapes[:, 1].tolist() == pytest.approx(torch.sigmoid(raw[0, 0, :, 1]).tolist())
    assert visemes.sum(1).tolist() == pytest.approx([1] * 4, abs=1e-5)
    assert torch.allclose(hidden, state)


def test_a_head_without_look_ahead_speaks_of_the_instant_that_was_just_heard():
    assert dict(zip(LOOK_AHEADS_MS, DELAYS, strict=True)) == {0: -1, 40: 1, 80: 3, 160: 7}
