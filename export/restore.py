"""A network's weights back out of the file that it was exported to.

Exporting turns and joins weights (a recurrent layer's gates, a linear layer's
matrix) but computes with none, once normalisations are folded into the
convolutions before them. So the same module, exported with its weights'
numbers counted through in place of their values, says where in the file each
weight went. What ships can thus be exported again for another batch size or
precision, without the run that it came from.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from engine.errors import ModelError
from engine.runtime.model_file import read_model
from export.bars import Arrays
from export.files import Network, exactness, model_of, onnx

_EXACT = 1 << 24
"""float32 counts so far."""
_FIRST = 1 << 20
"""The first number: a graph has constants, too, but none so large."""
_torch: Any = torch  # its own annotations of arrays are partial


def restored(blank: Network, path: Path, probes: Sequence[Arrays]) -> Network:
    """`blank` with the weights of a file, proved equal to it on some inputs.

    Raises:
        ModelError: if the file cannot be read, or holds another network.
    """
    held = onnx.load_from_string(read_model(path).data)
    network = replace(blank, module=folded(blank.module).eval())
    places = [tensor for tensor in network.module.state_dict().values() if tensor.dtype == torch.float32]
    offsets = np.cumsum([_FIRST, *(tensor.numel() for tensor in places)]).tolist()
    assert offsets[-1] < _EXACT, "float32 does not count so far"
    with torch.no_grad():
        for tensor, offset in zip(places, offsets, strict=False):
            tensor.copy_(torch.arange(offset, offset + tensor.numel(), dtype=torch.float32).view(tensor.shape))
        found = _found(_weights(model_of(network)), _weights(held), offsets[-1])
        for tensor, offset in zip(places, offsets, strict=False):
            tensor.copy_(_torch.from_numpy(found[offset : offset + tensor.numel()]).view(tensor.shape))
    missing = bool(np.isnan(found[_FIRST:]).any())
    if missing or max(map(network.exact.excess, exactness(network, held, probes).values())) > 1:
        raise ModelError(f"{path} was exported by another version of its network: give the run it came from (--run)")
    return network


def folded(module: nn.Module) -> nn.Module:
    """The module with every batch normalisation that follows a convolution in a sequence folded into it; it is changed."""
    for parent in list(module.modules()):
        if not isinstance(parent, nn.Sequential):
            continue
        for index in range(len(parent) - 1):
            convolution, norm = parent[index], parent[index + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                parent[index] = fuse_conv_bn_eval(convolution.eval(), norm.eval())
                parent[index + 1] = nn.Identity()
    return module


def _found(counted: Sequence[NDArray[Any]], held: Sequence[NDArray[Any]], end: int) -> NDArray[np.float32]:
    """float32[end]: the weight of each number, by what is in the same place of both; NaN where there is none."""
    found = np.full(end, np.nan, np.float32)
    if [values.shape for values in counted] != [values.shape for values in held]:
        return found
    for numbers, values in zip(counted, held, strict=True):
        which = numbers.astype(np.int64)
        if numbers.size and (which == numbers).all() and which.min() >= _FIRST and which.max() < end:
            found[which.ravel()] = values.ravel()
    return found


def _weights(model: Any) -> list[NDArray[Any]]:
    """Float weights, single numbers left out, in the order of the nodes that take them."""
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    taken: list[NDArray[Any]] = []
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in values:  # stored in half
            values[node.output[0]] = values[node.input[0]].astype(np.float32)
            continue
        taken += [values[name] for name in node.input if name in values]
    return [value for value in taken if value.dtype == np.float32 and value.ndim]
