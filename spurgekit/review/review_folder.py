"""What there is to review: the tiles of a tiles folder, or of a dataset, behind one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from rasterio.crs import CRS

from spurgekit.accuracy.sample import SAMPLE, read_sample
from spurgekit.dataset import open_dataset
from spurgekit.dataset.columns import WITHIN_SITE
from spurgekit.dataset.labels import DEFAULT_CLASSES
from spurgekit.dataset.reader import DATASET
from spurgekit.errors import InputError
from spurgekit.imagery import parse_crs
from spurgekit.plots.plot_file import as_id
from spurgekit.review.model_confidence import read_confidence
from spurgekit.survey import find_survey
from spurgekit.tiles.index import PARQUET, read_tiles

Point = tuple[float, float]
Corners = tuple[Point, Point, Point, Point]


@dataclass(frozen=True, slots=True)
class ReviewTile:
    """A tile to look at.

    Attributes
    ----------
    id : str
    path : pathlib.Path
        Its image; nothing says that it is there.
    label : str or None
        The class that it is said to show.
    site : str
    group : str
        The plot, cluster or other group that it belongs to; empty where that is not known.
    source : str
        Name of the image that it was cut from; empty where that is not known.
    size_px : int
    gsd_m : float or None
        Ground sample distance, where it is known.
    confidence : float or None
        A model's probability that the label is right.
    centre : tuple of float, or None
        Where it lies, in the CRS of the folder.
    corners : tuple of four points, or None
        The ground that it covers: upper left, upper right, lower right, lower left of the tile as it is seen.
    """

    id: str
    path: Path
    label: str | None
    site: str
    group: str
    source: str
    size_px: int
    gsd_m: float | None
    confidence: float | None = None
    centre: Point | None = None
    corners: Corners | None = None


@dataclass(frozen=True, slots=True)
class ReviewFolder:
    """A folder whose tiles are reviewed.

    Attributes
    ----------
    path : pathlib.Path
        Absolute, without links.
    classes : tuple of str
        In the order of their keys.
    tiles : tuple of ReviewTile
        In the order of the index.
    crs : rasterio.crs.CRS or None
        Of centres and corners.
    group_name : str
        What the tiles' groups are: one of :data:`spurgekit.dataset.columns.WITHIN_SITE`, or nothing.
    by_id : mapping
        The tiles by their ids.
    """

    path: Path
    classes: tuple[str, ...]
    tiles: tuple[ReviewTile, ...]
    crs: CRS | None
    group_name: str
    by_id: Mapping[str, ReviewTile] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_id: dict[str, ReviewTile] = {}
        for tile in self.tiles:
            if by_id.setdefault(tile.id, tile) is not tile:
                raise InputError(f"{self.path} lists tile {tile.id!r} twice; make it again")
        object.__setattr__(self, "by_id", MappingProxyType(by_id))

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites, in the order in which tiles name them."""
        return tuple(dict.fromkeys(tile.site for tile in self.tiles))


def open_folder(path: Path, *, classes: Sequence[str] | None = None, predictions: Path | None = None) -> ReviewFolder:
    """Open a tiles folder or a dataset folder for review.

    Parameters
    ----------
    path : pathlib.Path
    classes : sequence of str, optional
        Names in the order of their keys. Default: the dataset's; else the survey's that the folder lies in or that the command
        is run in; else those of the labels.
    predictions : pathlib.Path, optional
        Table with what a model says of the tiles; see :func:`spurgekit.review.model_confidence.read_confidence`. Default: the
        index's column ``confidence``.

    Raises
    ------
    InputError
        If it is neither, holds no tiles, or the classes cannot be told.
    """
    path = Path(path)
    known: Sequence[str] | None = None
    if (path / DATASET).is_file():
        table, known = _read_dataset(path)
    elif (path / PARQUET).is_file():
        table = _read_tiles(path)
        known = read_sample(path).classes if (path / SAMPLE).is_file() else None
    else:
        raise InputError(_why_not(path))
    if table.empty:
        raise InputError(f"{path} lists no tiles; make it again")
    if "label" not in table:
        table["label"] = None
    names = tuple(classes or known or _classes_nearby(path, table))
    _check_classes(names)
    group_name = next((name for name in WITHIN_SITE if name in table and table[name].notna().any()), "")
    tiles = [_tile(record, group_name) for record in table.drop(columns=table.geometry.name).to_dict("records")]
    tiles = [replace(tile, **place) for tile, place in zip(tiles, _places(table), strict=True)]
    if predictions is not None:
        confidence = read_confidence(predictions, {tile.id: tile.label for tile in tiles})
        tiles = [replace(tile, confidence=confidence.get(tile.id)) for tile in tiles]
    crs = CRS.from_wkt(table.crs.to_wkt()) if table.crs else None
    return ReviewFolder(path.resolve(), names, tuple(tiles), crs, group_name)


