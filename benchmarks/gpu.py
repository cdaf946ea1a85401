"""What is the most this GPU can do? FP16 matrix rate and copy bandwidth, the ceilings that other figures are shares of.

Question: achieved TFLOP/s of an N x N x N FP16 product on random data, and
bytes read plus written per second of a device-to-device copy. Ends: CUDA
events around `repeats` runs after three warm-ups, the median of five rounds.
Contract: the last line printed is one JSON object. Needs torch with CUDA.
"""

import argparse
import importlib
import json
import statistics
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.ceilings import Ceilings


def measure(torch: Any, work: Callable[[], object], repeats: int, rounds: int = 5) -> float:
    """Seconds per call of `work`, median over `rounds`."""
    seconds: list[float] = []
    for _ in range(3):
        work()
    for _ in range(rounds):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(repeats):
            work()
        end.record()
        end.synchronize()
        seconds.append(begin.elapsed_time(end) / 1000 / repeats)
    return statistics.median(seconds)


def torch_with_cuda() -> Any:
    """The module torch, or None and a line on stderr where there is none that sees a GPU."""
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError:
        print("this benchmark needs torch: pip install torch", file=sys.stderr)
        return None
    if not torch.cuda.is_available():
        print("torch sees no CUDA device; run this on the GPU machine", file=sys.stderr)
        return None
    return torch


def ceilings(index: int = 0, side: int = 8192, gigabytes: float = 4.0) -> Ceilings | None:
    """What a GPU can do at most; None where torch sees none."""
    torch = torch_with_cuda()
    if torch is None:
        return None
    with torch.cuda.device(index):
        a, b = (torch.randn(side, side, device="cuda", dtype=torch.float16) for _ in range(2))
        product = measure(torch, lambda: a @ b, 20)
        source = torch.empty(int(gigabytes * 1e9), dtype=torch.uint8, device="cuda").random_()
        target = torch.empty_like(source)
        copy = measure(torch, lambda: target.copy_(source), 5)
    return Ceilings(2 * side**3 / product, 2 * source.numel() / copy)


def main() -> int:
    """Print the ceilings of the first GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=8192, help="N of the matrix product (default 8192)")
    parser.add_argument("--gigabytes", type=float, default=4.0, help="size of the copy (default 4)")
    args = parser.parse_args()
    found = ceilings(0, args.side, args.gigabytes)
    if found is None:
        return 1
    torch: Any = importlib.import_module("torch")
    metrics = {"matrix_tflops": found.flops_per_s / 1e12, "copy_tb_per_s": found.bytes_per_s / 1e12}
    environment = {"device": torch.cuda.get_device_name(0), "torch": torch.__version__, "cuda": torch.version.cuda}
    print(json.dumps({"suite": "gpu", "environment": environment, "settings": vars(args), "metrics": metrics}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
