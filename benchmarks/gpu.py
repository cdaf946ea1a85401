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


def main() -> int:
    """Print the ceilings of the first GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=8192, help="N of the matrix product (default 8192)")
    parser.add_argument("--gigabytes", type=float, default=4.0, help="size of the copy (default 4)")
    args = parser.parse_args()
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError:
        print("this benchmark needs torch: pip install torch", file=sys.stderr)
        return 1
    if not torch.cuda.is_available():
        print("torch sees no CUDA device; run this on the GPU machine", file=sys.stderr)
        return 1
    a, b = (torch.randn(args.side, args.side, device="cuda", dtype=torch.float16) for _ in range(2))
    product = measure(torch, lambda: a @ b, 20)
    source = torch.empty(int(args.gigabytes * 1e9), dtype=torch.uint8, device="cuda").random_()
    target = torch.empty_like(source)
    copy = measure(torch, lambda: target.copy_(source), 5)
    metrics = {"matrix_tflops": 2 * args.side**3 / product / 1e12, "copy_tb_per_s": 2 * source.numel() / copy / 1e12}
    environment = {"device": torch.cuda.get_device_name(0), "torch": torch.__version__, "cuda": torch.version.cuda}
    print(json.dumps({"suite": "gpu", "environment": environment, "settings": vars(args), "metrics": metrics}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
