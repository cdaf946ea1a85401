"""A network's weights back out of the file that it was exported to.

Exporting turns and joins weights (a recurrent layer's gates, a linear layer's
matrix) but computes with none, once normalisations are folded into the
convolutions before them. So the same module, exported with its weights'
numbers counted through in place of their values, says where in the file each
weight went. What ships can thus be exported again for another batch size or
precision, without the run that it came from.
"""

from collections.abc import Iterator
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
from export.files import Network, model_of, onnx

_EXACT = 1 << 24
"""float32 counts so far."""
_torch: Any = torch  # its own annotations of arrays are partial


def restored(blank: Network, path: Path) -> Network:
    """`blank` with the weights of a file.

    Raises:
        ModelError: if the file cannot be read, or holds another network.
    """
    held = onnx.load_from_string(read_model(path).data)
    module = folded(blank.module).eval()
    places = [tensor for tensor in module.state_dict().values() if tensor.dtype == torch.float32]
    offsets = np.cumsum([1, *(tensor.numel() for tensor in places)])
    assert offsets[-1] < _EXACT, "float32 does not count so far"
    found = np.full(offsets[-1], np.nan, np.float32)
    with torch.no_grad():
        for tensor, offset in zip(places, offsets[:-1].tolist(), strict=True):
            tensor.copy_(torch.arange(offset, offset + tensor.numel(), dtype=torch.float32).view(tensor.shape))
        counted = model_of(replace(blank, module=module))
        for numbers, values in _pairs(counted, held, path):
            which = numbers.astype(np.int64)
            if numbers.size and (which == numbers).all() and which.min() > 0 and which.max() < offsets[-1]:
                found[which.ravel()] = values.ravel()
        for tensor, offset in zip(places, offsets[:-1].tolist(), strict=True):
            values = found[offset : offset + tensor.numel()]
            if np.isnan(values).any():
                raise ModelError(f"{path} does not hold all weights of its network: give the run it came from (--run)")
            tensor.copy_(_torch.from_numpy(values).view(tensor.shape))
    return replace(blank, module=module)


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


def _pairs(counted: Any, held: Any, path: Path) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Weights in the same places of two graphs.

    Raises:
        ModelError: if they are not the same graph.
    """
    ours, theirs = _weights(counted), _weights(held)
    if [place for place, _ in ours] != [place for place, _ in theirs]:
        raise ModelError(f"{path} was exported by another version of its network: give the run it came from (--run)")
    for (_, numbers), (_, values) in zip(ours, theirs, strict=True):
        yield numbers, values.astype(np.float32)


def _weights(model: Any) -> list[tuple[tuple[int, str, int, tuple[int, ...]], NDArray[Any]]]:
    """Float weights with their places: number and operator of the node, number of its input, shape."""
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes: list[Any] = []
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in values:  # stored in half
            values[node.output[0]] = values[node.input[0]].astype(np.float32)
        else:
            nodes.append(node)
    return [
        ((number, node.op_type, index, values[name].shape), values[name])
        for number, node in enumerate(nodes)
        for index, name in enumerate(node.input)
        if name in values and values[name].dtype == np.float32
    ]
