"""What several of PD-FGC's networks are made of."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Held(nn.Module):
    """Tensors that belong to the state dict and are not trained: buffers, so that no optimiser sees them.

    Args:
        shapes: by name.
    """

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        super().__init__()
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape))


def channels_last(module: nn.Module) -> nn.Module:
    """Store the weights of 4 dimensions with channels last, in place; `Module.to` refuses the generator's, which have 5."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return module


def sized(image: Tensor, side: int) -> Tensor:
    """`image` [B, C, H, W] as [B, C, side, side]: areas averaged if it is larger, interpolated if smaller."""
    height, width = int(image.shape[-2]), int(image.shape[-1])
    if (height, width) == (side, side):
        return image
    if min(height, width) >= side:
        return functional.adaptive_avg_pool2d(image, side)
    return functional.interpolate(image, size=(side, side), mode="bilinear", align_corners=False)
