"""Tiles that can be told apart by their texture alone, whichever way they are turned: fine grain and coarse grain."""

from __future__ import annotations

import numpy as np

from spurgekit.classify.tune import TuneTiles

SIDE = 32


def grain(rng, count, blocks):
    """Draw ``count`` tiles of grey squares of ``blocks`` px: uint8 [count, 3, 32, 32]."""
    n = SIDE // blocks
    return np.kron(rng.integers(60, 200, (count, 3, n, n)), np.ones((blocks, blocks))).astype(np.uint8)


def textures(shots, *, seed=0, name="tile", classes=2, **more):
    """Tiles of 2 or 3 grains, ``shots`` of each class."""
    rng = np.random.default_rng(seed)
    pixels = np.concatenate([grain(rng, shots, blocks) for blocks in (1, 8, 4)[:classes]])
    targets = np.repeat(np.eye(classes, dtype=np.float32), shots, axis=0)
    return TuneTiles(pixels, targets, [f"{name}{i}" for i in range(len(pixels))], **more)
