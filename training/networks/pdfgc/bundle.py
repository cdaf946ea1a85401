"""PD-FGC's trained networks as one file: safetensors, the widths in its metadata.

Keys are those of `training.pdfgc.networks.Networks`: appearance.*, motion.*, audio.*, generator.*.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised
from torch import Tensor

from engine.errors import ModelError
from training.networks.pdfgc.config import Widths

KEY: Final = "mien.pdfgc"
"""Name of the metadata entry."""


def save(path: Path, widths: Widths, weights: Mapping[str, Tensor]) -> None:
    """Write the file; it appears whole.

    Raises:
        ModelError: if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_bytes(
            serialised({key: value.contiguous() for key, value in weights.items()}, {KEY: json.dumps(widths.as_json())})
        )
        part.replace(path)
    except OSError as error:
        raise ModelError(f"cannot write {path} ({error.strerror}): is the disk full, the folder one of yours?") from error


def load(path: Path) -> tuple[Widths, dict[str, Tensor]]:
    """Widths and weights of a file.

    Raises:
        ModelError: if it is missing, damaged or of another kind.
    """
    try:
        with safe_open(path, "pt") as file:
            widths = Widths.from_json(json.loads((file.metadata() or {})[KEY]))
            return widths, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no dict
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read ({error}): write it by ./mien export pdfgc, or import-pdfgc") from error
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path} holds no PD-FGC networks ({error}): write it by ./mien export pdfgc") from error
