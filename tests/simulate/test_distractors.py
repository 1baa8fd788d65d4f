from __future__ import annotations

import numpy as np
import pytest

from spurgekit.simulate.distractors import HEIGHTS_M, KINDS, SIZES_M, Kind, paint_distractor

GSD_M = 0.0125


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_it_is_as_large_as_such_things_are(kind: Kind, seed: int) -> None:
    rgb = np.full((160, 160, 3), 118, np.uint8)
    paint_distractor(rgb, kind, 80.0, 80.0, GSD_M, np.random.default_rng(seed))
    rows, cols = np.nonzero((rgb != 118).any(axis=2))
    width_m, height_m = (np.ptp(rows) + 1) * GSD_M, (np.ptp(cols) + 1) * GSD_M
    smallest, largest = SIZES_M[kind]
    for length_m in (width_m, height_m):
        assert 0.7 * smallest < length_m < 1.4 * largest + HEIGHTS_M[kind]
    level = rgb[75:85, 75:85].mean()
    assert level < 90 if kind == "stump" else level > 100