def _why_not(path: Path) -> str:
    inner = sorted(file.parent for name in (PARQUET, DATASET) for file in path.glob(f"*/{name}"))
    if inner:
        return f"{path} is itself neither tiles nor a dataset; name a folder in it, e.g. {inner[0]}"
    what = f"holds neither {PARQUET} nor {DATASET}" if path.is_dir() else "is not a folder"
    return f"{path} {what}; make tiles with 'spurgekit tile', or a dataset with 'spurgekit build-dataset'"


def _read_tiles(path: Path) -> gpd.GeoDataFrame:
    index = read_tiles(path).reset_index(drop=True)
    return index.assign(path=[path / str(name) for name in index["file_name"]])


def _read_dataset(path: Path) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    dataset = open_dataset(path)
    rows = pd.concat([dataset.split(name) for name in ("train", "test")], ignore_index=True).rename(columns={"class": "label"})
    index = dataset.index()
    if index is not None:  # it knows the ground that each tile covers, where that is known
        index = index.set_index("tile_id")
        more = [name for name in index if name == index.geometry.name or name not in rows]
        table = gpd.GeoDataFrame(rows.join(index[more], on="tile_id"), geometry=index.geometry.name, crs=index.crs)
    else:
        crs = parse_crs(dataset.info.crs).to_wkt() if dataset.info.crs else None
        places = [rows.get(name, pd.Series(np.nan, rows.index)) for name in ("easting", "northing")]
        table = gpd.GeoDataFrame(rows, geometry=gpd.points_from_xy(*places), crs=crs)
    size_px = dataset.info.size_px  # which all tiles have that do not say it themselves
    table["size_px"] = table["size_px"].fillna(size_px) if "size_px" in table else size_px
    return table, dataset.info.classes


def _tile(record: Mapping[str, Any], group_name: str) -> ReviewTile:
    confidence, gsd_m = (pd.to_numeric(record.get(name), errors="coerce") for name in ("confidence", "gsd_m"))
    return ReviewTile(
        id=str(record["tile_id"]),
        path=record["path"],
        label=as_id(record["label"]) or None,
        site=as_id(record.get("site")),
        group=as_id(record[group_name]) if group_name else "",
        source=as_id(record.get("source")),
        size_px=int(record["size_px"]),
        gsd_m=None if pd.isna(gsd_m) else float(gsd_m),
        confidence=None if pd.isna(confidence) else float(confidence),
    )


def _places(table: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    """Return centre and corners of each tile, as far as its geometry tells them."""
    places: list[dict[str, Any]] = []
    for shape, centre in zip(table.geometry, shapely.centroid(table.geometry.to_numpy()), strict=True):
        if shape is None or not np.isfinite([centre.x, centre.y]).all():
            places.append({})
            continue
        points = shapely.get_coordinates(shape)
        corners = tuple(map(tuple, points[:4].tolist())) if shape.geom_type == "Polygon" and len(points) == 5 else None
        places.append({"centre": (centre.x, centre.y), "corners": corners})
    return places


def _classes_nearby(path: Path, table: gpd.GeoDataFrame) -> Sequence[str]:
    for folder in (path.resolve().parent, Path()):
        if (survey := find_survey(folder)) is not None:
            return survey.classes
    found = sorted({as_id(label) for label in table["label"]} - {""}, key=lambda name: (name != DEFAULT_CLASSES[0], name))
    if set(found) <= set(DEFAULT_CLASSES):
        return DEFAULT_CLASSES
    if len(found) < 2:
        raise InputError(f"the labels of {path} are all {found[0]!r}; name the classes with `classes`")
    return found


def _check_classes(classes: Sequence[str]) -> None:
    if len(set(classes)) < len(classes) or not all(name.strip() for name in classes):
        raise InputError(f"`classes={tuple(classes)}` has an empty name or one twice; name each class once")
