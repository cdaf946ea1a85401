"""TensorRT's engines: built from a network's file at its first use, kept in the user's cache.

One text serves `tensorrt` and `tensorrt_rtx`, which have the same API. Networks
are strongly typed: what is computed in FP16 stands in the ONNX file, and no
precision is asked for here. `tensorrt_rtx` builds without a GPU.

An engine is a program. It is read from nowhere but the cache, a folder of the
user's own (0700) in which every file carries its SHA-256; a damaged one is
built again. Its name is that of what it was built from and for: network, GPU,
driver, library, versions.
"""

import hashlib
import importlib
import logging
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from engine.errors import DeviceError, MissingDependency, OutOfDeviceMemory
from engine.runtime.cuda import is_out_of_memory
from engine.runtime.model_file import ModelFile

log = logging.getLogger(__name__)

LIBRARIES: Final = ("tensorrt", "tensorrt_rtx")
"""In the order of preference: the second's engines are finished by a compiler on the user's machine."""
INSTALL: Final = "python -m pip install tensorrt-rtx"
_MAGIC: Final = b"mien engine 1\n"

Progress = Callable[[str, float], None]
"""Told a network's name and what share of its engine is built, 0..1."""


def silent(_name: str, _share: float) -> None:
    """Nobody is told."""


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """One of `LIBRARIES`, loaded. Get one by `library`.

    Attributes:
        name: of the module.
        version: "1.7.1.116".
        cuda: the major version of CUDA that it was made for, 0 if it does not say.
        module: the module.
        log: what it complained of.
    """

    name: str
    version: str
    cuda: int
    module: Any
    log: Any

    def failure(self, what: str) -> DeviceError:
        """The error that stands for what the library complained of last."""
        words = self.log.taken()
        if is_out_of_memory(words):
            return OutOfDeviceMemory(f"{what}: the GPU's memory is full ({words}); end what uses it, or use --device cpu")
        return DeviceError(f"{what}: {self.name} {self.version} says {words or 'nothing'}; mien doctor tells more")


@cache
def library() -> Library:
    """The TensorRT that is installed.

    Raises:
        MissingDependency: if there is none, or it cannot be loaded.
    """
    broken: list[str] = []
    for name in LIBRARIES:
        try:
            module: Any = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        except Exception as error:  # whatever a half-installed library does
            broken.append(f"{name} cannot be loaded ({_line(error)})")
            continue
        return Library(name, str(module.__version__), _cuda_of(name), module, _log_of(module))
    if broken:
        raise MissingDependency(f"{'; '.join(broken)}: python -m pip install --force-reinstall {LIBRARIES[-1]}")
    raise MissingDependency(f"neither {' nor '.join(LIBRARIES)} is installed: {INSTALL}")


def build(
    model: ModelFile, using: Library, progress: Progress = silent, timing: bytes = b"", target: str = ""
) -> tuple[bytes, bytes]:
    """The engine of a network, and the timing cache as it is then (empty for `tensorrt_rtx`).

    Args:
        model: the network.
        using: what builds.
        progress: told how far it is.
        timing: the cache that an earlier building gave.
        target: a member of the `ComputeCapability` of `tensorrt_rtx`; by default the library's own choice.

    Raises:
        DeviceError: if the library does not understand the network, or cannot build it.
    """
    trt, name = using.module, model.spec.name
    using.log.taken()
    builder = trt.Builder(using.log)
    typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)  # in TensorRT 11 there are no others
    network = builder.create_network(0 if typed is None else 1 << int(typed))
    parser = trt.OnnxParser(network, using.log)
    if not parser.parse(model.data):
        why = parser.get_error(0).desc() if parser.num_errors else using.log.taken()
        raise DeviceError(f"{model.path} is nothing for {using.name} {using.version} ({_line(why)}); use --device cpu")
    config = builder.create_builder_config()
    config.progress_monitor = _monitor_of(trt, lambda share: progress(name, share))
    if target:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(using.module.ComputeCapability, target), 0)
    kept = _timing_cache(config, timing) if using.name == "tensorrt" else None  # the other's do nothing
    built = builder.build_serialized_network(network, config)
    if built is None:
        raise using.failure(f"no engine could be built of {model.path}")
    progress(name, 1.0)
    return bytes(built), b"" if kept is None else bytes(kept.serialize())


