import numpy as np
import pytest

from engine.contract import ARKIT, CHANNELS, GROUPS, GraphSpec, GraphStream, Motion, TensorSpec
from engine.contract.motion import GROUP_OF, gaze_controls, interpolate


def test_arkit_has_52_names_and_each_channel_a_group() -> None:
    assert len(set(ARKIT)) == 52
    assert len(CHANNELS) == len(GROUP_OF) == 58
    assert set(GROUP_OF) == set(range(len(GROUPS)))


def test_motion_is_read_only_and_checked() -> None:
    motion = Motion.of(3, {"jawOpen": 0.5, "yaw": -4})
    assert motion["jawOpen"] == 0.5
    assert motion.pose[0] == -4
    with pytest.raises(ValueError, match="read-only"):
        motion.values[0] = 1
    with pytest.raises(ValueError, match="no channel is called 'jaw'"):
        Motion.of(0, {"jaw": 1})
    with pytest.raises(ValueError, match="float32"):
        Motion(0, np.zeros(58), np.zeros(5, np.float32))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("left", "up"), [(12, 5), (-20, -8), (0, 0)])
def test_gaze_survives_the_way_through_coefficients(left: float, up: float) -> None:
    motion = Motion.of(0, gaze_controls(left, up))
    for side in ("Left", "Right"):
        assert motion.gaze_deg(side) == pytest.approx((left, up), abs=1e-5)


def test_interpolation_is_linear_and_clamped() -> None:
    a, b = Motion.of(0, {"yaw": 0}), Motion.of(960, {"yaw": 10})
    assert interpolate(a, b, 480)["yaw"] == pytest.approx(5)
    assert interpolate(a, b, -5)["yaw"] == 0
    assert interpolate(a, b, 2000)["yaw"] == 10
    assert interpolate(b, b, 960)["yaw"] == 10


class Accumulator:
    """A graph that adds its input to its state."""

    spec = GraphSpec("sum", (TensorSpec("x", (2,)),), (TensorSpec("y", (2,)),), (TensorSpec("h", (2,)),))

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        h = inputs["h"] + inputs["x"]
        return {"y": h * 2, "h": h}


def test_a_stream_keeps_state_and_reset_equals_new() -> None:
    stream, one = GraphStream(Accumulator()), {"x": np.ones(2, np.float32)}  # pyright: ignore[reportArgumentType]
    first = stream.step(one)["y"].copy()
    assert not np.array_equal(stream.step(one)["y"], first)
    stream.reset()
    assert np.array_equal(stream.step(one)["y"], first)


def test_two_streams_on_one_graph_do_not_meet() -> None:
    graph, one = Accumulator(), {"x": np.ones(2, np.float32)}
    a, b = GraphStream(graph), GraphStream(graph)  # pyright: ignore[reportArgumentType]
    a.step(one)
    assert np.array_equal(b.step(one)["y"], [2, 2])


def test_fake_inputs_are_seeded_and_shaped() -> None:
    spec = Accumulator.spec
    fakes = spec.fake_inputs(7)
    assert {k: v.shape for k, v in fakes.items()} == {"x": (2,), "h": (2,)}
    assert np.array_equal(fakes["x"], spec.fake_inputs(7)["x"])


def test_a_batch_lies_along_each_tensors_axis() -> None:
    one = GraphSpec("g", (TensorSpec("x", (2, 40)),), (TensorSpec("y", (1, 3)),), (TensorSpec("h", (2, 1, 5), axis=1),))
    four = one.batched(4)
    assert [tensor.shape for tensor in (*four.inputs, *four.outputs, *four.states)] == [(8, 40), (4, 3), (2, 4, 5)]
    assert one.batched(1) == one
