"""Whether a dataset folder still is what it says it is: after a copy, an edit by hand, or a download."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from spurgekit.dataset.dataset_card import CARD
from spurgekit.dataset.reader import (
    MASKS,
    METADATA,
    SPLITS,
    UNCLEAR,
    UNKNOWN,
    Dataset,
    class_folder,
    datasets_in,
    open_dataset,
    read_mask,
    read_metadata,
)
from spurgekit.dataset.splits import close_pairs
from spurgekit.dataset.write import check_duplicates, check_image, digest_of
from spurgekit.errors import InputError, LeakageError
from spurgekit.progress import Progress, silent
from spurgekit.text import counted, listed
from spurgekit.tiles.index import PARQUET, footprint_corners

OF_GROUND = ("polygons", "raster")
"""Origins of labels that tell the class of each pixel."""

FEW = 3
"""Names that are given of many that are wrong in the same way."""


def validate_dataset(path: str | Path, *, progress: Progress = silent) -> list[str]:
    """Return what is wrong with a dataset folder, or with the datasets in it; an empty list if nothing is.

    Looked at are the description, the tables, every image (whole, of the right size, in the folder of its class, in no other
    split), the counts, the footprints (no test tile touches a training tile, no unlabelled tile a labelled one), the support
    sets, the masks and the card.

    Parameters
    ----------
    path : str or pathlib.Path
    progress : Progress

    Returns
    -------
    list of str
        A line for each problem.

    Raises
    ------
    InputError
        If there is no dataset.
    """
    path = Path(path)
    folders = datasets_in(path)
    if not folders:
        open_dataset(path)  # says why
    return [f"{folder}: {problem}" for folder in folders for problem in _problems(folder, progress)]


def _problems(folder: Path, progress: Progress) -> Iterator[str]:
    try:
        dataset = open_dataset(folder)
        rows = {side: dataset.split(side) for side in SPLITS}
        index = dataset.index()
    except InputError as error:
        yield str(error)
        return
    if index is None:
        yield f"there is no {PARQUET}, which says where the tiles lie"
        return
    yield from _tables(dataset, rows, index)
    yield from _images(dataset, rows, index, progress)
    yield from _leakage(index)
    yield from _support_sets(dataset, rows["train"])
    yield from _unlabelled(dataset, index)
    yield from _unclear(dataset, index)
    yield from _masks(dataset, index, progress)
    if not (folder / CARD).is_file():
        yield f"there is no card ({CARD})"


def _tables(dataset: Dataset, rows: dict[str, pd.DataFrame], index: gpd.GeoDataFrame) -> Iterator[str]:
    for side, table in rows.items():
        counts = {label: int((table["class"] == label).sum()) for label in dataset.info.classes}
        if counts != dataset.info.counts.get(side):
            yield f"{side}/{METADATA} holds {_said(counts)}, dataset.json says {_said(dataset.info.counts.get(side, {}))}"
        indexed = set(index["tile_id"][index["split"] == side])
        if odd := sorted(indexed ^ set(table["tile_id"])):
            yield f"{listed(odd, FEW)} {'is' if len(odd) == 1 else 'are'} in one of {side}/{METADATA} and {PARQUET} alone"
    if both := sorted(set(rows["train"]["tile_id"]) & set(rows["test"]["tile_id"])):
        yield f"{listed(both, FEW)} {'is' if len(both) == 1 else 'are'} in train and in test"


def _images(dataset: Dataset, rows: dict[str, pd.DataFrame], index: gpd.GeoDataFrame, progress: Progress) -> Iterator[str]:
    digests: dict[str, str] = {}
    size_px = dataset.info.size_px
    with progress(f"looking at {dataset.path.name}", sum(len(table) for table in rows.values())) as advance:
        for side, table in rows.items():
            for tile_id, path, target, name in zip(*(table[c] for c in ("tile_id", "path", "target", "class")), strict=True):
                advance(1)
                try:
                    data = path.read_bytes()
                    size = check_image(path, data)
                except (InputError, OSError) as error:
                    yield str(error) if isinstance(error, InputError) else f"{path.relative_to(dataset.path)} cannot be read"
                    continue
                digests[tile_id] = digest_of(data)
                if size != (size_px, size_px):
                    yield f"{path.relative_to(dataset.path)} is {size[0]} x {size[1]} px, not {size_px} x {size_px}"
                if path.parent.name != class_folder(target, name):
                    yield f"{path.relative_to(dataset.path)} is not in the folder of its class, {name!r}"
            in_tables = set(table["path"])
            if odd := sorted(
                path.relative_to(dataset.path).as_posix()
                for path in (dataset.path / side).rglob("*")
                if path.is_file() and path.name != METADATA and path not in in_tables
            ):
                yield f"{listed(odd, FEW)} {'is' if len(odd) == 1 else 'are'} not in {side}/{METADATA}"
    known = index[index["tile_id"].isin(list(digests))]
    try:
        check_duplicates([digests[tile] for tile in known["tile_id"]], known)
    except LeakageError as error:
        yield str(error)


def _leakage(index: gpd.GeoDataFrame) -> Iterator[str]:
    pairs = close_pairs(index.geometry, (index["split"] == "test").to_numpy())
    if len(pairs):
        names = index["tile_id"].to_numpy()
        one, other = names[pairs[0]]
        yield f"test tiles touch {len(set(pairs[:, 0]))} training tiles, e.g. {other} and {one}"


def _support_sets(dataset: Dataset, train: pd.DataFrame) -> Iterator[str]:
    try:
        sets = dataset.support_sets()
    except InputError as error:
        yield str(error)
        return
    if sets.empty:
        return
    label = dict(zip(train["tile_id"], train["class"], strict=True))
    found = sets["tile_id"].map(label)
    if (strange := sets["tile_id"][found.isna()]).any():
        yield f"few_shot.parquet names {listed(sorted(set(strange)), FEW)}, no training tile"
    elif (found != sets["class"]).any():
        yield f"few_shot.parquet has {sets['tile_id'][found != sets['class']].iloc[0]} in another class than the table"
    for (trial, name), of in sets.groupby(["trial", "class"]):
        tiles = [set(group["tile_id"]) for _, group in sorted(of.groupby("n"))]
        if any(not few <= many for few, many in pairwise(tiles)):
            yield f"few_shot.parquet is not nested in trial {trial} of class {name!r}"
            return


def _unlabelled(dataset: Dataset, index: gpd.GeoDataFrame) -> Iterator[str]:
    said = dataset.info.unlabelled
    if said is None:
        return
    try:
        rows = read_metadata(dataset.path / said.folder)
    except InputError as error:
        yield str(error)
        return
    missing = sorted(path.name for path in rows["path"] if not path.is_file())
    if missing:
        yield f"{said.folder} lacks {listed(missing, FEW)}"
    if len(rows) != said.tiles:
        yield f"{said.folder} lists {len(rows)} tiles, dataset.json says {said.tiles}"
    if both := sorted(set(rows["tile_id"]) & set(index["tile_id"])):
        yield f"{listed(both, FEW)} {'is' if len(both) == 1 else 'are'} labelled and unlabelled"


def _unclear(dataset: Dataset, index: gpd.GeoDataFrame) -> Iterator[str]:
    said = dataset.info.unclear
    if said is None:
        return
    try:
        sides = {side: dataset.unclear(side) for side in SPLITS}
    except InputError as error:
        yield str(error)
        return
    if {side: len(rows) for side, rows in sides.items()} != {"train": said.train, "test": said.test}:
        yield f"{UNCLEAR}/{METADATA} has other tiles than dataset.json says"
    rows = pd.concat(sides.values())
    if missing := sorted(path.name for path in rows["path"] if not path.is_file()):
        yield f"{UNCLEAR} lacks {listed(missing, FEW)}"
    if both := sorted(set(rows["tile_id"]) & set(index["tile_id"])):
        yield f"{listed(both, FEW)} {'is' if len(both) == 1 else 'are'} unclear and of a class"


def _masks(dataset: Dataset, index: gpd.GeoDataFrame, progress: Progress) -> Iterator[str]:
    folder, info = dataset.path / MASKS, dataset.info
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if not info.masks:
        if names:
            yield f"{MASKS}/ holds {counted(len(names), 'file')}, and dataset.json says that there are none"
        return
    try:
        unclear = pd.concat([dataset.unclear(side) for side in SPLITS])["tile_id"]
    except InputError:
        return  # which has been said
    of_ground = index["label_from"].isin(OF_GROUND) if "label_from" in index else pd.Series(False, index.index)
    due = of_ground & ~np.isnan(footprint_corners(index.geometry)).any(axis=(1, 2))
    if missing := sorted({f"{tile}.png" for tile in (*index["tile_id"][due], *unclear)} - names):
        yield f"{MASKS} lacks {listed(missing, FEW)}"
    if odd := sorted(names - {f"{tile}.png" for tile in (*index["tile_id"], *unclear)}):
        yield f"{MASKS} has {listed(odd, FEW)} of no tile"
    with progress(f"looking at masks of {dataset.path.name}", len(names)) as advance:
        for name in sorted(names - set(odd)):
            advance(1)
            try:
                mask = read_mask(folder / name, info.size_px)
            except InputError as error:
                yield str(error)
                continue
            if (beyond := mask[(mask >= len(info.classes)) & (mask != UNKNOWN)]).size:
                yield f"{MASKS}/{name} has pixels of {beyond[0]}, which is the number of no class"


def _said(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} of {name!r}" for name, count in counts.items()) or "nothing"