class Cache:
    """Files of the user's own that only mien writes and reads.

    Args:
        folder: made if need be; by default `mien/engines` in the user's cache.

    Raises:
        DeviceError: if others may write there.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mien" / "engines"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            held = self.folder.lstat()
            if held.st_uid != os.geteuid() or not stat.S_ISDIR(held.st_mode):
                raise DeviceError(f"{self.folder} is not your own folder, and engines are programs: remove it")
            if held.st_mode & 0o077:
                self.folder.chmod(0o700)
        except OSError as error:
            raise DeviceError(f"engines cannot be kept in {self.folder} ({error.strerror}): set XDG_CACHE_HOME") from error

    def read(self, name: str) -> bytes | None:
        """What was kept under a name; None if nothing was, or it was damaged since."""
        path = self.folder / name
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DeviceError(f"{path} cannot be read ({error.strerror}): remove it") from error
        kept = data[len(_MAGIC) + 32 :]
        if data == _MAGIC + hashlib.sha256(kept).digest() + kept:
            return kept
        log.warning("%s is damaged and will be made again", path)
        self.forget(name)
        return None

    def write(self, name: str, data: bytes) -> None:
        """Keep something, whole or not at all; a full disk is no misfortune."""
        path = self.folder / f".{name}.{os.getpid()}"
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(_MAGIC + hashlib.sha256(data).digest() + data)
            path.replace(self.folder / name)
        except OSError as error:
            log.warning("%s cannot be kept, so it is made at every start (%s)", self.folder / name, error.strerror)
            with suppress(OSError):
                path.unlink()

    def forget(self, name: str) -> None:
        """Remove what is kept under a name, if anything is."""
        with suppress(OSError):
            (self.folder / name).unlink()


def digest(*parts: object) -> str:
    """A name that no other parts have."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:40]


def _timing_cache(config: Any, held: bytes) -> Any:
    kept = config.create_timing_cache(held)
    config.set_timing_cache(kept, ignore_mismatch=False)
    return kept


def _cuda_of(name: str) -> int:
    """The CUDA that a library was made for, by the names of its packages: tensorrt_rtx_cu13."""
    for major in (14, 13, 12):
        with suppress(metadata.PackageNotFoundError):
            metadata.version(f"{name}_cu{major}")
            return major
    return 0


def _log_of(trt: Any) -> Any:
    """A logger that keeps the first error, which says the cause; those after it are consequences."""

    class Log(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self._first = ""

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self._first = self._first or _line(message)

        def taken(self) -> str:
            first, self._first = self._first, ""
            return first

    return Log()


def _monitor_of(trt: Any, report: Callable[[float], None]) -> Any:
    """What the builder tells its progress: phases within phases, each of so many steps."""

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._phases: dict[str, tuple[int, int]] = {}  # steps done, and all; outermost first
            self._share = 0.0

        def phase_start(self, name: str, _parent: str | None, steps: int) -> None:
            self._phases[name] = (0, max(int(steps), 1))

        def step_complete(self, name: str, step: int) -> bool:
            if name in self._phases:
                self._phases[name] = (int(step) + 1, self._phases[name][1])
            share, part = 0.0, 1.0
            for done, steps in list(self._phases.values()):
                share, part = share + part * done / steps, part / steps
            self._share = max(self._share, min(share, 1.0))  # a phase may be gone through twice
            report(self._share)
            return True

        def phase_finish(self, name: str) -> None:
            self._phases.pop(name, None)

    return Monitor()


def _line(error: object) -> str:
    return " ".join(str(error).split())[:300]
