"""What people found in places of a map: cells of a check, tiles that were reviewed, and tables that a crew brought back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from rasterio.crs import CRS

from spurgekit.accuracy.cell_labels import read_labels
from spurgekit.accuracy.cell_lists import LAYER, SHAPES
from spurgekit.accuracy.sample import SAMPLE, read_sample
from spurgekit.dataset import open_dataset
from spurgekit.dataset.labels import ABSENT_WORDS, DEFAULT_CLASSES, UNKNOWN_WORDS, as_classes, as_text
from spurgekit.dataset.reader import DATASET
from spurgekit.errors import InputError, known_names
from spurgekit.export.map_folder import MapPolygons
from spurgekit.imagery.crs import name_crs
from spurgekit.survey import find_survey
from spurgekit.text import check_formulas, counted, is_line, shown
from spurgekit.tiles.index import PARQUET, read_tiles
from spurgekit.tiles.review_log import LOG, opinions, outcome, read_decisions
from spurgekit.vectors import brought, read_attributes, read_vector

COLUMNS = ("label", "observer", "date")
"""Of a crew's table, to be filled in: the class that stands there, who saw it, and on which day."""

FILLED_IN = ("crew/patches.csv", "crew/patches.geojson", "phone/patches.gpkg")
"""Tables of exports for people to fill in."""

SHAPE_TYPES = ("Point", "Polygon", "MultiPolygon")
IMAGE, GROUND = "image", "ground"
"""From what people told the class of a place."""


@dataclass(frozen=True, slots=True, eq=False)
class ReviewedPlaces:
    """Places of a map of which people said what stands there.

    Attributes
    ----------
    rows : geopandas.GeoDataFrame
        In the CRS of the map: ``label`` (a class of the map, or None for the background), ``who`` (None where that is not
        known), ``when`` (the day, or None), ``seen`` (``image`` or ``ground``), ``patch`` (its name, or None) and ``surveyed``,
        whether its place is of a survey on the ground and not of the map's image.
    notes : tuple of str
        Where they are from, and what was left out.
    """

    rows: gpd.GeoDataFrame
    notes: tuple[str, ...]


def usual_sources(map_folder: Path) -> tuple[Path, ...]:
    """Return what may hold reviewed places of a map, where commands write it: beside the folder ``maps`` that the map lies in.

    These are ``checks/SITE``, ``tiles`` and ``dataset`` with a review, and of ``exports/SITE`` what is filled in
    (``FILLED_IN``).
    """
    here = map_folder.resolve()
    if here.parent.name != "maps":
        return ()
    start = map_folder.parent.parent if len(map_folder.parts) > 1 else here.parent.parent
    check, exports = start / "checks" / here.name, start / "exports" / here.name
    reviewed = [start / name for name in ("tiles", "dataset")]
    found = [check] if (check / SAMPLE).is_file() else []
    found += [folder for folder in reviewed if (folder / LOG).is_file()]
    return (*found, *(exports / name for name in FILLED_IN if _has_labels(exports / name)))


def read_reviewed(mapped: MapPolygons, sources: Sequence[Path], *, named: bool = True) -> ReviewedPlaces:
    """Read what people found in places of a map.

    Parameters
    ----------
    mapped : MapPolygons
    sources : sequence of pathlib.Path
        Folders of ``spurgekit check``, of tiles or datasets with a review, and tables of places with a column ``label``.
    named : bool
        Whether somebody named them; those that are only looked for may have nothing of this map.

    Raises
    ------
    InputError
        If one is none of these, has nothing that lies on the map though somebody named it, or a label that is no class.
    """
    parts, notes = [], []
    for path in sources:
        rows, said = _kind_of(path)(path, mapped)
        lies = shapely.intersects(mapped.grid.footprint(), shapely.point_on_surface(rows.geometry.to_numpy()))
        if named and len(rows) and not lies.any():
            raise InputError(f"nothing that was reviewed in {path} lies on {mapped.folder}; name what is of this site")
        if not lies.any() and not named:
            continue
        elsewhere = int((~lies).sum())
        more = f", {elsewhere:,} that are not on the map left out" if elsewhere else ""
        notes += [f"{counted(int(lies.sum()), 'reviewed place')} of {path}{more}", *said]
        parts.append(rows[lies])
    none = _rows(gpd.GeoSeries([], crs=mapped.rows.crs), label=[], who=[], when=[], seen=[])
    rows = pd.concat(parts, ignore_index=True) if parts else none
    return ReviewedPlaces(rows, tuple(notes))


