"""What do PD-FGC's four networks cost on this GPU? The figure that every other backend has to beat.

Question: milliseconds per batch and pictures per second of each network at the
published sizes, random weights, for batches of 1, 8 and 32: PyTorch eager in
FP32, and in FP16 with channels last as a CUDA graph. A frame is motion, audio
and generator; appearance is encoded once per identity. Ends: CUDA events around
`repeats` runs after warm-up, the median of five rounds (`benchmarks.gpu`).
Control: the half precision's answer, beside the other's, in deviations of it.
Contract: a table, then as the last line one JSON object. Needs torch with
CUDA; `--device cpu --widths pdfgc-lite` rehearses it (bfloat16, no graph).
"""

import argparse
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.gpu import measure

BATCHES = (1, 8, 32)
FRAME = ("motion", "audio", "generator")
WORST = 0.1
"""Largest rms difference of half precision, in deviations of the output."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the costs on the first GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", default="pdfgc-224", help="pdfgc-224, pdfgc-256 or pdfgc-lite (default %(default)s)")
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES), metavar="N", help="(default %(default)s)")
    parser.add_argument("--repeats", type=int, default=20, help="runs per round (default %(default)s)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    args = parser.parse_args(argv)
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError:
        print("this benchmark needs torch: pip install torch", file=sys.stderr)
        return 1
    if args.device == "cuda" and not torch.cuda.is_available():
        print("torch sees no CUDA device; run this on the GPU machine", file=sys.stderr)
        return 1
    with torch.inference_mode():
        metrics = _costs(torch, args)
    name = torch.cuda.get_device_name(0) if args.device == "cuda" else "cpu"
    environment = {"device": name, "torch": torch.__version__, "cuda": torch.version.cuda}
    failed = [key for key, value in metrics.items() if key.endswith("_difference") and not value <= WORST]
    print(json.dumps({"suite": "gpu_pdfgc", "environment": environment, "settings": vars(args), "metrics": metrics}))
    return 1 if failed else 0


def _costs(torch: Any, args: argparse.Namespace) -> dict[str, float]:
    metrics: dict[str, float] = {}
    time_of = _cuda_seconds if args.device == "cuda" else _cpu_seconds
    print(f"{'':28}{'eager FP32':>14}{'half':>10}   ms per batch")
    for batch in args.batches:
        whole = {"fp32": 0.0, "half": 0.0}
        for name, (network, inputs) in _networks(torch, args.widths, batch, args.device).items():
            plain = _call(network, inputs)
            wanted = plain().float()
            seconds = {"fp32": time_of(torch, plain, args.repeats)}
            work = _half(torch, network, inputs, args.device)
            difference = float((work().float() - wanted).square().mean().sqrt() / wanted.std())
            seconds["half"] = time_of(torch, work, args.repeats)
            metrics |= {f"{name}_{kind}_b{batch}_ms": 1000 * value for kind, value in seconds.items()}
            metrics[f"{name}_b{batch}_difference"] = difference
            if name in FRAME:
                whole = {kind: whole[kind] + seconds[kind] for kind in whole}
            _say(f"{name}, batch {batch}", seconds, f"rms difference {difference:.2g}")
        metrics |= {f"frames_per_s_{kind}_b{batch}": batch / value for kind, value in whole.items()}
        _say(f"frame, batch {batch}", whole, f"{batch / whole['half']:.0f} frames/s")
    return metrics


def _networks(torch: Any, widths_name: str, batch: int, device: str) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Each network with its inputs, random."""
    from engine.features.pdfgc import BANDS, FRAMES
    from training.networks.pdfgc.appearance import AppearanceEncoder
    from training.networks.pdfgc.audio import AudioEncoder
    from training.networks.pdfgc.config import PRESETS
    from training.networks.pdfgc.generator import Generator
    from training.networks.pdfgc.motion import MotionEncoder

    torch.manual_seed(1)
    widths = PRESETS[widths_name]
    image = torch.rand(batch, 3, widths.encoder_size, widths.encoder_size, device=device) * 2 - 1
    mel = torch.rand(batch, 1, BANDS, FRAMES, device=device)
    latent = torch.randn(batch, widths.latent.total, device=device)
    start = torch.randn(batch, widths.generator.channels[0], widths.start, widths.start, device=device)
    networks: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "appearance": (AppearanceEncoder(widths), (image,)),
        "motion": (MotionEncoder(widths), (image,)),
        "audio": (AudioEncoder(widths), (mel,)),
        "generator": (Generator(widths), (latent, start)),
    }
    return {name: (network.to(device).eval(), inputs) for name, (network, inputs) in networks.items()}


def _call(network: Any, inputs: tuple[Any, ...]) -> Callable[[], Any]:
    """A run that returns the picture, of the generator with its frozen noise, or the first that an encoder says."""
    frozen = (network.frozen_noise(),) if hasattr(network, "frozen_noise") else ()

    def work() -> Any:
        said: Any = network(*inputs, *frozen)
        return said if frozen else said[0]

    return work


def _half(torch: Any, network: Any, inputs: tuple[Any, ...], device: str) -> Callable[[], Any]:
    """The same in half precision, with channels last, as a CUDA graph where there is CUDA. Changes the network."""
    from training.networks.pdfgc.layers import channels_last

    kind = torch.float16 if device == "cuda" else torch.bfloat16
    channels_last(network.to(kind))
    if hasattr(network, "freeze"):
        network.freeze()
    last = torch.channels_last
    turned = tuple(value.to(kind, memory_format=last) if value.ndim == 4 else value.to(kind) for value in inputs)
    work = _call(network, turned)
    return _graph(torch, work) if device == "cuda" else work


def _graph(torch: Any, work: Callable[[], Any]) -> Callable[[], Any]:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        said = work()

    def replay() -> Any:
        graph.replay()
        return said

    return replay


def _cuda_seconds(torch: Any, work: Callable[[], Any], repeats: int) -> float:
    return measure(torch, work, repeats)


def _cpu_seconds(torch: Any, work: Callable[[], Any], repeats: int) -> float:
    work()
    seconds: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _say(name: str, seconds: dict[str, float], words: str) -> None:
    print(f"{name:28}{1000 * seconds['fp32']:14.2f}{1000 * seconds['half']:10.2f}   {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
