"""What the parts of the engine promise each other: motion, sources, renderers, graphs."""

from engine.contract.graph import BatchGraph, Graph, GraphRequest, GraphSpec, GraphStream, Stream, TensorSpec, open_stream
from engine.contract.motion import (
    ARKIT,
    CHANNELS,
    GAZE_RANGE_DEG,
    GROUPS,
    POSE,
    Channel,
    Motion,
    MotionSource,
)
from engine.contract.renderer import Renderer

__all__ = [
    "ARKIT",
    "CHANNELS",
    "GAZE_RANGE_DEG",
    "GROUPS",
    "POSE",
    "BatchGraph",
    "Channel",
    "Graph",
    "GraphRequest",
    "GraphSpec",
    "GraphStream",
    "Motion",
    "MotionSource",
    "Renderer",
    "Stream",
    "TensorSpec",
    "open_stream",
]
