"""Faces drawn by the mesh renderer under known controls, with exact labels, from the portraits of the stills.

Each still has the same number of rows, in a fixed order; a row whose `split`
is empty is not drawn yet, or its photo could not be enrolled. The first row of
each person is the portrait at rest.
"""

import json
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import HIGHEST_PROTOCOL, dumps
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.contract.motion import CHANNELS
from engine.enrol.build import build_avatar
from engine.enrol.framing import Framed, frame_face
from engine.enrol.photo import LOCAL, decode_photo
from engine.errors import MienError
from engine.face.crop import cut, face_square, into
from engine.render.mesh import Canvas
from engine.render.scene import scene_of
from engine.rig.avatar import FRAME, Avatar
from training.data.prepare import Clip, Progress
from training.tracker.data import CROP, REACH
from training.tracker.exact import Drawn, freed, reached
from training.tracker.looking import teacher
from training.tracker.moves import random_controls
from training.tracker.occluders import texture
from training.tracker.pool import mapped
from training.tracker.shards import put

DRAWING: Final = 1
"""Version of this step."""
SIZE: Final = 448  # px, side of the pictures that are drawn
TESTED: Final = 80  # people of the test split that are drawn
_ELSEWHERE: Final = 1 / 3  # share of renders with another background
_STILL: Final = 4.0  # of 255: where the background differs less from the photo, the photo itself shows
_LARGE: Final = ("landmarks", "motion", "asked", "depth")

Still = tuple[Path, str, str]
"""Photo, person, split."""


