"""The published Leafy Spurge Dataset (Doherty et al. 2025, doi:10.1038/s41597-025-05094-6) in the form that is used here.

On the Hugging Face Hub it is ``mpg-ranch/leafy_spurge``: ``data/crop`` (half a metre around 1000 points, 39 px) and
``data/context`` (1024 px around them), each with ``train`` and ``test``, and ``data/orthomosaic``, the rest of the survey
without labels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import geopandas as gpd

from spurgekit.dataset.build import build_dataset
from spurgekit.dataset.dataset_options import DatasetOptions
from spurgekit.dataset.imagefolder import read_imagefolder
from spurgekit.dataset.publish import local_copy
from spurgekit.dataset.reader import DatasetInfo
from spurgekit.dataset.sources import IMAGE, TileSource
from spurgekit.errors import InputError
from spurgekit.progress import Progress, silent
from spurgekit.tiles.tile_options import CONTEXT, UNLABELLED

REPOSITORY = "mpg-ranch/leafy_spurge"
CLASSES = ("absent", "present")
LICENCE = "cc-by-4.0"
PLOT_M = 0.5
"""Side of the ground that was searched at each point, and that ``crop`` shows."""

FOLDERS = {"crop": "crop", CONTEXT: "context", UNLABELLED: "orthomosaic"}
CONFIGS = tuple(FOLDERS)


def fetch_dataset(
    source: str | Path,
    out: str | Path,
    *,
    configs: tuple[str, ...] = ("crop",),
    revision: str | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> DatasetInfo:
    """Build a dataset from the published one, with the test set that it has.

    Training tiles that touch a test tile (of the largest config) are left out, and counted.

    Parameters
    ----------
    source : str or pathlib.Path
        A local copy of the repository, or its name on the Hub.
    out : str or pathlib.Path
        Folder to make.
    configs : tuple of str
        Of ``crop``, ``context`` and ``unlabelled``; the first always.
    revision : str, optional
        Of the repository: a commit gives the same tiles always. The commit that was fetched is among the dataset's notes.
    overwrite : bool
        Replace a folder that spurgekit made before.
    progress : Progress

    Returns
    -------
    DatasetInfo

    Raises
    ------
    InputError
        If the folder is no such copy.
    HubError
        If the Hub cannot be reached, and its cache does not hold it.
    """
    if unknown := [name for name in configs if name not in CONFIGS]:
        raise InputError(f"there is no config {unknown[0]!r}; there are {', '.join(CONFIGS)}")
    wanted = [name for name in CONFIGS if name in configs or name == "crop"]
    folder, notes = local_copy(source, [f"data/{FOLDERS[name]}/**" for name in wanted], revision)
    return build_dataset(
        replace(read_leafy_spurge(folder, wanted), notes=notes),
        out,
        DatasetOptions(split_column="split", classes=CLASSES, buffer_m=0.0, licence=LICENCE),
        overwrite=overwrite,
        progress=progress,
    )


def read_leafy_spurge(folder: Path, configs: list[str]) -> TileSource:
    """Return a local copy of the repository as something to build a dataset from."""
    crop = _read(folder, "crop", None)
    gsd_m = PLOT_M / float(crop["size_px"].iloc[0])
    crop = _read(folder, "crop", gsd_m)
    rest = {name: _read(folder, name, gsd_m) for name in configs if name != "crop"}
    return TileSource(folder, "leafy-spurge", crop.assign(layout="points"), label_from="points", configs=rest)


def _read(folder: Path, config: str, gsd_m: float | None) -> gpd.GeoDataFrame:
    images = folder / "data" / FOLDERS[config]
    if not images.is_dir():
        raise InputError(f"{folder} holds no {images.relative_to(folder)}; pass a copy of {REPOSITORY}, with its folder data")
    index = read_imagefolder(images, gsd_m=gsd_m).rows
    index[IMAGE] = [images / name for name in index["file_name"]]
    if config != UNLABELLED:
        if "idx" not in index:
            raise InputError(f"{images} has no metadata.csv with the points' idx; download it again")
        index["tile_id"] = [f"leafy-spurge_p{int(number):05d}" for number in index["idx"]]
    return index.assign(site="leafy-spurge", source=REPOSITORY, valid_fraction=1.0)
