"""What datasets are built from: tiles folders, datasets, folders of images; each with what its survey says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd

from spurgekit.dataset.imagefolder import other_images, read_imagefolder
from spurgekit.dataset.reader import DATASET, open_dataset
from spurgekit.dataset.tile_masks import Ground, MaskedGround
from spurgekit.errors import InputError
from spurgekit.survey import Survey, find_survey
from spurgekit.text import counted
from spurgekit.tiles.index import PARQUET, read_tiles
from spurgekit.tiles.review_log import LOG, Outcome, read_outcomes
from spurgekit.tiles.tile_options import CONTEXT, UNLABELLED

IMAGE = "image"
"""The column of an index that holds the path of a tile's file."""


@dataclass(frozen=True, slots=True, eq=False)
class TileSource:
    """Tiles, and what is known of them as a whole.

    Attributes
    ----------
    path : pathlib.Path
        The folder.
    survey : str
        Name of the survey that they are from.
    index : geopandas.GeoDataFrame
        A row a tile, as in ``tiles.parquet``, with the path of its file in the column ``image``. The geometry is missing where
        nobody knows where a tile lies.
    date : datetime.date, optional
        Of the flight.
    classes : tuple of str, optional
        The survey's classes in order.
    labels, record : pathlib.Path, optional
        Where the survey says its labels are.
    label_from : str
        Where labels in the index come from, as :class:`spurgekit.dataset.labels.Labels` names it.
    outcomes : mapping of str to Outcome
        What people decided about tiles when they reviewed them, by tile id.
    configs : mapping of str to GeoDataFrame
        The indexes of further tiles of the same ground, ``context`` and ``unlabelled``.
    ground : Ground, optional
        What the masks of a dataset say of its tiles.
    inputs : tuple of pathlib.Path
        Files that were read.
    of_images : bool
        Whether it is a folder of images, of which options say what the files do not.
    notes : tuple of str
        What is to be said of it.
    """

    path: Path
    survey: str
    index: gpd.GeoDataFrame
    date: dt.date | None = None
    classes: tuple[str, ...] | None = None
    labels: Path | None = None
    record: Path | None = None
    label_from: str = "column"
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    configs: Mapping[str, gpd.GeoDataFrame] = field(default_factory=dict)
    ground: Ground | None = None
    inputs: tuple[Path, ...] = ()
    of_images: bool = False
    notes: tuple[str, ...] = ()


def read_source(
    path: Path,
    *,
    gsd_m: float | None = None,
    crs: str | None = None,
    group_pattern: str | None = None,
    crop_px: int | None = None,
) -> TileSource:
    """Read a folder that a dataset can be built from.

    Parameters
    ----------
    path : pathlib.Path
        A tiles folder, a dataset, or a folder of images.
    gsd_m, crs, group_pattern, crop_px
        Of a folder of images; see :func:`spurgekit.dataset.imagefolder.read_imagefolder`.

    Raises
    ------
    InputError
        If it is none of these.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; make one with 'spurgekit tile'")
    if (path / DATASET).is_file():
        return _of_dataset(path)
    if (path / PARQUET).is_file():
        return _of_tiles(path)
    if inside := sorted(child.name for child in path.iterdir() if (child / PARQUET).is_file() or (child / DATASET).is_file()):
        raise InputError(
            f"{path} holds no {PARQUET}, but {', '.join(inside)} in it does; name that folder, e.g. {path / inside[0]}"
        )
    found = read_imagefolder(path, gsd_m=gsd_m, crs=crs, group_pattern=group_pattern, crop_px=crop_px)
    name = path.resolve().name
    index = _with_images(found.rows, path).assign(site=found.rows.get("site", name))
    return TileSource(path, name, index, label_from="folder", of_images=True, notes=(*found.notes, *_passed_over(path)))


def _passed_over(folder: Path) -> tuple[str, ...]:
    """Return what is to be said of images that are not read."""
    others = other_images(folder)
    if not others:
        return ()
    kinds = ", ".join(sorted({path.suffix.lower() for path in others}))
    what = f"{counted(len(others), 'image')} of other kinds ({kinds}) in {folder.name}"
    return (f"{what} left out, such as {others[0]}; make them PNG",)


def merged_classes(sources: Sequence[TileSource]) -> tuple[str, ...] | None:
    """Return the classes of several surveys in an order that none of them contradicts; None where none names any.

    Raises
    ------
    InputError
        If two surveys have the same classes in different orders.
    """
    merged: list[str] = []
    for source in sources:
        shared = [name for name in source.classes or () if name in merged]
        if shared != [name for name in merged if name in shared]:
            raise InputError(
                f"{source.survey} has its classes in the order {', '.join(shared)}, and other surveys in another; "
                "pass the order with `classes`"
            )
        merged += [name for name in source.classes or () if name not in merged]
    return tuple(merged) or None


def _of_tiles(path: Path) -> TileSource:
    survey = _survey_of(path)
    configs = {name: _config(path / name) for name in (CONTEXT, UNLABELLED) if (path / name / PARQUET).is_file()}
    return TileSource(
        path=path,
        survey=survey.name if survey else _folder_name(path),
        index=_with_images(read_tiles(path).reset_index(drop=True), path),
        date=survey.date if survey else None,
        classes=survey.classes if survey else None,
        labels=survey.path(survey.labels) if survey and survey.labels else None,
        record=survey.path(survey.dataset.record) if survey and survey.dataset.record else None,
        outcomes=read_outcomes(path),
        configs=configs,
        inputs=(path / PARQUET, *([path / LOG] if (path / LOG).is_file() else [])),
    )


def _of_dataset(path: Path) -> TileSource:
    dataset = open_dataset(path)
    index = dataset.index()
    if index is None:
        raise InputError(f"{path} holds no {PARQUET}, so that nobody knows where its tiles lie; build the dataset again")
    index = index.reset_index(drop=True).rename(columns={"class": "label"})
    rows = [dataset.split(name) for name in ("train", "test")]
    images = {tile: image for of_split in rows for tile, image in zip(of_split["tile_id"], of_split["path"], strict=True)}
    index[IMAGE] = index["tile_id"].map(images)
    return TileSource(
        path=path,
        survey=dataset.info.name,
        index=index,
        classes=dataset.info.classes,
        outcomes=read_outcomes(path),
        ground=MaskedGround(dataset.masks(index), dataset.info.size_px, dataset.info.classes) if dataset.info.masks else None,
        inputs=(path / PARQUET, *([path / LOG] if (path / LOG).is_file() else [])),
    )


def _config(path: Path) -> gpd.GeoDataFrame:
    return _with_images(read_tiles(path).reset_index(drop=True), path)


def _with_images(index: gpd.GeoDataFrame, folder: Path) -> gpd.GeoDataFrame:
    return index.assign(**{IMAGE: [folder / name for name in index["file_name"]]})


def _survey_of(tiles: Path) -> Survey | None:
    """Return the survey whose folder the tiles lie in."""
    return find_survey(tiles.resolve().parent)


def _folder_name(tiles: Path) -> str:
    """Return a name for a survey without a ``survey.toml``: that of the folder, or of the one around ``tiles``."""
    path = tiles.resolve()
    return path.parent.name if path.name == "tiles" and path.parent.name else path.name
