import numpy as np

from engine.enrol.fill import continue_outwards, fill_smooth, guided


def test_a_fill_keeps_what_is_known_and_invents_nothing_new() -> None:
    image = np.full((64, 64, 3), 90, np.float32)
    image[:, 32:] = 150
    hole = np.zeros((64, 64), bool)
    hole[20:44, 20:44] = True
    for filled in (fill_smooth(image, (~hole).astype(np.float32)), continue_outwards(image, hole, 10.0)):
        np.testing.assert_allclose(filled[~hole], image[~hole], atol=0.01)
        assert filled[hole].min() >= 89.9
        assert filled[hole].max() <= 150.1


def test_a_hole_is_continued_with_its_neighbours_grain() -> None:
    image = np.random.default_rng(0).normal(120, 12, (96, 96, 3)).astype(np.float32)
    hole = np.zeros((96, 96), bool)
    hole[:, 40:] = True
    filled = continue_outwards(image, hole, 20.0)
    assert filled[:, 41:46].std() > 6  # as rough as the photo beside the hole
    assert filled[:, 88:].std() < 3  # smooth deep inside


def test_no_hole_changes_nothing() -> None:
    image = np.random.default_rng(1).uniform(0, 255, (16, 16, 3)).astype(np.float32)
    np.testing.assert_array_equal(continue_outwards(image, np.zeros((16, 16), bool), 10.0), image)


def test_a_guided_filter_keeps_the_guide_s_edge() -> None:
    guide = np.zeros((40, 40), np.float32)
    guide[:, 20:] = 200
    rough = (guide / 200 + np.random.default_rng(2).normal(0, 0.1, guide.shape)).astype(np.float32)
    smooth = guided(guide, rough, 4, 60.0)
    assert abs(smooth[:, 20:].mean() - 1) < 0.05
    assert smooth[20, 21] - smooth[20, 18] > 0.7
