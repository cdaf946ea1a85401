"""Each loss against its equation, computed plainly."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from training.pdfgc import fine_grained, losses  # noqa: E402
from training.pdfgc.banks import MemoryBank  # noqa: E402

RNG = np.random.default_rng(0)


def of(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def tensor(array: np.ndarray, *, grad: bool = False) -> Tensor:
    return torch.from_numpy(array).requires_grad_(grad)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_motion_reconstruction_is_the_sum_of_two_distances() -> None:
    a, b, c, d = (of(4, 7) for _ in range(4))
    want = np.mean(np.linalg.norm(a - b, axis=1)) + np.mean(np.linalg.norm(c - d, axis=1))
    both = losses.motion_reconstruction([tensor(a), tensor(c)], [tensor(b), tensor(d)])
    assert float(both) == pytest.approx(want, rel=1e-5)
    alone = losses.motion_reconstruction([tensor(a)], [tensor(b)])
    assert float(alone) == pytest.approx(np.mean(np.linalg.norm(a - b, axis=1)), rel=1e-5)


def test_motion_reconstruction_of_what_is_right_has_a_gradient() -> None:
    a = tensor(of(2, 3), grad=True)
    losses.motion_reconstruction([a], [a.detach().clone()]).backward()
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()


@pytest.mark.parametrize("temperature", [1.0, 0.07])
def test_lips_are_contrasted_both_ways(temperature: float) -> None:
    audio, video = of(5, 8), of(5, 8)
    want = 0.0
    for queries, keys in ((audio, video), (video, audio)):
        for i in range(5):
            exponents = np.exp([cosine(queries[i], keys[k]) / temperature for k in range(5)])
            want -= np.log(exponents[i] / exponents.sum()) / 5
    assert float(losses.contrast_lips(tensor(audio), tensor(video), temperature)) == pytest.approx(want, rel=1e-4)


def test_features_that_can_be_told_apart_cost_less_than_features_that_are_all_alike() -> None:
    lips = of(32, 500)
    apart = tensor(lips + of(32, 500)), tensor(lips + of(32, 500))
    alike = (tensor(np.ones((32, 500))),) * 2

    def cost(audio: Tensor, video: Tensor) -> float:
        terms = {"lips": losses.contrast_lips(audio, video), "crossmodal": losses.crossmodal_error(audio, video)}
        return sum(fine_grained.WEIGHTS[name] * float(term) for name, term in terms.items())

    assert cost(*apart) < 0.5 * cost(*alike)


def test_eyes_are_contrasted_with_one_negative() -> None:
    own, other, anchor = of(3, 6), of(3, 6), of(3, 6)
    want = 0.0
    for f1, f2, fa in zip(own, other, anchor, strict=True):
        near, far = np.exp(cosine(f1, fa) / 0.5), np.exp(cosine(f2, fa) / 0.5)
        want -= np.log(near / (near + far)) / 3
    assert float(losses.contrast_eyes(*map(tensor, (own, other, anchor)), temperature=0.5)) == pytest.approx(want, rel=1e-5)


def test_pose_is_compared_number_by_number() -> None:
    a, b = of(4, 6), of(4, 6)
    assert float(losses.pose_error(tensor(a), tensor(b))) == pytest.approx(np.abs(a - b).mean(), rel=1e-6)


def test_decorrelation_is_the_mean_squared_pearson_coefficient() -> None:
    expression, lips = of(64, 3), of(64, 5)
    lips[:, 2] = expression[:, 1]
    pearson = np.corrcoef(expression.T, lips.T)[:3, 3:]
    assert float(losses.decorrelation(tensor(expression), tensor(lips), 8)) == pytest.approx((pearson**2).mean(), rel=1e-4)


def test_decorrelation_lowers_the_correlation_it_measures() -> None:
    lips = tensor(of(256, 4))
    expression = (lips[:, :2] + 0.1 * tensor(of(256, 2))).requires_grad_()
    before = losses.decorrelation(expression, lips, 256)
    before.backward()
    assert expression.grad is not None
    after = losses.decorrelation(expression.detach() - 5000 * expression.grad, lips, 256)
    assert float(after) < 0.9 * float(before.detach())


def test_decorrelation_is_even_for_dimensions_that_do_not_vary() -> None:
    still = torch.zeros(16, 2, requires_grad=True)
    losses.decorrelation(still, tensor(of(16, 3)), 16).backward()
    assert still.grad is not None
    assert torch.isfinite(still.grad).all()


def test_what_is_compared_by_products_is_compared_exactly_in_half_too() -> None:
    lips, expression = tensor(of(64, 5)), tensor(of(64, 3))
    audio = lips + tensor(of(64, 5))

    def compared() -> list[float]:
        return [
            float(losses.contrast_lips(audio, lips)),
            float(losses.decorrelation(expression, lips, 8)),
            float(losses.contrast_eyes(expression, expression.roll(1, 0), expression + 1)),
            float(losses.lip_consistency(audio, lips)),
        ]

    want = compared()
    with torch.autocast("cpu", torch.bfloat16):
        assert compared() == want


def test_the_gradient_of_the_current_batch_does_not_fade_as_banks_fill() -> None:
    lips, expression = of(4096, 4), of(4096, 2)
    expression += lips[:, :2]
    sizes = []
    for kept in (64, 4096):
        now = tensor(expression[:16], grad=True)
        losses.decorrelation(torch.cat([now, tensor(expression[16:kept])]), tensor(lips[:kept]), 16).backward()
        assert now.grad is not None
        sizes.append(float(now.grad.norm()))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.5)


def test_features_are_compared_by_weighted_means() -> None:
    made, true = [of(2, 3, 4, 4), of(2, 5, 2, 2)], [of(2, 3, 4, 4), of(2, 5, 2, 2)]
    want = 0.25 * np.abs(made[0] - true[0]).mean() + np.abs(made[1] - true[1]).mean()
    said = losses.feature_difference([*map(tensor, made)], [*map(tensor, true)], [0.25, 1.0])
    assert float(said) == pytest.approx(want, rel=1e-5)


def test_hinges() -> None:
    real, made = [of(2, 1, 3, 3), of(2, 1, 2, 2)], [of(2, 1, 3, 3), of(2, 1, 2, 2)]
    want = np.mean([np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + m).mean() for r, m in zip(real, made, strict=True)])
    assert float(losses.hinge_real_or_made([*map(tensor, real)], [*map(tensor, made)])) == pytest.approx(want, rel=1e-5)
    assert float(losses.hinge_taken_for_real([*map(tensor, made)])) == pytest.approx(
        -np.mean([m.mean() for m in made]), rel=1e-4
    )


def test_feature_matching_leaves_the_logits_out() -> None:
    made = [[of(1, 2, 2, 2), of(1, 1, 1, 1)], [of(1, 2, 1, 1), of(1, 1, 1, 1)]]
    real = [[of(1, 2, 2, 2), of(1, 1, 1, 1)], [of(1, 2, 1, 1), of(1, 1, 1, 1)]]
    want = np.mean([np.abs(m[0] - r[0]).mean() for m, r in zip(made, real, strict=True)])
    said = losses.feature_matching([[*map(tensor, s)] for s in made], [[*map(tensor, s)] for s in real])
    assert float(said) == pytest.approx(want, rel=1e-5)


def test_consistency() -> None:
    lips, heard, made, true = of(3, 5), of(3, 5), of(3, 2), of(3, 2)
    want = np.mean([np.exp(-cosine(a, b)) for a, b in zip(lips, heard, strict=True)])
    assert float(losses.lip_consistency(tensor(lips), tensor(heard))) == pytest.approx(want, rel=1e-5)
    want = np.abs(made - true).sum(1).mean()
    assert float(losses.gaze_consistency(tensor(made), tensor(true))) == pytest.approx(want, rel=1e-5)


def test_a_bank_keeps_the_latest_pairs() -> None:
    bank = MemoryBank(5, (1, 1))
    for first in (0, 2, 4):
        rows = torch.arange(first, first + 2, dtype=torch.float32)[:, None]
        bank.push(rows, 10 * rows)
    assert len(bank) == 5
    now = torch.tensor([[6.0], [7.0]], requires_grad=True)
    one, two = bank.with_current(now, 10 * now.detach())
    assert one[:, 0].tolist() == [6, 7, 5, 4, 3]
    assert two.tolist() == (10 * one).tolist()
    one.sum().backward()
    assert now.grad is not None


def test_a_bank_survives_being_saved() -> None:
    bank, other = MemoryBank(4, (2, 3)), MemoryBank(4, (2, 3))
    bank.push(tensor(of(3, 2)), tensor(of(3, 3)))
    other.load_state_dict(bank.state_dict())
    now = tensor(of(1, 2)), tensor(of(1, 3))
    assert all(torch.equal(a, b) for a, b in zip(bank.with_current(*now), other.with_current(*now), strict=True))
