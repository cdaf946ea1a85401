"""On what a figure was measured: the machine, how busy others keep it, the software, the commit."""

import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("numpy", "numba", "opencv-python-headless", "av", "aiortc", "aiohttp", "uvloop", "playwright")


@dataclass(frozen=True, slots=True)
class Environment:
    """The part that does not change while a suite runs; see `Busy` for the part that does."""

    system: str
    cpu: str
    cores: int
    memory_gb: float
    python: str
    packages: dict[str, str | None]
    commit: str | None
    dirty: bool | None
    codec: str = ""
    browser: str = ""

    @classmethod
    def here(cls, codec: str = "", browser: str = "") -> "Environment":
        """Of this machine and this checkout."""
        commit = _git("rev-parse", "HEAD")
        status = _git("status", "--porcelain", "--untracked-files=no")
        return cls(
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            cpu=_cpu_model(),
            cores=_cores(),
            memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
            python=platform.python_version(),
            packages={name: _version(name) for name in PACKAGES},
            commit=commit,
            dirty=None if status is None else bool(status),
            codec=codec,
            browser=browser,
        )

    def as_json(self) -> dict[str, object]:
        """As it stands in the output contract."""
        return asdict(self)


class Busy:
    """How busy the machine was between two instants: what others took, and what the hypervisor stole."""

    def __init__(self) -> None:
        self._began = _ticks()
        self._own = own_cpu_s()
        self._load = os.getloadavg()[0]

    def summary(self) -> dict[str, float]:
        """`load_before`, `load_after` (1 minute), `steal` and `idle` as shares of all cores' time since the start."""
        now = _ticks()
        total = sum(now.values()) - sum(self._began.values()) or 1.0
        share = {name: (now[name] - self._began.get(name, 0.0)) / total for name in now}
        return {
            "load_before": round(self._load, 2),
            "load_after": round(os.getloadavg()[0], 2),
            "steal": round(share.get("steal", 0.0), 4),
            "idle": round(share.get("idle", 0.0), 4),
        }

    def own_cpu_s(self) -> float:
        """CPU seconds that this process and its children took since the start."""
        return own_cpu_s() - self._own


def own_cpu_s() -> float:
    """CPU seconds of this process and of all children that still run."""
    total = 0.0
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def resident_mb() -> float:
    """Memory of this process and its children in MB: proportional where the system tells, else resident."""
    total = 0.0
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        try:
            total += _memory_mb(process)
        except psutil.Error:
            continue
    return total


def _memory_mb(process: psutil.Process) -> float:
    if sys.platform == "linux":
        full = process.memory_full_info()
        return getattr(full, "pss", full.rss) / 2**20
    return process.memory_info().rss / 2**20


def _ticks() -> dict[str, float]:
    times = psutil.cpu_times()
    return {name: float(getattr(times, name)) for name in times._fields if name not in ("guest", "guest_nice")}


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