@dataclass(frozen=True, slots=True)
class Task:
    """One person to draw: rows `first`..`first + count` of the shard in `folder`."""

    photo: Path
    folder: Path
    first: int
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What was drawn of one person, arrays as in `Shard`; or why nothing was."""

    task: Task
    arrays: dict[str, NDArray[np.float32]]
    trouble: str = ""


def draw_all(stills: Sequence[Still], folder: Path, count: int, processes: int) -> dict[str, Any]:
    """Draw about `count` renders of the stills' people; goes on where an earlier call stopped.

    Returns:
        For the report: rows by split, and people that could not be enrolled, by reason.
    """
    chosen = _chosen(stills)
    each = -(-count // len(chosen))
    shard = _begin(chosen, folder, each)
    tasks = [Task(still[0], folder, i * each, each) for i, still in enumerate(chosen) if not shard.known(i * each)]
    progress = Progress("drawing", len(tasks))
    split = {i * each: still[2] for i, still in enumerate(chosen)}
    for rows in mapped(_draw, tasks, processes):
        shard.take(rows, split[rows.task.first])
        name = rows.task.photo.stem
        progress.step(Clip(rows.task.photo, rows.task.photo.parent.name, name, name), rows.trouble)
    reasons = Counter(line.split(";")[0] for line in shard.refused.values())
    return {"each": each, "people": len(chosen), "refused": reasons, "rows": Counter(shard.split.tolist())}


def _chosen(stills: Sequence[Still]) -> list[Still]:
    """Everybody of train and validation and some of test, in an order that mixes sources and splits."""
    order = sorted(stills, key=lambda still: zlib.crc32(still[1].encode()))
    tested = [still for still in order if still[2] == "test"][:TESTED]
    return [still for still in order if still[2] != "test" or still in tested]


class _Drawing:
    """The arrays of a shard that fills up."""

    def __init__(self, folder: Path, rows: int) -> None:
        self._folder = folder
        self._arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in _LARGE}
        self.split = np.load(folder / "split.npy")
        self.refused: dict[str, str] = json.loads((folder / "refused.json").read_text())
        if len(self.split) != rows:
            raise ValueError(f"{folder}: {len(self.split)} rows, {rows} expected")

    def known(self, first: int) -> bool:
        """Whether a person was drawn or refused."""
        return bool(self.split[first]) or str(first) in self.refused

    def take(self, rows: Rows, split: str) -> None:
        """Keep what was drawn of one person."""
        first, last = rows.task.first, rows.task.first + rows.task.count
        if rows.trouble:
            self.refused[str(first)] = rows.trouble
            (self._folder / "refused.json").write_text(json.dumps(self.refused))
            return
        for name, array in rows.arrays.items():
            self._arrays[name][first:last] = array
            self._arrays[name].flush()
        self.split[first:last] = split
        put(self._folder, split=self.split)


def _begin(chosen: Sequence[Still], folder: Path, each: int) -> _Drawing:
    """The shard as it is, or a new one if another was asked for."""
    rows = len(chosen) * each
    plan = {"version": DRAWING, "each": each, "people": [person for _, person, _ in chosen]}
    noted = folder / "plan.json"
    if not noted.exists() or json.loads(noted.read_text()) != plan:
        shapes = {"landmarks": (478, 3), "motion": (len(CHANNELS),), "asked": (len(CHANNELS),), "depth": (478,)}
        folder.mkdir(parents=True, exist_ok=True)
        for name, shape in shapes.items():
            np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, (rows, *shape))
        np.lib.format.open_memmap(folder / "crops.npy", "w+", np.uint8, (rows, CROP, CROP, 3))
        put(
            folder,
            people=np.repeat(np.array([person for _, person, _ in chosen]), each),
            source=np.array([f"{path.parent.name}/{path.name}#{i}" for path, _, _ in chosen for i in range(each)]),
            split=np.full(rows, "", "U10"),
            score=np.ones(rows, np.float32),
        )
        (folder / "refused.json").write_text("{}")
        noted.write_text(json.dumps(plan))
    return _Drawing(folder, rows)


def _draw(task: Task) -> Rows:
    try:
        framed = frame_face(decode_photo(task.photo.read_bytes(), LOCAL), teacher())
        avatar = build_avatar(framed.crop, framed.landmarks, framed.matte)
    except MienError as error:
        return Rows(task, {}, str(error))
    kept = task.folder.parent / ".avatars" / f"{task.photo.stem}.pickle.z"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(zlib.compress(dumps(avatar, HIGHEST_PROTOCOL), 1))
    crops = np.lib.format.open_memmap(task.folder / "crops.npy", "r+")
    arrays = draw_person(avatar, framed, task.count, zlib.crc32(task.photo.stem.encode()), crops[task.first :])
    crops.flush()
    return Rows(task, arrays)


def draw_person(
    avatar: Avatar, framed: Framed, count: int, seed: int, crops: NDArray[np.uint8]
) -> dict[str, NDArray[np.float32]]:
    """`count` pictures of a portrait, written to the first rows of `crops`; the other arrays of the shard are returned."""
    rng = np.random.default_rng(seed)
    free = freed(avatar)
    elsewhere = replace(free, background=other_background(framed, avatar, rng))
    canvases = [Drawn(one, Canvas(scene_of(one, SIZE))) for one in (free, elsewhere)]
    asked = np.stack([random_controls(rng, avatar.rotation_limit_deg[0]) for _ in range(count)])
    asked[0] = 0
    landmarks, depth = np.empty((count, 478, 3), np.float32), np.empty((count, 478), np.float32)
    for i in range(count):
        picture, points, drawn = canvases[int(rng.random() < _ELSEWHERE) if i else 0].draw(asked[i])
        matrix = face_square(points, REACH, CROP)
        crops[i] = cut(picture, matrix, CROP)
        landmarks[i] = into(points, matrix)
        depth[i] = drawn * np.hypot(matrix[0, 0], matrix[0, 1])
    motion = np.stack([reached(free, values) for values in asked])
    return {"landmarks": landmarks, "motion": motion, "asked": asked, "depth": depth}


def other_background(framed: Framed, avatar: Avatar, rng: np.random.Generator) -> NDArray[np.uint8]:
    """uint8[FRAME, FRAME, 3]: a texture, and before it what is drawn of the person without ever moving."""
    difference = np.abs(avatar.background.astype(np.float32) - framed.crop).mean(-1)
    still = (cv2.blur(difference, (5, 5)) < _STILL).astype(np.float32) * framed.matte
    share = np.asarray(cv2.GaussianBlur(still, (0, 0), 1.5), np.float32)[..., None]
    behind = np.asarray(cv2.GaussianBlur(texture(rng, FRAME), (0, 0), float(rng.uniform(0.5, 12))), np.float32)
    return np.asarray(np.clip(avatar.background * share + behind * (1 - share), 0, 255), np.uint8)
