"""What the reference answered, and the shapes of the networks that it filled by `training.networks.pdfgc.ruled`."""

import json
from pathlib import Path
from typing import Final

DATA: Final = Path(__file__).parent / "data" / "pdfgc"
NETWORKS: Final = ("net_appearance", "net_motion", "net_audio", "net_generator")


def published_shapes(network: str) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of a published checkpoint."""
    found: dict[str, list[int]] = json.loads((DATA / "manifest.json").read_text())[network]
    return {key: tuple(shape) for key, shape in found.items()}
