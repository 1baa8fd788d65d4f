"""What synthetic tiles are like, beside real ones: how near to them, how true to their labels, how unlike each other.

A gain or a loss is then no riddle: tiles that do not look real, tiles that show another class than they are called, and tiles
that are all the same teach a classifier different wrong things. All of it is seen with the classifier's own backbone, and on
the training side alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from sklearn.model_selection import GroupKFold

from spurgekit.augment.manifest import labels, read_manifest
from spurgekit.classify.arms import parse_arm
from spurgekit.classify.features import FeatureStore
from spurgekit.classify.probe import Array, Probe
from spurgekit.classify.probe_samples import SupportSet, probe_unit, tile_features
from spurgekit.classify.setup import Setup
from spurgekit.dataset.folds import Fold
from spurgekit.pretrain.fidelity import kernel_distance
from spurgekit.seeds import seed_of

MADE_TILES = "made_tiles.csv"
COLUMNS = ("tiles", "images", "kid", "kid_low", "kid_high", "as_labelled", "moved", "spread")
"""Of ``made_tiles.csv``, a row for the real tiles and one for each folder; see :func:`describe_made_tiles`."""

REAL = "real"
JUDGE = parse_arm("probe")
FOLDS = 5
"""Parts of the places, each judged by a classifier that learned from the others."""

MOST = 256
"""Images of a folder that are looked at, all that were made of a tile for a support set together."""

LEAST = 4
"""Tiles of a class between which there is a distance of sets."""


def describe_made_tiles(
    setup: Setup, folders: Mapping[str, Path], folds: Sequence[Fold], classes: Sequence[str]
) -> pd.DataFrame:
    """Describe folders of synthetic tiles in the features of a backbone.

    Parameters
    ----------
    setup : Setup
    folders : mapping of str to pathlib.Path
        ``augmented/`` folders by what they are called.
    folds : sequence of Fold
        Of whose training sides they were made.
    classes : sequence of str
        Of the dataset, in order.

    Returns
    -------
    pandas.DataFrame
        ``tiles`` is the folder's name, ``real`` in the first row; ``images`` how many were looked at: of those that
        were made of one half of the real tiles of each class, and weigh something.

        ``kid`` is the kernel inception distance x 1000 of images to the real tiles of their class that are of the other half,
        the mean over classes; in the first row that of one half to the other; ``kid_low`` and ``kid_high`` are its interval
        (:func:`spurgekit.pretrain.fidelity.kernel_distance`). NaN where a class has fewer than four tiles.

        ``as_labelled`` is the share that a ``probe`` takes for what they are labelled as, the mean over classes, which learned
        from all real tiles of the training side but those of a fifth of the places, the tile's own among them.

        ``moved`` is how far images are from the tile that they were made of, ``spread`` how far those of one tile and one
        support set are from each other, both in parts of the mean distance between real tiles of a class: 0 is a copy, 1
        another tile. NaN where there is one image of each.
    """
    store = setup.store()
    real = pd.concat([fold.train for fold in folds]).drop_duplicates("tile_id", ignore_index=True)
    features, targets = tile_features(store, real, JUDGE.recipe), real["target"].to_numpy()
    judges = list(_judges(store, real, len(classes)))
    apart = _mean_within(features, targets)
    place_of, row_of = real.set_index("tile_id")["group"], pd.Series(real.index, real["tile_id"])
    half = _half(real)
    rows: list[dict[str, object]] = [
        {
            "tiles": REAL, "images": len(real), **_kid(store, real[half], targets[half], real[~half]),
            "as_labelled": _as_labelled(judges, features, targets, real["group"]),
        }
    ]  # fmt: skip
    for name, folder in folders.items():
        made = read_manifest(folder, classes)
        made = made[made["tile_id"].isin(real["tile_id"][half]) & (made["weight"] > 0)]
        if made.empty:
            rows.append({"tiles": name, "images": 0})
            continue
        made = _sample(made)
        images = pd.DataFrame({"tile_id": made["file_name"], "path": made["path"]})
        seen, called = tile_features(store, images, JUDGE.recipe), labels(made, len(classes)).argmax(axis=1)
        moved = np.linalg.norm(seen - features[row_of[made["tile_id"]]], axis=1).mean()
        rows.append(
            {
                "tiles": name, "images": len(made),
                **_kid(store, images, called, real[~half]),
                "as_labelled": _as_labelled(judges, seen, called, place_of[made["tile_id"]]),
                "moved": moved / apart, "spread": _mean_within(seen, _sets_of(made)) / apart,
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _sets_of(rows: pd.DataFrame) -> NDArray[np.intp]:
    """Return which tile and support set each image was made of, as numbers in the order in which they come first."""
    return np.asarray(rows.groupby(["tile_id", "trial", "n"], dropna=False, sort=False).ngroup())


def _sample(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the images that are looked at: all of some tiles and support sets, which chance chooses."""
    sets = _sets_of(rows)
    order = np.random.default_rng(seed_of("described")).permutation(sets.max() + 1)
    chosen = order[: max(1, int((np.bincount(sets)[order].cumsum() <= MOST).sum()))]
    return rows[np.isin(sets, chosen)].reset_index(drop=True)


def _half(real: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which tiles are of one half of their class, which chance chooses."""
    order = np.random.default_rng(seed_of("halves")).permutation(len(real))
    return np.asarray(real["target"].iloc[order].groupby(real["target"]).cumcount().sort_index() % 2 == 0)


def _judges(store: FeatureStore, real: pd.DataFrame, classes: int) -> Iterator[tuple[frozenset[str], Probe]]:
    """Yield places, and the classifier that has seen none of them."""
    if (places := real["group"].nunique()) < 2:
        return
    for learned, left in GroupKFold(min(FOLDS, places)).split(real, groups=real["group"]):
        tiles = real.iloc[learned]
        if tiles["target"].nunique() == classes:
            yield frozenset(real["group"].iloc[left]), probe_unit(store, SupportSet(tiles, classes), JUDGE).fit()


def _as_labelled(
    judges: Sequence[tuple[frozenset[str], Probe]], seen: Array, targets: NDArray[np.integer], places: pd.Series
) -> float:
    """Return the share of images that a classifier takes for what they are labelled as, the mean over classes."""
    right = np.full(len(seen), np.nan)
    for left_out, probe in judges:
        own = places.isin(left_out).to_numpy()
        right[own] = probe.logits(seen[own]).argmax(axis=1) == targets[own]
    return float(pd.Series(right).groupby(targets).mean().mean())


def _kid(store: FeatureStore, tiles: pd.DataFrame, targets: NDArray[np.integer], real: pd.DataFrame) -> dict[str, float]:
    """Return the distance of sets to real tiles of the same class, x 1000: the mean over classes, with its interval."""
    found = []
    for target in np.unique(targets):
        own, others = tiles[targets == target], real[real["target"] == target]
        if min(len(own), len(others)) < LEAST:
            return {}
        found.append(kernel_distance(*(store.views(rows, [0])[:, 0] for rows in (own, others))))
    value = 1000 * np.mean([one.value for one in found])
    half = 1000 * np.sqrt(np.sum([((one.high - one.low) / 2) ** 2 for one in found])) / len(found)
    return {"kid": value, "kid_low": value - half, "kid_high": value + half}


def _mean_within(features: Array, sets: NDArray[np.integer]) -> float:
    """Return the mean distance between two of a set, over all sets that have two."""
    found = [pdist(features[rows]).mean() for one in np.unique(sets) if len(rows := np.flatnonzero(sets == one)) > 1]
    return float(np.mean(found)) if found else math.nan
