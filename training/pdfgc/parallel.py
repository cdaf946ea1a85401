"""Several processes as one: gradients, statistics and negatives of the whole batch; everything is itself with one process.

torchrun starts one process per GPU; each gets its share of every batch. Gradients are averaged after the last
backward pass of a step, by hand: one reduction, whichever networks a stage trains and however often it calls them.
"""

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx


def world() -> tuple[int, int]:
    """The number of this process, and how many there are."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


def join(device: str) -> torch.device:
    """Meet the other processes if torchrun started several; the device of this one."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    if device == "cuda":
        own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(own)
        return own
    return torch.device(device)


class _Sum(torch.autograd.Function):
    """The sum over the processes, each of which may have another loss of it."""

    @staticmethod
    def forward(ctx: FunctionCtx, own: Tensor) -> Tensor:
        total = own.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total


def leave() -> None:
    """Part from the other processes."""
    if world()[1] > 1:
        dist.destroy_process_group()


def summed(own: Tensor) -> Tensor:
    """The sum of a tensor over all processes, with the gradient of all their losses."""
    total: Tensor = _Sum.apply(own)  # pyright: ignore[reportAssignmentType]
    return total


def gathered(features: Tensor) -> Tensor:
    """[W B, D] of [B, D]: the rows of all processes in their order, with gradient to each."""
    rank, count = world()
    if count == 1:
        return features
    rows = len(features)
    everything = features.new_zeros(count * rows, *features.shape[1:])
    padded = torch.cat([everything[: rank * rows], features, everything[(rank + 1) * rows :]])
    return summed(padded)


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the processes; all must have gradients for the same parameters."""
    _, count = world()
    if count == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= count
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


@torch.no_grad()
def mean_of(figures: Tensor) -> Tensor:
    """float[N]: the mean over the processes; one that is not finite anywhere is so everywhere."""
    _, count = world()
    if count > 1:
        dist.all_reduce(figures)
        figures /= count
    return figures


class WholeBatchNorm(nn.Module):
    """Batch normalisation over all processes' batches, on any device; the parameters and buffers are the wrapped one's.

    torch's own needs a GPU.
    """

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__()
        self.weight, self.bias, self.eps, self.momentum = norm.weight, norm.bias, norm.eps, norm.momentum or 0.1
        self.running_mean: Tensor
        self.running_var: Tensor
        self.num_batches_tracked: Tensor
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.BatchNorm1d` and `nn.BatchNorm2d`."""
        shape = (1, -1) + (1,) * (x.ndim - 2)
        wide = x.float()
        mean, variance = self._statistics(wide, shape) if self.training else (self.running_mean, self.running_var)
        standard = (wide - mean.view(shape)) * torch.rsqrt(variance + self.eps).view(shape)
        return (standard * self.weight.view(shape) + self.bias.view(shape)).to(x.dtype)

    def _statistics(self, x: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        along = [axis for axis in range(x.ndim) if axis != 1]
        total = x.numel() / x.shape[1] * world()[1]
        mean = summed(x.sum(along)) / total
        variance = summed((x - mean.view(shape)).square().sum(along)) / total
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * total / max(total - 1, 1), self.momentum)
            self.num_batches_tracked += 1
        return mean, variance


def with_whole_batch_norms(module: nn.Module) -> None:
    """Let a module's batch normalisations be over all processes, if there are several. Keys stay."""
    if world()[1] == 1:
        return
    for name, child in module.named_children():
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
            setattr(module, name, WholeBatchNorm(child))
        else:
            with_whole_batch_norms(child)
