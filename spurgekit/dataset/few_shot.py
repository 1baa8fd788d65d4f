"""Few-shot support sets: which training tiles each trial sees, the same for every method.

The order in which a trial takes the tiles of a class depends on their ids alone, not on where they stand in a table or on the
state of a random generator: a dataset that is built again gives the same sets, and one that has grown gives sets that differ
as little as may be. The sets of a trial are nested: that of 4 shots holds that of 2.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spurgekit.dataset.shots import SHOTS, TRIALS
from spurgekit.errors import InputError, LeakageError
from spurgekit.reading import Columns, Numbers, Texts, take_columns
from spurgekit.text import counted, shown

FILE_NAME = "few_shot.parquet"
COLUMNS = ("trial", "n", "class", "tile_id")
SETS: Columns = {"trial": Numbers(least=0, whole=True), "n": Numbers(least=1, whole=True), "class": Texts(), "tile_id": Texts()}


def support_sets(
    tile_ids: Sequence[str],
    labels: Sequence[str],
    *,
    clusters: Sequence[object] | None = None,
    classes: Sequence[str],
    shots: Sequence[int] = SHOTS,
    trials: int = TRIALS,
) -> pd.DataFrame:
    """Draw support sets from training tiles.

    Tiles of a class are taken from its clusters in turn, so that few shots come from as many places as they can.

    Parameters
    ----------
    tile_ids, labels : sequence of str, length n
    clusters : sequence, length n, optional
        The place of each tile. Default: all in one.
    classes : sequence of str
        In order.
    shots : sequence of int
        Tiles of each class in a set.
    trials : int

    Returns
    -------
    pandas.DataFrame
        Columns trial (from 0), n, class and tile_id, a row for each tile of each set. Of a number of shots that some class has
        not so many tiles for, there are no sets.

    Raises
    ------
    InputError
        If ``shots`` or ``trials`` are not positive.
    """
    if trials < 1 or not shots or min(shots) < 1:
        raise InputError(f"{trials} trials of {', '.join(map(str, shots)) or 'no'} shots cannot be; pass positive numbers")
    ids, names = np.asarray(tile_ids, dtype=object), np.asarray(labels, dtype=object)
    places = np.zeros(len(ids), object) if clusters is None else np.asarray(clusters, dtype=object)
    possible = possible_shots(labels, classes, shots)
    rows = []
    for trial in range(trials):
        for name in classes:
            mine = names == name
            order = _in_turn(ids[mine], places[mine], f"{trial}/{name}")
            rows += [(trial, n, name, tile) for n in possible for tile in order[:n]]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(["trial", "n"], kind="stable", ignore_index=True)


def check_sets(
    table: pd.DataFrame, classes: Sequence[str], shots: Sequence[int], trials: int, path: Path, remedy: str
) -> pd.DataFrame:
    """Return a table of support sets that holds what it is said to.

    Parameters
    ----------
    table : pandas.DataFrame
        As it was read.
    classes : sequence of str
    shots : sequence of int
    trials : int
        How many sets there are of each number of shots.
    path : pathlib.Path
        Of the file, for messages.
    remedy : str
        What to do about it, for messages.

    Raises
    ------
    InputError
        If it holds other sets, or one is not of as many tiles of each class.
    """
    sets = take_columns(table, SETS, path, remedy)
    if odd := sorted(set(sets["class"]) - set(classes)):
        raise InputError(f"{path} has tiles of {shown(odd[0])}, which is no class of the dataset; {remedy}")
    sizes = sets.groupby(["trial", "n", "class"])["tile_id"].nunique()
    for n in shots:
        for trial in range(trials):
            for name in classes:
                if (found := sizes.get((trial, n, name), 0)) != n:
                    raise InputError(
                        f"{path} has {counted(int(found), 'tile')} of {shown(name)} in trial {trial} of {n} shots; {remedy}"
                    )
    if len(sets) != sum(shots) * trials * len(classes):
        raise InputError(f"{path} has {len(sets):,} rows, and {sum(shots) * trials * len(classes):,} make the sets; {remedy}")
    return sets


def support_rows(rows: pd.DataFrame, sets: pd.DataFrame, n: int, trial: int) -> pd.DataFrame:
    """Return the rows of training tiles that are in a support set, in its order; none where there is no such set.

    Raises
    ------
    LeakageError
        If the set names other tiles, which may be test tiles.
    """
    ids = sets["tile_id"][(sets["n"] == n) & (sets["trial"] == trial)]
    if foreign := sorted(set(ids) - set(rows["tile_id"])):
        raise LeakageError(f"{FILE_NAME} names {shown(foreign[0])}, which is no training tile; build the dataset again")
    return rows.set_index("tile_id", drop=False).loc[ids].reset_index(drop=True)


def possible_shots(labels: Sequence[str], classes: Sequence[str], shots: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of shots, ascending, that every class has tiles for."""
    counts = pd.Series(labels, dtype=object).value_counts()
    fewest = min(int(counts.get(name, 0)) for name in classes)
    return tuple(n for n in sorted(set(shots)) if n <= fewest)


def _in_turn(tile_ids: NDArray[np.object_], clusters: NDArray[np.object_], seed: str) -> list[str]:
    """Return tiles in a random order that a seed fixes, taking one of each cluster in turn."""
    queues: dict[object, list[str]] = {}
    for tile, cluster in zip(tile_ids, clusters, strict=True):
        queues.setdefault(cluster, []).append(tile)
    waiting = deque(
        deque(sorted(queues[cluster], key=lambda tile: _draw(seed, tile)))
        for cluster in sorted(queues, key=lambda cluster: _draw(seed, f"cluster {cluster}"))
    )
    order = []
    while waiting:
        queue = waiting.popleft()
        order.append(queue.popleft())
        if queue:
            waiting.append(queue)
    return order


def _draw(seed: str, name: str) -> bytes:
    """Return what a name is sorted by in a random order that a seed fixes."""
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()
