"""Weights by a stated rule: networks that are the same everywhere without a file of weights.

Every tensor depends on (seed, network, key, shape) alone: its numbers are drawn
by PCG64 seeded with the first eight bytes of SHA-256("seed:network:key").
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SEED: Final = 1
BINOMIAL: Final = (np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 16).astype(np.float32)
"""What the filters keep: the architecture gives it to them."""

Shapes = Mapping[str, tuple[int, ...]]


def ruled(network: str, shapes: Shapes, seed: int = SEED) -> dict[str, NDArray[Any]]:
    """A network's weights."""
    return {key: _tensor(network, key, shapes, seed) for key in shapes}


def digest(weights: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of all weights, in the order of their keys."""
    total = hashlib.sha256()
    for key in sorted(weights):
        total.update(key.encode() + b"\0" + np.ascontiguousarray(weights[key]).tobytes())
    return total.hexdigest()


def _tensor(network: str, key: str, shapes: Shapes, seed: int) -> NDArray[Any]:
    module, _, name = key.rpartition(".")
    if name == "num_batches_tracked":
        return np.zeros(shapes[key], np.int64)
    if name == "kernel":
        return BINOMIAL.copy()
    drawn = hashlib.sha256(f"{seed}:{network}:{key}".encode()).digest()[:8]
    rng = np.random.Generator(np.random.PCG64(int.from_bytes(drawn, "little")))
    if name == "running_var":
        return (0.5 + rng.random(shapes[key])).astype(np.float32)
    middle, spread = _middle_and_spread(network, key, shapes[key], normalises=f"{module}.running_mean" in shapes)
    return (middle + spread * rng.standard_normal(shapes[key])).astype(np.float32)


def _middle_and_spread(network: str, key: str, shape: tuple[int, ...], *, normalises: bool) -> tuple[float, float]:
    name = key.rpartition(".")[2]
    generator = network == "net_generator"
    if normalises:
        return float(name == "weight"), 0.1
    if key.endswith(".noise.weight"):
        return 0.1, 0.02
    if name == "bias":
        lifted = {"model.conv6.bias": 1.3} if network == "net_motion" else {}  # one channel before a rectifier
        return 1.0 if key.endswith("modulation.bias") else lifted.get(key, 0.0), 0.05
    if generator:  # it divides by the root of its inputs itself
        return 0.0, 0.3 if key.startswith("to_rgb") and key.endswith(".conv.weight") else 1.0
    gain = 1.4 if len(shape) != 4 else 0.8 if network == "net_motion" else 1.0
    return 0.0, gain / math.sqrt(math.prod(shape[1:]))
