from __future__ import annotations

import numpy as np

from spurgekit.simulate.scene import draw_scene, mosaic_outline


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_nothing_but_grass_grows_where_something_was_laid() -> None:
    clear = [(100.0, 100.0, 40.0), (300.0, 200.0, 60.0)]
    rows, cols = np.indices((400, 400)) + 0.5
    discs = np.any([np.hypot(cols - col, rows - row) < radius - 2 for col, row, radius in clear], axis=0)
    overgrown = draw_scene(400, 0.0125, 0.5, rng())
    cleared = draw_scene(400, 0.0125, 0.5, rng(), clear=clear)
    assert overgrown.weed[discs].any()
    assert not cleared.weed[discs].any()
    yellow = cleared.rgb[..., 1].astype(float) - cleared.rgb[..., 2]
    assert yellow[cleared.weed].mean() > yellow[discs].mean() + 10


def test_without_an_outline_all_of_it_is_valid() -> None:
    assert draw_scene(256, 0.0125, 0.1, rng()).valid.all()


def test_weed_stays_inside_the_outline() -> None:
    outline = mosaic_outline(rng(), 400)
    scene = draw_scene(400, 0.0125, 0.3, rng(), valid=outline)
    assert np.array_equal(scene.valid, outline)
    assert not scene.weed[~outline].any()
    assert 0.06 < np.mean(~outline) < 0.18
