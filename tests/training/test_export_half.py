from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")

from engine.contract import GraphSpec, TensorSpec  # noqa: E402 - torch first
from export.bars import Bar, excess, measured  # noqa: E402
from export.files import answers, by_onnx, inferred  # noqa: E402
from export.half import candidates, computed_in_float, halved, rounded, search  # noqa: E402

FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
SPEC = GraphSpec("g", (TensorSpec("x", (1, 64), low=0.5, high=1.0),), (TensorSpec("y", (1, 64)),))


def model(nodes: Sequence[tuple[str, Sequence[str], str]], **weights: Any) -> Any:
    """A model from x to y; every node is called by its output."""
    made = [onnx.helper.make_node(kind, list(inputs), [output], name=output) for kind, inputs, output in nodes]
    ends = [[onnx.helper.make_tensor_value_info(name, FLOAT, [1, 64])] for name in ("x", "y")]
    tensors = [onnx.numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()]
    graph = onnx.helper.make_graph(made, "g", *ends, initializer=tensors)
    return inferred(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8))


def types(made: Any) -> dict[str, int]:
    return {value.name: value.type.tensor_type.elem_type for value in made.graph.value_info}


PLAIN = (("Mul", ("x", "w"), "a"), ("Exp", ("a",), "b"), ("Add", ("b", "w"), "y"))
OVERFLOWS = (("Mul", ("x", "big"), "a"), ("Sqrt", ("a",), "b"), ("Mul", ("b", "w"), "c"), ("Add", ("c", "w"), "y"))
BIG = {"big": np.float32(1e6), "w": np.float32(0.01)}


def test_all_is_half_but_the_ends() -> None:
    made = halved(model(PLAIN, w=np.linspace(0, 1, 64)))
    assert list(computed_in_float(made)) == []
    assert {types(made)[name] for name in ("a.half", "b.half")} == {HALF}
    assert [value.type.tensor_type.elem_type for value in (*made.graph.input, *made.graph.output)] == [FLOAT, FLOAT]
    assert [tensor.data_type for tensor in made.graph.initializer] == [HALF]


def test_an_island_does_not_round_between_neighbours() -> None:
    made = halved(model(OVERFLOWS, **BIG), ("a", "b"))
    assert list(computed_in_float(made)) == ["a", "b"]
    casts = [node.output[0] for node in made.graph.node if node.op_type == "Cast"]
    assert sorted(casts) == ["b.half", "y"]  # into the half after it, and at the end; none between a and b


def test_rounding_is_that_of_numpy() -> None:
    w = np.linspace(0, 1, 64).astype(np.float32)
    x = SPEC.fake_inputs(1)
    found = by_onnx(rounded(model(PLAIN, w=w)), optimised=False)(x)["y"]

    def half(value: np.ndarray) -> np.ndarray:
        return value.astype(np.float16).astype(np.float32)

    wanted = half(half(np.exp(half(half(x["x"].astype(np.float32)) * half(w)))) + half(w))
    np.testing.assert_array_equal(found, wanted)


def test_the_search_keeps_what_overflows_and_nothing_else() -> None:
    whole, bars = model(OVERFLOWS, **BIG), {"y": Bar(0.01)}
    probes = [SPEC.fake_inputs(seed) for seed in range(2)]
    wanted = answers(by_onnx(whole), SPEC, probes)
    tried: list[float] = []

    def error(typed: Any) -> float:
        tried.append(excess(bars, measured(bars, answers(by_onnx(typed, optimised=False), SPEC, probes), wanted)))
        return tried[-1]

    assert error(rounded(whole)) == np.inf
    kept = search(whole, error)
    assert error(rounded(whole, kept)) <= 1
    assert "a" in kept
    assert "y" not in kept
    tried.clear()
    assert search(whole, error, (*kept, "gone")) == kept
    assert len(tried) == 1  # what is known is only tried
    assert search(model(PLAIN, w=np.float32(0.5)), lambda typed: 0.0) == ()


def test_what_computes_without_numbers_is_no_candidate() -> None:
    assert set(candidates(model(PLAIN, w=np.float32(1)))) == {"a", "b", "y"}


def test_bars_measure_in_their_units() -> None:
    wanted = np.array([[1.0, 100.0]])
    assert Bar(0.1).measure(wanted + 1, wanted) == pytest.approx(0.01)
    assert Bar(0.1, channels=True).measure(wanted + 1, wanted) == pytest.approx(1.0)
    assert Bar(0.1, "px").measure(wanted + 1, wanted) == pytest.approx(1.0)
    assert Bar(40, "dB").measure(wanted + 0.02, wanted) == pytest.approx(40.0)
    assert Bar(40, "dB").excess(34) == pytest.approx(1.995, abs=0.01)
    for bar in (Bar(0.1), Bar(40, "dB")):
        assert bar.excess(bar.measure(wanted * np.nan, wanted)) == np.inf
