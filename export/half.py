"""FP16 in the graph, with islands of FP32 where FP16 fails.

TensorRT 11 and TensorRT-RTX are strongly typed: precision is what the tensors
of the ONNX file say. `halved` types every operator FP16 but those that are
named; inputs, outputs and states stay float32. ONNX Runtime's own tool
(`onnxruntime.transformers.float16`) was not taken: it rounds between two
neighbours that are both to stay in FP32.

Which ones stay is found by `search`: all in FP16 first; where that misses a
bar, the kinds of operators are ranked by what each loses alone, then the nodes
of the worst kinds, and the fewest of the worst that suffice are kept.
`rounded` makes the arithmetic visible on a CPU, whose kernels would compute in
float32 and skip the rounding: results are rounded after every operator, sums
inside one are not, as on tensor cores.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final

import numpy as np

from export.files import inferred, onnx

_FLOAT: Final = onnx.TensorProto.FLOAT
_HALF: Final = onnx.TensorProto.FLOAT16
_ALWAYS_FLOAT: Final = {"Resize": (2,)}
"""Inputs that the operator set defines as float32: scales."""

Excess = Callable[[Any], float]
"""Of a model: its largest error over its bar; 1 is just within."""


def halved(model: Any, kept: Collection[str] = ()) -> Any:
    """The model in FP16, but for the nodes in `kept`; the graph's ends stay float32."""
    return _Typed(model, kept, visible=False).model


def rounded(model: Any, kept: Collection[str] = ()) -> Any:
    """What `halved` computes, as a float32 model whose tensors are rounded; for ONNX Runtime without optimisation."""
    return _Typed(model, kept, visible=True).model


def candidates(model: Any) -> dict[str, str]:
    """Nodes that compute with floating point, by name, with their operators."""
    floats = _floats(model)
    return {node.name: node.op_type for node in model.graph.node if floats & {*node.input, *node.output}}


def search(model: Any, excess: Excess, known: Collection[str] = ()) -> tuple[str, ...]:
    """Names of the nodes that stay in FP32, as few as the ranking finds.

    Args:
        model: in float32.
        excess: of what `rounded` makes of it.
        known: an earlier answer for the same network, taken if it still does.
    """
    nodes = candidates(model)

    def excess_of(kept: Collection[str]) -> float:
        return excess(rounded(model, kept))

    known = [name for name in known if name in nodes]
    for first in ([known] if known else []) + [[]]:
        if excess_of(first) <= 1:
            return tuple(first)
    kinds = sorted(set(nodes.values()))
    of_kind = {kind: [name for name in nodes if nodes[name] == kind] for kind in kinds}
    worst = _fewest([of_kind[kind] for kind in kinds], list(nodes), excess_of)
    return tuple(
        name for group in _fewest([[name] for names in worst for name in names], list(nodes), excess_of) for name in group
    )


def _fewest(groups: Sequence[list[str]], nodes: list[str], excess_of: Callable[[Collection[str]], float]) -> list[list[str]]:
    """The first so many of the groups, those first that lose most on their own, with which in FP32 the bars are kept."""
    alone = [excess_of([name for name in nodes if name not in set(group)]) for group in groups]
    ranked = [groups[index] for index in sorted(range(len(groups)), key=lambda index: -alone[index])]
    low, high = 0, len(ranked)
    while high - low > 1:  # low is too few; all are enough
        middle = (low + high) // 2
        enough = excess_of([name for group in ranked[:middle] for name in group]) <= 1
        low, high = (low, middle) if enough else (middle, high)
    return ranked[:high]


def _floats(model: Any) -> set[str]:
    graph = model.graph
    values = (*graph.value_info, *graph.input, *graph.output)
    named = {value.name for value in values if value.type.tensor_type.elem_type == _FLOAT}
    return named | {tensor.name for tensor in graph.initializer if tensor.data_type == _FLOAT}


