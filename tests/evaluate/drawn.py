"""Predictions drawn by hand or by chance, for the tests of what is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

CLASSES = ("sand", "weed")


def table(
    tiles: Sequence[tuple[str, int, float]], *, arm: str = "plain", n: int = 1, trial: int = 0, fold: str = "test"
) -> pd.DataFrame:
    """One cell of two classes from (place, class, probability of weed) of each tile."""
    place, target, p1 = zip(*tiles, strict=True)
    weed = np.array(p1, np.float32)
    ids = [f"{fold}{number}" for number in range(len(tiles))]
    return pd.DataFrame(
        {"arm": arm, "n": n, "trial": trial, "fold": fold, "tile_id": ids, "place": place, "target": target}
    ).assign(p0=1 - weed, p1=weed)


def simulated(
    arms: Mapping[str, float],
    *,
    trials: int,
    places: int,
    tiles: int,
    sd_trials: float,
    sd_places: float,
    shots: Sequence[int] = (1,),
    paired: bool = True,
    seed: int = 0,
) -> pd.DataFrame:
    """Predictions that are right with a known probability: that of the arm, plus what is drawn of each trial and each place.

    The expected balanced accuracy of an arm is its own probability, as trials and places are drawn about 0 and every place has
    as many tiles of each class. Paired arms share trials and places, others have their own.
    """
    rng = np.random.default_rng(seed)
    tile = np.arange(places * tiles)
    rows = pd.DataFrame({"tile_id": [f"tile {i}" for i in tile], "place": [f"place {i}" for i in tile // tiles]})
    rows["target"] = tile % 2
    reach = np.sqrt(3)  # of a uniform distribution of standard deviation 1
    found = []
    for n in shots:
        draws = rng.uniform(-reach, reach, (1 if paired else len(arms), trials + places))
        for number, (arm, expected) in enumerate(arms.items()):
            draw = draws[0 if paired else number]
            chance = expected + sd_trials * draw[:trials, None] + sd_places * draw[trials:][tile // tiles]
            right = rng.random(chance.shape) < chance
            weed = np.where(right == (tile % 2 == 1), 0.75, 0.25).astype(np.float32).ravel()
            cells = pd.concat([rows] * trials, ignore_index=True)
            cells = cells.assign(arm=arm, n=n, trial=np.repeat(np.arange(trials), len(tile)), fold="test")
            found.append(cells.assign(p0=1 - weed, p1=weed))
    return pd.concat(found, ignore_index=True)