Read = tuple[gpd.GeoDataFrame, list[str]]


def _kind_of(path: Path) -> Callable[[Path, MapPolygons], Read]:
    if (path / SAMPLE).is_file():
        return _of_check
    if (path / DATASET).is_file() or (path / PARQUET).is_file():
        return _of_tiles
    if path.is_dir():
        raise InputError(
            f"{path} holds no sample of 'spurgekit check', no tiles and no dataset; name such a folder, or a table of places "
            "with a column label"
        )
    return _of_table


def _of_check(path: Path, mapped: MapPolygons) -> Read:
    """Return the cells of a check that have a label: those of the review from the image, those of the table from the ground."""
    sample = read_sample(path)
    labels = read_labels(path, sample, None)
    from_review = _from_log(path)
    squares = read_vector(path / SHAPES, _crs(mapped), usual_layer=LAYER).rows
    if "cell" not in squares:
        raise InputError(f"{path / SHAPES} has no column 'cell'; draw the sample again")
    squares = squares[squares["cell"].isin(labels.classes)]
    names = [labels.classes[cell] for cell in squares["cell"]]
    said = [from_review.get(cell) for cell in squares["cell"]]
    rows = _rows(
        squares.geometry,
        label=_classes(names, mapped, sample.classes[0], path),
        who=[one.who if one else None for one in said],
        when=[one.when if one else None for one in said],
        seen=[IMAGE if one else GROUND for one in said],
    )
    on_ground = sum(one is None for one in said)
    return rows, [f"{counted(on_ground, 'label')} of the table of {path} taken for seen on the ground"] if on_ground else []


def _of_tiles(path: Path, mapped: MapPolygons) -> Read:
    """Return the tiles of a folder that people agree about."""
    if (path / DATASET).is_file():
        dataset = open_dataset(path)
        index, background = dataset.index(), dataset.info.classes[0]
        if index is None:
            raise InputError(f"{path} holds no {PARQUET}, which says where its tiles lie; build it again")
    else:
        index, background = read_tiles(path), None
    if not (path / LOG).is_file():
        raise InputError(f"{path} holds no {LOG}; review its tiles with 'spurgekit review {path}'")
    said, notes = _from_log(path), []
    settled = {tile: one for tile, one in said.items() if one.label is not None}
    if unsettled := len(said) - len(settled):
        notes.append(f"{counted(unsettled, 'tile')} of {path} rejected, unsure or disputed, and left out")
    tiles = index[index["tile_id"].isin(settled)]
    found = [settled[tile] for tile in tiles["tile_id"]]
    rows = _rows(
        tiles.geometry,
        label=_classes([str(one.label) for one in found], mapped, background, path),
        who=[one.who for one in found],
        when=[one.when for one in found],
        seen=[IMAGE] * len(found),
    )
    return _brought(rows, path, mapped), notes


def _of_table(path: Path, mapped: MapPolygons) -> Read:
    """Return the places of a table that have a label."""
    read = read_vector(path, _crs(mapped))
    rows, notes = read.rows, list(read.notes)
    if "label" not in rows:
        raise InputError(f"{path} has no column 'label'; write into one the class that stands in each place")
    words = as_text(rows["label"])
    unknown = words.map(lambda word: word is not None and word.lower() in UNKNOWN_WORDS)
    if unknown.any():
        notes.append(
            f"{counted(int(unknown.sum()), 'place')} of {path.name} labelled {words[unknown].iloc[0]!r}, which is no class"
        )
    rows, words = (one[(words.notna() & ~unknown).to_numpy()] for one in (rows, words))
    if not rows.geom_type.isin(SHAPE_TYPES).all():
        raise InputError(f"{path} holds other shapes than points and polygons; take them out")
    blank: list[str | None] = [None] * len(rows)
    who, days = (as_text(rows[name]).tolist() if name in rows else blank for name in ("observer", "date"))
    check_formulas(f"{path}: observer", who)
    if odd := [name for name in who if name is not None and not is_line(name)]:
        raise InputError(f"{path}: the observer {shown(odd[0])} is no line of text; correct it")
    placed = _rows(
        rows.geometry,
        label=_classes(words.tolist(), mapped, None, path),
        who=who,
        when=[_day(day, path) for day in days],
        seen=[GROUND] * len(rows),
        patch=as_text(rows["name"]).tolist() if "name" in rows else None,
        surveyed=True,
    )
    return placed, notes


