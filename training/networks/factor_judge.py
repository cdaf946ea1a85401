"""The judge of factors: what lips, eyes and brows do, from two cuts of a face that never show one another's part."""

import torch
from torch import Tensor, nn

from training.networks.face_landmarks import PART_CHANNELS, part_features


class Cut(nn.Module):
    """Numbers from one cut.

    Args:
        shape: its height and width in px.
        outputs: how many numbers.
        widths: channels at 1/2, 1/4 and 1/8 of its sides.
    """

    def __init__(self, shape: tuple[int, int], outputs: int, widths: tuple[int, int, int] = (16, 32, 64)) -> None:
        super().__init__()
        self.features = part_features(6, widths)
        seen = PART_CHANNELS * (shape[0] // 8) * (shape[1] // 8)
        self.head = nn.Sequential(nn.Linear(seen + 3, 192), nn.ReLU(), nn.Dropout(0.2))
        self.said = nn.Linear(192, outputs)

    def forward(self, cuts: Tensor, pose: Tensor) -> Tensor:
        """float32[N, outputs] of cuts float32[N, 6, H, W] in 0..1, each with the same face at rest, of heads turned by
        float32[N, 3], in 20 degrees.
        """
        return self.said(self.head(torch.cat([self.features(cuts - 0.5), pose], 1)))


class FactorJudge(nn.Module):
    """Both cuts.

    Args:
        upper: height and width of the cut without the mouth.
        mouth: of the cut of the mouth.
        gaze, blink, expression: numbers said of the first one, in this order.
        lip: of the second.
    """

    def __init__(
        self, upper: tuple[int, int], mouth: tuple[int, int], *, gaze: int, blink: int, expression: int, lip: int
    ) -> None:
        super().__init__()
        self._parts = (gaze, blink, expression)
        self.upper = Cut(upper, sum(self._parts))
        self.mouth = Cut(mouth, lip)

    def forward(self, upper: Tensor, mouth: Tensor, pose: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Lip, gaze, blink and expression of cuts; see `Cut.forward`."""
        gaze, blink, expression = self.upper(upper, pose).split(self._parts, 1)
        return self.mouth(mouth, pose), gaze, blink, expression