class _Typed:
    """A model typed node by node: every float tensor may exist in either type, the other one is made where it is asked for."""

    def __init__(self, model: Any, kept: Collection[str], *, visible: bool) -> None:
        self._kept, self._visible, self._floats = set(kept), visible, _floats(model)
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self._float = self._floats & {*self._weights, *(value.name for value in model.graph.input)}
        self._half = set[str]()
        self._nodes: list[Any] = []
        self._added: list[Any] = []
        for node in model.graph.node:
            self._take(node)
        for value in model.graph.output:
            self._end(value.name)
        self.model = self._built(model)

    def _take(self, node: Any) -> None:
        node_type, new = node.op_type, onnx.NodeProto()
        new.CopyFrom(node)
        half = node.name not in self._kept
        for index, name in enumerate(node.input):
            if name in self._floats:
                wants_half = half and index not in _ALWAYS_FLOAT.get(node_type, ())
                new.input[index] = self._as_half(name) if wants_half else self._as_float(name)
        if half and not self._visible:
            _to_half(new)
        self._nodes.append(new)
        for index, name in enumerate(node.output):
            if name not in self._floats:
                continue
            if not half:
                self._float.add(name)
            elif self._visible:
                new.output[index] = f"{name}.raw"
                self._round(f"{name}.raw", name)
            else:
                new.output[index] = f"{name}.half"
            if half:
                self._half.add(name)

    def _as_half(self, name: str) -> str:
        if name not in self._half:
            self._half.add(name)
            if name in self._weights:
                self._added.append(self._half_weight(name))
            elif self._visible:
                self._round(name, name)
            else:
                self._cast(name, f"{name}.half", _HALF)
        return f"{name}.half"

    def _as_float(self, name: str) -> str:
        if name not in self._float and not self._visible:
            self._cast(f"{name}.half", name, _FLOAT)
            self._float.add(name)
        return name if name in self._float else f"{name}.half"

    def _end(self, name: str) -> None:
        """An output of the graph is float32 under its own name."""
        if name in self._floats and self._as_float(name) != name:
            self._nodes.append(onnx.helper.make_node("Identity", [f"{name}.half"], [name], name=f"{name}.end"))

    def _half_weight(self, name: str) -> Any:
        with np.errstate(over="ignore"):  # what is too large for FP16 becomes infinite, and the bars see it
            values = onnx.numpy_helper.to_array(self._weights[name]).astype(np.float16)
        return onnx.numpy_helper.from_array(values.astype(np.float32) if self._visible else values, f"{name}.half")

    def _round(self, source: str, name: str) -> None:
        self._cast(source, f"{name}.bits", _HALF)
        # ONNX Runtime drops a cast whose result is cast back at once
        self._nodes.append(onnx.helper.make_node("Identity", [f"{name}.bits"], [f"{name}.same"], name=f"{name}.same"))
        self._cast(f"{name}.same", f"{name}.half", _FLOAT)

    def _cast(self, source: str, target: str, to: int) -> None:
        self._nodes.append(onnx.helper.make_node("Cast", [source], [target], name=f"{target}.cast", to=to))

    def _built(self, model: Any) -> Any:
        new = onnx.ModelProto()
        new.CopyFrom(model)
        graph = new.graph
        used = {name for node in self._nodes for name in node.input}
        weights = [tensor for tensor in (*model.graph.initializer, *self._added) if tensor.name in used]
        del graph.node[:], graph.initializer[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend(weights)
        return inferred(new)


def _to_half(node: Any) -> None:
    """Constants and types in a node's attributes."""
    for attribute in node.attribute:
        if attribute.name in ("to", "dtype") and attribute.i == _FLOAT:
            attribute.i = _HALF
        elif attribute.HasField("t") and attribute.t.data_type == _FLOAT:
            values = onnx.numpy_helper.to_array(attribute.t).astype(np.float16)
            attribute.t.CopyFrom(onnx.numpy_helper.from_array(values, attribute.t.name))


def computed_in_float(model: Any) -> Iterator[str]:
    """Nodes of a `halved` model that compute in float32, casts aside."""
    floats = _floats(model)
    for node in model.graph.node:
        if node.op_type != "Cast" and floats & set(node.output):
            yield node.name
