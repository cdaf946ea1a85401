"""How the factorial set lies on disk: pictures as JPEG in one file, everything else as arrays.

A shard is a folder: `images.bin` and `offsets.npy` hold the pictures one
after the other, `NAME.npy` the arrays, one row a picture (or a clip).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthesis.errors import SynthesisError

QUALITY: Final = 92
"""Of JPEG; at 224 px its error is 1.5 grey levels."""
Arrays = dict[str, NDArray[Any]]


def encoded(rgb: NDArray[np.uint8], quality: int = QUALITY) -> bytes:
    """A picture uint8[H, W, 3] as JPEG."""
    done, data = cv2.imencode(".jpg", rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()


_REDUCED: Final = ((4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2), (1, cv2.IMREAD_COLOR))


def decoded(data: NDArray[np.uint8], stored: int, size: int) -> NDArray[np.uint8]:
    """uint8[size, size, 3] RGB of a JPEG whose side is `stored` px; a half or a quarter of it costs less than the whole."""
    flag = next((flag for times, flag in _REDUCED if stored >= times * size), cv2.IMREAD_COLOR)
    picture = np.asarray(cv2.imdecode(data, flag), np.uint8)
    if picture.shape[0] != size:
        how = cv2.INTER_AREA if picture.shape[0] > size else cv2.INTER_LINEAR
        picture = np.asarray(cv2.resize(picture, (size, size), interpolation=how), np.uint8)
    return np.ascontiguousarray(picture[:, :, ::-1])


class Images:
    """The pictures of a shard, all of one size; read-only, mapped from the file.

    Raises:
        SynthesisError: if they are not there, or cut short.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._offsets = np.load(folder / "offsets.npy", allow_pickle=False)
            self._data = np.memmap(folder / "images.bin", np.uint8, "r")
        except (OSError, ValueError) as error:
            raise SynthesisError(
                f"{folder} holds no pictures ({error}); make it with: python -m training prepare-factorial"
            ) from error
        if int(self._offsets[-1]) != len(self._data):
            raise SynthesisError(
                f"{folder}/images.bin has {len(self._data)} bytes, not {self._offsets[-1]}: it was cut short; make it again"
            )
        self._size = len(np.asarray(cv2.imdecode(self.bytes(0), cv2.IMREAD_COLOR)))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @property
    def size(self) -> int:
        """Side of the stored pictures in px."""
        return self._size

    def bytes(self, row: int) -> NDArray[np.uint8]:
        """The JPEG of a row."""
        return np.asarray(self._data[self._offsets[row] : self._offsets[row + 1]])

    def read(self, rows: Sequence[int] | NDArray[np.integer], size: int) -> NDArray[np.uint8]:
        """uint8[N, size, size, 3] RGB."""
        return np.stack([decoded(self.bytes(int(row)), self._size, size) for row in rows])


def save_part(path: Path, pictures: Sequence[bytes], arrays: Arrays) -> None:
    """Write what was drawn of one person; it appears whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    sizes = np.array([len(data) for data in pictures], np.int64)
    everything: Any = {**arrays, "images": np.frombuffer(b"".join(pictures), np.uint8), "sizes": sizes}
    with part.open("wb") as file:
        np.savez(file, **everything)
    part.replace(path)


def assemble(folder: Path, parts: Iterable[Path]) -> int:
    """Write the shard of some parts, in their order; `base` (see `plan.Rows`) becomes rows of the shard.

    Returns:
        The rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    blob = folder / "images.bin.part"
    sizes, columns, rows = [np.zeros(1, np.int64)], {}, 0
    with blob.open("wb") as file:
        for path in parts:
            with np.load(path, allow_pickle=False) as part:
                file.write(part["images"].tobytes())
                sizes.append(part["sizes"])
                own = {name: part[name] for name in part.files if name not in ("images", "sizes")}
            if "base" in own:
                own["base"] = np.where(own["base"] >= 0, own["base"] + rows, -1).astype(np.int32)
            rows += len(own["motion"])
            for name, array in own.items():
                columns.setdefault(name, []).append(array)
    for name, arrays in columns.items():
        _put(folder, name, np.concatenate(arrays))
    _put(folder, "offsets", np.cumsum(np.concatenate(sizes)))
    blob.replace(folder / "images.bin")
    return rows


def _put(folder: Path, name: str, array: NDArray[Any]) -> None:
    part = folder / f"{name}.part.npy"
    np.save(part, array, allow_pickle=False)
    part.replace(folder / f"{name}.npy")
