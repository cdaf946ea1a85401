"""The networks of a `pdfgc` face: one folder of ONNX files that fit each other.

pdfgc_appearance.onnx   a portrait -> who it is, and a map to begin with
pdfgc_audio.onnx        a window of sound -> lips
pdfgc_bridge.onnx       controls -> lips, expression, eyes, pose (may be missing: then only sound moves the face)
pdfgc_motion.onnx       a picture of a driving face -> expression, eyes, pose (may be missing)
pdfgc_generator.onnx    latent and map -> picture
pdfgc_generator_i420.onnx   the same, its picture coded: what a GPU runs, an eighth of the bytes to fetch (may be missing)
pdfgc.json              {"gains": [lips, expression, eyes, pose]} (may be missing: the published ones)

Here a folder is checked and loaded; `specs` is what each file has to be.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.contract.graph import Graph, GraphSpec, TensorSpec
from engine.contract.motion import CHANNELS
from engine.errors import ModelError
from engine.features.pdfgc import BANDS, FRAMES
from engine.render.pdfgc.latent import EXPRESSION, EYES, LIPS, MOTION, POSE, Gains
from engine.runtime import placement
from engine.runtime.batches import Batches
from engine.runtime.model_file import read_model

CODED: Final = "generator_i420"
OPTIONAL: Final = ("bridge", "motion", CODED)
GAINS: Final = "pdfgc.json"
CURE: Final = "make the folder by ./mien export pdfgc, or from the official files by ./mien export import-pdfgc"


@dataclass(frozen=True, slots=True)
class Sizes:
    """What differs between one set of networks and another.

    Attributes:
        image: px, side of the generated picture.
        seen: px, side of the pictures that the encoders see.
        appearance: length of the appearance feature.
        channels: of the map that the generator begins with.
        side: of that map.
    """

    image: int = 224
    seen: int = 224
    appearance: int = 2048
    channels: int = 512
    side: int = 7


def specs(sizes: Sizes = Sizes()) -> Mapping[str, GraphSpec]:
    """Signatures of the files `pdfgc_NAME.onnx`, by NAME. Pictures are RGB in -1..1."""
    seen = TensorSpec("image", (1, 3, sizes.seen, sizes.seen))
    start = TensorSpec("map", (1, sizes.channels, sizes.side, sizes.side))
    lips, expression, eyes, pose = (
        TensorSpec(name, (1, length))
        for name, length in (("lips", LIPS), ("expression", EXPRESSION), ("eyes", EYES), ("pose", POSE))
    )
    told = (TensorSpec("latent", (1, sizes.appearance + MOTION)), start)
    ends = {
        "appearance": ((seen,), (TensorSpec("feature", (1, sizes.appearance)), start)),
        "audio": ((TensorSpec("mel", (1, 1, BANDS, FRAMES), low=0.0),), (lips,)),
        "bridge": ((TensorSpec("controls", (1, len(CHANNELS))),), (lips, expression, eyes, pose)),
        "motion": ((seen,), (expression, eyes, pose)),
        "generator": (told, (TensorSpec("image", (1, 3, sizes.image, sizes.image)),)),
        CODED: (told, (TensorSpec("i420", (1, sizes.image * 3 // 2, sizes.image), "uint8"),)),
    }
    return {name: GraphSpec(f"pdfgc_{name}", inputs, outputs) for name, (inputs, outputs) in ends.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """The networks of a folder; shared by all faces and sessions of a process."""

    sizes: Sizes
    gains: Gains
    appearance: Graph
    audio: Graph
    generator: Graph
    bridge: Graph | None
    motion: Graph | None

    @classmethod
    def load(cls, folder: Path, threads: int = 1, device: str = placement.CPU) -> "Networks":
        """The networks of a folder, on a device (`engine.runtime.placement`); on a CPU the generator has so many threads.

        Raises:
            ModelError: if a file is missing, damaged or does not fit the others; the line says which and what to do.
            MissingDependency: if ONNX Runtime is not installed.
            DeviceError: if the device cannot be used.
        """
        paths = found(folder)
        driving = {"pdfgc_motion": placement.load(paths["motion"], device)} if "motion" in paths else {}
        return cls.of(folder, shared_graphs(folder, threads, device) | driving)

    @classmethod
    def of(cls, folder: Path, shared: Mapping[str, Graph]) -> "Networks":
        """The networks of a folder of which the large ones are loaded; the bridge, which costs next to nothing, is loaded here.

        Args:
            folder: see `found`.
            shared: by the names of their specs, see `shared_graphs`.

        Raises:
            ModelError, MissingDependency: as `load` does.
        """
        paths = found(folder)
        drawing = CODED if f"pdfgc_{CODED}" in shared else "generator"
        for name in (drawing, "audio", "appearance"):
            if f"pdfgc_{name}" not in shared:
                raise ModelError(f"{paths[name]} does not fit the others: {CURE}")
        graphs = {name.removeprefix("pdfgc_"): graph for name, graph in shared.items()}
        if "bridge" in paths:
            graphs["bridge"] = placement.load(paths["bridge"], placement.CPU)
        appearance, generator = graphs["appearance"], graphs[drawing]
        sizes = _sizes(folder, appearance.spec, generator.spec)
        for name, graph in graphs.items():
            _compare(folder, name, graph.spec, specs(sizes)[name])
        return cls(sizes, gains_of(folder), appearance, graphs["audio"], generator, graphs.get("bridge"), graphs.get("motion"))


def motion_encoder(folder: Path) -> Graph:
    """The motion encoder of a folder alone, on one thread of the CPU, for a camera.

    Raises:
        ModelError: if it is missing, damaged or of another kind.
        MissingDependency: if ONNX Runtime is not installed.
    """
    check_motion_encoder(folder)
    return placement.load(folder / "pdfgc_motion.onnx", placement.CPU)


def check_motion_encoder(folder: Path) -> None:
    """Refuse a motion encoder before it is loaded.

    Raises:
        ModelError: if it is missing, damaged or of another kind.
    """
    spec = read_model(folder / "pdfgc_motion.onnx").spec
    seen = spec.inputs[0].shape[-1] if spec.inputs else 0
    _compare(folder, "motion", spec, specs(Sizes(seen=seen))["motion"])


def shared_graphs(folder: Path, threads: int = 1, device: str = placement.CPU) -> dict[str, Graph]:
    """By the names of their specs, what a picture or a new face is asked of: large, and the same for all sessions of a device.

    Raises:
        ModelError, MissingDependency, DeviceError: as `Networks.load` does.
    """
    paths = found(folder)
    drawing = CODED if CODED in paths and placement.chosen(device).half else "generator"
    return {
        "pdfgc_audio": Batches.of(paths["audio"], device),
        f"pdfgc_{drawing}": Batches.of(paths[drawing], device, threads),
        "pdfgc_appearance": placement.load(paths["appearance"], device),
    }


def found(folder: Path) -> Mapping[str, Path]:
    """The networks' files in a folder, by name; not yet looked into.

    Raises:
        ModelError: if one that is needed is missing.
    """
    if not folder.is_dir():
        raise ModelError(f"there is no folder {folder} of PD-FGC networks: {CURE}")
    paths = {name: folder / f"pdfgc_{name}.onnx" for name in specs()}
    missing = [path for name, path in paths.items() if name not in OPTIONAL and not path.exists()]
    if missing:
        raise ModelError(f"{missing[0]} is missing: {CURE}")
    return {name: path for name, path in paths.items() if path.exists()}


def _sizes(folder: Path, appearance: GraphSpec, generator: GraphSpec) -> Sizes:
    try:
        (seen,), (feature, start) = appearance.inputs, appearance.outputs
        (image,) = generator.outputs
        return Sizes(image.shape[2], seen.shape[2], feature.shape[1], start.shape[1], start.shape[2])
    except (ValueError, IndexError) as error:
        raise ModelError(f"{folder} does not hold PD-FGC networks ({generator.name}, {appearance.name}): {CURE}") from error


def _compare(folder: Path, name: str, spec: GraphSpec, want: GraphSpec) -> None:
    """Refuse a network of another kind, or of other widths than those beside it."""
    for ends in ((want.inputs, spec.inputs), (want.outputs, spec.outputs)):
        shapes = [{tensor.name: tensor.shape for tensor in tensors} for tensors in ends]
        if shapes[0] != shapes[1]:
            raise ModelError(
                f"{folder / f'pdfgc_{name}.onnx'} does not fit the others: expected {_said(shapes[0])}, "
                f"got {_said(shapes[1])}; {CURE}"
            )


def _said(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())


def gains_of(folder: Path) -> Gains:
    """The gains of a folder's latents: the published ones if it says nothing.

    Raises:
        ModelError: if what it says cannot be read.
    """
    path = folder / GAINS
    if not path.exists():
        return Gains()
    try:
        values: Any = json.loads(path.read_text())["gains"]
        return Gains(*(float(value) for value in values))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f'{path} should hold {{"gains": [lips, expression, eyes, pose]}} ({error}): {CURE}') from error
