"""The tracker's regressors: 478 landmarks of an upright face, and the points of an eye or of the mouth.

Both are a strided stem, a few residual blocks of plain 3x3 convolutions (on
CPUs they do twice the work per second that depthwise ones do) and a head that
reads the last feature map place by place. The landmark head does not write
1434 numbers: it writes a similarity transform and the coefficients of a linear
face model, so that what a few hundred people look like keeps unknown ones in
shape. The model starts as principal components and is trained along.
"""

import torch
from torch import Tensor, nn

from engine.contract.graph import GraphSpec
from engine.face import landmarks

COMPONENTS = 96
PART_CHANNELS = 24
"""Of the last map of what looks closer."""
_POINTS = landmarks.SPEC.outputs[0].shape[1]


def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps or divides the size, batch norm and a rectifier."""
    layer = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(norm.weight)  # begins as the identity
        self.layers = nn.Sequential(
            convolution(channels, channels, 3), nn.Conv2d(channels, channels, 3, 1, 1, bias=False), norm
        )

    def forward(self, x: Tensor) -> Tensor:
        """float32[N, C, H, W] to the same shape."""
        return torch.relu(x + self.layers(x))


class FaceModel(nn.Module):
    """A linear model of upright faces, placed by a similarity transform.

    `mean` float32[478, 3] and `basis` float32[K, 478, 3] are px of a crop whose middle is 0; coefficients have about unit
    variance in training data.
    """

    def __init__(self, components: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(_POINTS, 3))
        self.basis = nn.Parameter(torch.zeros(components, _POINTS, 3))

    def forward(self, place: Tensor, shape: Tensor) -> Tensor:
        """float32[N, 478, 3] px of the crop.

        Args:
            place: float32[N, 4], shifts x and y over 16 px, logarithm of the scale and radians of roll, both over 0.25.
            shape: float32[N, K].
        """
        face = self.mean + (shape @ self.basis.flatten(1)).unflatten(1, (_POINTS, 3))
        scale = torch.exp(0.25 * place[:, 2:3])
        c, s = torch.cos(0.25 * place[:, 3:]) * scale, torch.sin(0.25 * place[:, 3:]) * scale
        x = c * face[..., 0] - s * face[..., 1] + 16 * place[:, :1] + landmarks.PIXELS / 2
        y = s * face[..., 0] + c * face[..., 1] + 16 * place[:, 1:2] + landmarks.PIXELS / 2
        return torch.stack([x, y, scale * face[..., 2]], 2)


class FaceLandmarks(nn.Module):
    """Landmarks and presence from a crop of 128 px: 62 M multiplications.

    Args:
        components: of the face model.
        widths: channels at 1/4, 1/8 and 1/16 of the crop's side.
        blocks: residual blocks at 1/8 and at 1/16.
    """

    def __init__(
        self, components: int = COMPONENTS, widths: tuple[int, int, int] = (32, 48, 112), blocks: tuple[int, int] = (2, 2)
    ) -> None:
        super().__init__()
        stem, fine, coarse = widths
        self.features = nn.Sequential(
            convolution(3, stem, 7, 4),
            convolution(stem, fine, 3, 2),
            *(Residual(fine) for _ in range(blocks[0])),
            convolution(fine, coarse, 3, 2),
            *(Residual(coarse) for _ in range(blocks[1])),
            convolution(coarse, 32, 1),
            nn.Flatten(),
        )
        self.components = components
        self.head = nn.Sequential(nn.Linear(32 * (landmarks.PIXELS // 16) ** 2, 256), nn.ReLU())
        self.coefficients = nn.Linear(256, 5 + components)
        nn.init.normal_(self.coefficients.weight, std=0.01)
        nn.init.zeros_(self.coefficients.bias)
        self.model = FaceModel(components)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Landmarks float32[N, 478, 3] px of the crops float32[N, 3, 128, 128] in 0..1, and logits of presence float32[N]."""
        said = self.coefficients(self.head(self.features(crops - 0.5)))
        return self.model(said[:, 1:5], said[:, 5:]), said[:, 0]


class LandmarkStep(nn.Module):
    """`FaceLandmarks` as the engine runs it: presence as a probability."""

    def __init__(self, network: FaceLandmarks) -> None:
        super().__init__()
        self.network = network

    def forward(self, crop: Tensor) -> tuple[Tensor, Tensor]:
        """See `engine.face.landmarks.SPEC`."""
        points, logit = self.network(crop)
        return points, torch.sigmoid(logit)


def part_features(inputs: int, widths: tuple[int, int, int]) -> nn.Sequential:
    """What sees a crop float32[N, C, H, W] of a part of a face: float32[N, `PART_CHANNELS` H W / 64], place by place.

    Args:
        inputs: channels of the crop.
        widths: channels at 1/2, 1/4 and 1/8 of the crop's sides.
    """
    stem, fine, coarse = widths
    return nn.Sequential(
        convolution(inputs, stem, 5, 2),
        convolution(stem, fine, 3, 2),
        Residual(fine),
        convolution(fine, coarse, 3, 2),
        Residual(coarse),
        Residual(coarse),
        convolution(coarse, PART_CHANNELS, 1),
        nn.Flatten(),
    )


class FacePart(nn.Module):
    """Points of one part of a face from a crop of it: 11 M multiplications for an eye, 18 M for the mouth.

    Args:
        spec: the part's signature, which has one input and one output.
        widths: channels at 1/2, 1/4 and 1/8 of the crop's sides.
    """

    def __init__(self, spec: GraphSpec, widths: tuple[int, int, int] = (16, 32, 64)) -> None:
        super().__init__()
        height, width = spec.inputs[0].shape[2:]
        self._points = spec.outputs[0].shape[1]
        self.features = part_features(3, widths)
        self.head = nn.Sequential(nn.Linear(PART_CHANNELS * (height // 8) * (width // 8), 128), nn.ReLU())
        self.offsets = nn.Linear(128, 2 * self._points)
        nn.init.normal_(self.offsets.weight, std=0.01)
        self.mean = nn.Parameter(torch.zeros(self._points, 2))

    def forward(self, crops: Tensor) -> Tensor:
        """float32[N, P, 2] px of the crops float32[N, 3, H, W] in 0..1."""
        offsets = self.offsets(self.head(self.features(crops - 0.5))).unflatten(1, (self._points, 2))
        return self.mean + 4.0 * offsets