def _rows(
    places: gpd.GeoSeries,
    *,
    label: list[str | None],
    who: list[str | None],
    when: list[dt.date | None],
    seen: list[str],
    patch: list[str | None] | None = None,
    surveyed: bool = False,
) -> gpd.GeoDataFrame:
    """Return places as :class:`ReviewedPlaces` has them, in their own CRS."""
    columns = {"label": label, "who": who, "when": when, "seen": seen, "patch": patch or [None] * len(places)}
    as_objects = {name: pd.Series(values, dtype=object) for name, values in columns.items()}
    shapes = gpd.GeoSeries(places.to_numpy(), crs=places.crs)
    return gpd.GeoDataFrame({**as_objects, "surveyed": np.full(len(places), surveyed)}, geometry=shapes)


@dataclass(frozen=True, slots=True)
class _Said:
    """What the reviewers of a tile say together: its class, or None, who they are, and the day of the last decision."""

    label: str | None
    who: str
    when: dt.date


def _from_log(folder: Path) -> dict[str, _Said]:
    decisions = read_decisions(folder / LOG)
    days = {one.tile: one.when.date() for one in sorted(decisions, key=lambda one: one.when)}
    outcomes = {tile: outcome(of) for tile, of in opinions(decisions).items()}
    return {tile: _Said(one.label, " | ".join(one.reviewers), days[tile]) for tile, one in outcomes.items()}


def _classes(names: Sequence[str], mapped: MapPolygons, background: str | None, path: Path) -> list[str | None]:
    """Return labels as classes of the map, None for the background.

    Parameters
    ----------
    names : sequence of str
    mapped : MapPolygons
    background : str or None
        What the background is called in the file, where the file says it.
    path : pathlib.Path
        Of the file, for messages.

    Raises
    ------
    InputError
        If one is no class of the map.
    """
    first = background or _background(mapped)
    classes = (first, *(name for name in mapped.known if name != first))
    found: list[str | None] = []
    for name in as_classes(pd.Series(names, dtype=object), classes):
        if name in mapped.known:
            found.append(name)
        elif name in (first, mapped.background) or name.lower() in ABSENT_WORDS:
            found.append(None)
        else:
            raise InputError(f"{path}: {shown(name)} is no class of {mapped.folder}{known_names(name, classes)}")
    return found


def _background(mapped: MapPolygons) -> str:
    """Return what the background of a map is called: by the map, else by the survey that it lies in."""
    if mapped.background is not None:
        return mapped.background
    survey = find_survey(mapped.folder.resolve().parents[1])
    return survey.classes[0] if survey else DEFAULT_CLASSES[0]


def _day(text: str | None, path: Path) -> dt.date | None:
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text[:10])  # GIS write a day as 2026-06-14T00:00:00, too
    except ValueError as error:
        raise InputError(f"{path}: the date {shown(text)} cannot be read; write it as 2026-06-14") from error


def _brought(places: gpd.GeoDataFrame, path: Path, mapped: MapPolygons) -> gpd.GeoDataFrame:
    """Return places in the CRS of a map; those without a place are left out."""
    shapes = places.geometry.to_numpy()
    known = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes)) & np.isfinite(shapely.bounds(shapes)).all(axis=1)
    if not len(places) or places.crs == mapped.rows.crs:
        return places[known]
    if places.crs is None:
        raise InputError(
            f"{path} is in no CRS, so nothing says where it lies on {mapped.folder}, in {name_crs(mapped.rows.crs)}"
        )
    return brought(places[known], _crs(mapped), what=str(path), remedy="georeference its image first").rows


def _crs(mapped: MapPolygons) -> Any:
    return mapped.grid.crs or CRS()


def _has_labels(file: Path) -> bool:
    if not file.is_file():
        return False
    rows = read_attributes(file).rows
    return "label" in rows and bool(as_text(rows["label"]).notna().any())
