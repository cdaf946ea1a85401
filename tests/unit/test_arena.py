import gc
import os

import numpy as np

from streaming.worker.arena import LARGEST, SLOTS, Arena
from streaming.worker.options import PLACES


def test_both_sides_see_the_same_pictures() -> None:
    ours = Arena()
    theirs = Arena(os.dup(ours.descriptor))
    theirs.picture(3, 5, 256)[:] = 77
    assert (ours.picture(3, 5, 256) == 77).all()
    assert not ours.picture(3, 6, 256).any()
    assert not ours.picture(2, 5, 256).any()
    ours.close()
    theirs.close()


def test_pictures_of_all_places_and_slots_lie_apart() -> None:
    arena = Arena()
    places = [(0, 0), (0, SLOTS - 1), (1, 0), (PLACES, SLOTS - 1)]
    for value, (place, slot) in enumerate(places, start=1):
        arena.picture(place, slot, LARGEST)[:] = value
    for value, (place, slot) in enumerate(places, start=1):
        assert (arena.picture(place, slot, LARGEST) == value).all()
    arena.close()


def test_a_picture_is_i420_in_place() -> None:
    arena = Arena()
    picture = arena.picture(0, SLOTS + 1, 384)
    assert picture.shape == (576, 384)
    assert picture.flags.c_contiguous
    assert np.shares_memory(picture, arena.picture(0, 1, 384))
    arena.close()


def test_a_closed_arena_keeps_what_is_still_looked_at() -> None:
    arena = Arena()
    picture = arena.picture(0, 0, 256)
    picture[:] = 9
    arena.close()
    arena.close()
    del arena
    gc.collect()
    assert (picture == 9).all()
