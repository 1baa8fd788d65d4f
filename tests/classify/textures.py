"""Tiles that can be told apart by their texture, whichever way they are turned: dots at a distance of 4, 16 or 8 px."""

from __future__ import annotations

import numpy as np

from spurgekit.classify.training.finetune import FinetuneTiles

SIDE = 32


def noise(rng, count):
    """Draw ``count`` tiles of grey noise that are all alike: uint8 [count, 3, 32, 32]."""
    return rng.integers(60, 200, (count, 3, SIDE, SIDE)).astype(np.uint8)


def dots(rng, count, period):
    """Draw ``count`` tiles of soft dots and some noise: uint8 [count, 3, 32, 32]."""
    wave = np.cos(2 * np.pi * (np.arange(SIDE) - (SIDE - 1) / 2) / period)
    return (130 + 40 * (wave[:, None] + wave) + rng.integers(-40, 40, (count, 3, SIDE, SIDE))).astype(np.uint8)


def textures(shots, *, seed=0, name="tile", classes=2, **more):
    """Tiles of 2 or 3 classes, ``shots`` of each."""
    rng = np.random.default_rng(seed)
    pixels = np.concatenate([dots(rng, shots, period) for period in (4, 16, 8)[:classes]])
    targets = np.repeat(np.eye(classes, dtype=np.float32), shots, axis=0)
    return FinetuneTiles(pixels, targets, [f"{name}{i}" for i in range(len(pixels))], **more)
