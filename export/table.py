"""All networks that can be exported, one row each; a new one is a new row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from engine.errors import ModelError
from engine.runtime.model_file import file_name
from export import default_style, pdfgc, shipped
from export.files import Network
from export.probes import MODELS, Probes, drawn, faces, spoken
from export.restore import restored

PUBLISHED: Final = Path("out/networks")
"""Where files go that are made of what ships."""


@dataclass(frozen=True, slots=True)
class Row:
    """A network, where its weights come from, and where its files go.

    Attributes:
        name: "face-eyes"; its files are called by the name of its signature, "face_eyes".
        group: a word that names several rows.
        what: it is, in words.
        of: the network with the weights of a run folder, or, of None, blank (or with weights that are given by rule).
        ships: its own file holds its weights, where no run is given.
        source: folder of its weights where no run is given and it does not ship; None: `of(None)` has them.
        folder: where the file of a run goes.
        stored_in_half: in float32 files that ship.
        probes: inputs on which it is judged.
        beside: writes what belongs to it besides, of a run folder (or `source`) into a folder.
    """

    name: str
    group: str
    what: str
    of: Callable[[Path | None], Network]
    ships: bool = True
    source: Path | None = None
    folder: Path = MODELS
    stored_in_half: bool = False
    probes: Probes = drawn
    beside: Callable[[Path, Path], None] | None = None

    def open(self, run: Path | None) -> Network:
        """The network with its weights.

        Raises:
            ModelError: if there are none.
        """
        if run is None and self.ships:
            blank = self.of(None)
            return restored(blank, MODELS / file_name(blank.spec.name), self.probes(blank.spec, 2))
        return self.of(run or self.source)

    def has_weights(self) -> bool:
        """Whether it can be opened without a run."""
        return self.source is None or (self.source / pdfgc.BUNDLE).exists()


def _pdfgc(name: str, what: str, beside: Callable[[Path, Path], None] | None = None) -> Row:
    def of(source: Path | None) -> Network:
        if source is None:
            raise ModelError(f"pdfgc-{name} has no weights of its own: give a run or a folder of networks (--run)")
        return pdfgc.part(name, source)

    return Row(f"pdfgc-{name}", "pdfgc", what, of, ships=False, source=pdfgc.FOLDER, folder=pdfgc.FOLDER, beside=beside)


ROWS: Final = (
    Row("voice", "", "sound to the mouth, a step of 20 ms", shipped.voice, probes=spoken),
    Row("head", "head", "sound to the head's motion, a step of 20 ms", shipped.head_step, probes=spoken),
    Row("head-style", "head", "a reference to its style", shipped.head_style, beside=default_style.write),
    Row("face-detect", "face", "the face detector", shipped.face_detect, probes=faces),
    Row("face-landmarks", "face", "the face mesh", shipped.face_landmarks, stored_in_half=True, probes=faces),
    Row("face-eyes", "face", "the closer look at both eyes", shipped.face_eyes, stored_in_half=True, probes=faces),
    Row("face-lips", "face", "the closer look at the mouth", shipped.face_lips, stored_in_half=True, probes=faces),
    Row("face-matte", "face", "the person matte", shipped.face_matte, stored_in_half=True, probes=faces),
    _pdfgc("appearance", "PD-FGC: a portrait to who it is", pdfgc.beside),
    _pdfgc("audio", "PD-FGC: sound to lips"),
    _pdfgc("motion", "PD-FGC: a driving picture to its motion"),
    _pdfgc("generator", "PD-FGC: latent to picture"),
    replace(_pdfgc("generator-i420", "PD-FGC: latent to picture, as encoders take it"), group=""),
    Row("pdfgc-bridge", "", "PD-FGC: controls to latents", pdfgc.bridge, ships=False, folder=pdfgc.FOLDER),
)


def rows_of(name: str) -> Sequence[Row]:
    """The rows that a word names: all, a group's, or one; none if it is unknown."""
    return [row for row in ROWS if name in ("all", row.name, row.group)]
