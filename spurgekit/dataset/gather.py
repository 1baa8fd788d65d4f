"""The tiles of several surveys as one table, labelled and reviewed; and why tiles are left out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
from numpy.typing import NDArray
from rasterio.crs import CRS

from spurgekit.dataset.columns import WITHIN_SITE
from spurgekit.dataset.dataset_options import DatasetOptions
from spurgekit.dataset.field_record import labels_from_record
from spurgekit.dataset.labels import (
    DEFAULT_CLASSES,
    LabelFile,
    Labels,
    as_text,
    labels_from_column,
    order_classes,
)
from spurgekit.dataset.local_ground import moved, set_apart, sites_of
from spurgekit.dataset.raster_labels import is_raster, labels_from_raster
from spurgekit.dataset.reader import UNKNOWN
from spurgekit.dataset.shape_labels import labels_from_vector
from spurgekit.dataset.sources import IMAGE, TileSource, merged_classes
from spurgekit.dataset.tile_masks import TileMasks
from spurgekit.dataset.unclear import TOO_LITTLE
from spurgekit.errors import InputError, renamed
from spurgekit.imagery import name_crs, slug
from spurgekit.imagery.crs import EARTH, doubtful_shift, has_place
from spurgekit.reading import check_classes
from spurgekit.tables import numbers, read_table
from spurgekit.text import counted
from spurgekit.tiles.review_log import Outcome
from spurgekit.vectors import Shapes, brought, median_place, read_vector

CAME_WITH = "label_before_review"

ACCURACY_COLUMNS = ("accuracy_m", "accuracy", "horizontal_accuracy", "h_accuracy", "hrms", "position_error")
"""Columns of points that may hold how well GNSS knew their position, in metres; the first that is there."""


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """The labelled tiles of all sources.

    Attributes
    ----------
    index : geopandas.GeoDataFrame
        A row a tile, with columns survey, date, class, label_from, accuracy_m, reviewers and image beside the tiles' own.
    drawn : geopandas.GeoDataFrame
        Those tiles and others that came with a label, as ``class``, or were given one in review; ``kept`` is that in the index,
        None of tiles that are not in it. Places to hold out are drawn of them, so that reviews do not change the draw.
    unclear : geopandas.GeoDataFrame
        Tiles that hold some of a class and too little to be of it, with the same columns.
    configs : mapping of str to GeoDataFrame
        Further tiles of the same ground, under the same ids.
    classes : tuple of str
    left_out : dict of int
        Tiles that are not in the index, by reason.
    examples : dict of str
        One of these tiles, by reason.
    notes : tuple of str
        What is to be said of the labels.
    masks : tuple of TileMasks
        What labels say of each pixel of tiles, of sources where they do.
    """

    index: gpd.GeoDataFrame
    drawn: gpd.GeoDataFrame
    unclear: gpd.GeoDataFrame
    configs: Mapping[str, gpd.GeoDataFrame]
    classes: tuple[str, ...]
    left_out: dict[str, int]
    examples: dict[str, str]
    notes: tuple[str, ...]
    masks: tuple[TileMasks, ...]


def gather(sources: Sequence[TileSource], options: DatasetOptions) -> Gathered:
    """Label the tiles of all sources, apply their reviews, and put them into one table in the CRS of the first.

    Raises
    ------
    InputError
        If labels are missing or unknown, or the surveys do not go together; see the message.
    """
    classes = options.classes or merged_classes(sources)
    prefixes = _prefixes(sources)
    labels = [_labels(source, options, classes) for source in sources]
    contradicted = [_contradicted(source, found) for source, found in zip(sources, labels, strict=True)]
    frames = [
        _labelled(source, found, options, prefix, unknown)
        for source, found, prefix, unknown in zip(sources, labels, prefixes, contradicted, strict=True)
    ]
    offsets_m = set_apart([(source.index, *source.configs.values()) for source in sources])
    stacked = _stack([moved(frame, offsets_m, number) for number, frame in enumerate(frames)])
    index = stacked.rows
    names = order_classes(index["class"].where(index["why"].isna()), classes)
    check_classes(names)
    if len(names) > UNKNOWN and any(found.ground is not None for found in labels):
        raise InputError(f"masks tell up to {UNKNOWN} classes apart, and there are {len(names)}; put some together")
    left_out = {str(why): int(count) for why, count in index["why"].value_counts(sort=False).items()}
    configs = {
        name: _stack(
            [
                moved(_renamed(source.configs[name], prefix), offsets_m, number)
                for number, (source, prefix) in enumerate(zip(sources, prefixes, strict=True))
                if name in source.configs
            ],
            index.crs,
        ).rows
        for name in sorted({name for source in sources for name in source.configs})
    }
    examples = {str(why): str(tiles.iloc[0]) for why, tiles in index.groupby("why", sort=False)["tile_id"]}
    kept = index["class"].where(index["why"].isna(), None)
    came_with = index[CAME_WITH].where(index[CAME_WITH].notna(), index["class"])
    drawn = index.assign(**{"class": came_with, "kept": kept})[came_with.notna()].reset_index(drop=True)
    index, unclear = (
        index[rows].drop(columns=["why", CAME_WITH]).reset_index(drop=True)
        for rows in (index["why"].isna(), index["why"] == TOO_LITTLE)
    )
    masks = tuple(
        TileMasks(found.ground, tuple(frame["tile_id"]), found.ground.known & ~unknown)
        for found, frame, unknown in zip(labels, frames, contradicted, strict=True)
        if found.ground is not None
    )
    notes = dict.fromkeys(
        [
            *(note for one in sources for note in one.notes),
            *(note for one in labels for note in one.notes),
            *_unused(labels),
            *stacked.notes,
            *_longitude_note(index, len(offsets_m) > 1),
            *_notes(index, names),
            *_mask_notes(masks, sum(int(unknown.sum()) for unknown in contradicted), names),
        ]
    )
    return Gathered(index, drawn, unclear, configs, names, left_out, examples, tuple(notes), masks)


# -- one source -------------------------------------------------------------------------------------------------------


def _contradicted(source: TileSource, labels: Labels) -> NDArray[np.bool_]:
    """Return which tiles a review gave another class than labels have of their ground.

    A tile with too little of the second of two classes may be called by it in review.
    """
    said = [source.outcomes.get(tile) for tile in source.index["tile_id"]]
    if labels.ground is None or not any(said):
        return np.zeros(len(said), np.bool_)
    names = labels.ground.names
    held = np.where(labels.unclear & (len(names) == 2), names[-1], labels.names.to_numpy())
    pairs = zip(said, held, strict=True)
    return np.array([one is not None and one.status == "accepted" and one.label != name for one, name in pairs], np.bool_)


def _labelled(
    source: TileSource, labels: Labels, options: DatasetOptions, prefix: str, contradicted: NDArray[np.bool_]
) -> gpd.GeoDataFrame:
    """Return a source's tiles with their labels, and in the column ``why`` why some of them are left out."""
    index = source.index
    names, why = labels.names.copy(), pd.Series(None, index.index, dtype=object)
    why[names.isna()] = "without a label"
    why[labels.unclear] = TOO_LITTLE
    why[labels.disputed] = "with labels that disagree"
    origin = labels.origin.copy()
    reviewers = pd.Series("", index.index, dtype=object)
    for row, tile in enumerate(index["tile_id"]):
        said = source.outcomes.get(tile)
        if said is None:
            why.iloc[row] = "not reviewed" if options.reviewed_only else why.iloc[row]
            continue
        reviewers.iloc[row] = " ".join(said.reviewers)
        names.iloc[row], why.iloc[row] = _reviewed(said)
        origin.iloc[row] = "review"
    accuracy = _accuracy(index)
    if options.max_accuracy_m is not None:
        if accuracy.isna().all():
            raise InputError(
                f"{source.path} says nothing of the accuracy of its points (columns {', '.join(ACCURACY_COLUMNS)}); "
                "leave out `max_accuracy_m`"
            )
        poor = why.isna() & ~(accuracy <= options.max_accuracy_m)
        why[poor] = f"with a position not known to {options.max_accuracy_m:g} m"
    index = index.drop(columns="label", errors="ignore").assign(
        survey=index.get("survey", source.survey),  # a dataset knows it of each tile
        date=index.get("date", source.date and source.date.isoformat()),
        label_from=origin,
        accuracy_m=accuracy,
        reviewers=reviewers,
        why=why,
        **{"class": names, CAME_WITH: labels.names.to_numpy()},
    )
    if labels.cover is not None:
        index["cover"] = labels.cover.mask(contradicted).to_numpy()
    return _renamed(index, prefix)


def _labels(source: TileSource, options: DatasetOptions, classes: tuple[str, ...] | None) -> Labels:
    record = options.record or (None if options.labels else source.record)
    shapes = options.labels or (None if record or options.label_column in source.index else source.labels)
    if record is not None:
        table = read_table(record)
        found = labels_from_record(
            source.index,
            table.rows,
            column=options.label_column,
            classes=classes or DEFAULT_CLASSES,
            min_cover=options.min_cover,
            where=record,
        )
        return replace(found, notes=(*table.notes, *found.notes))
    if shapes is not None:
        return _from_file(source, shapes, options, classes)
    where = source.inputs[0] if source.inputs else source.path
    index = source.index.drop(columns=IMAGE)
    if source.of_images and classes is None and options.label_column is None:
        classes = tuple(as_text(index["label"]).dropna().unique()) if "label" in index else None
    found = labels_from_column(index, options.label_column, classes, min_cover=options.min_cover, where=where)
    of_points = "layout" in source.index and (source.index["layout"] == "points").all()
    return Labels.of(
        found.names,
        "points" if of_points else source.label_from,
        found.disputed,
        notes=found.notes,
        cover=numbers(index["cover"]) if source.ground is not None and "cover" in index else None,
        ground=source.ground,
    )


def _from_file(source: TileSource, path: Path, options: DatasetOptions, classes: tuple[str, ...] | None) -> Labels:
    index = source.index
    if index.crs is None or index.geometry.isna().any():
        raise InputError(f"{source.path} does not say where its tiles lie, so that {path} cannot label them")
    if is_raster(path):
        if options.label_column is not None:
            raise InputError(f"{path} is a raster of class codes, which has no columns; leave `label_column` out")
        with renamed(declared_crs="labels_crs"):
            return labels_from_raster(
                index,
                path,
                classes=classes or DEFAULT_CLASSES,
                min_cover=options.min_cover,
                declared_crs=options.labels_crs,
            )
    with renamed(declared_crs="labels_crs"):
        found = read_vector(
            path, CRS.from_wkt(index.crs.to_wkt()), declared_crs=options.labels_crs, pixel_m=index["gsd_m"].min()
        )
    labels = labels_from_vector(
        index,
        found.rows,
        column=options.label_column,
        classes=classes or DEFAULT_CLASSES,
        min_cover=options.min_cover,
        where=path,
    )
    if not (labels.names.notna() | labels.disputed).any():
        raise InputError(f"{path}: none of its {len(found.rows)} shapes lies on a tile; check its CRS")
    return replace(labels, notes=(*found.notes, *labels.notes))


def _reviewed(said: Outcome) -> tuple[str | None, str | None]:
    """Return the label of a tile that was reviewed, and why it is left out."""
    if said.status == "accepted":
        return said.label, None
    return None, {"rejected": "rejected in review", "unsure": "unsure in review", "disputed": "disputed in review"}[said.status]


def _accuracy(index: gpd.GeoDataFrame) -> pd.Series:
    names = {str(name).lower(): name for name in index.columns}
    column = next((names[name] for name in ACCURACY_COLUMNS if name in names), None)
    if column is None:
        return pd.Series(np.nan, index.index)
    return numbers(index[column])


# -- all together -----------------------------------------------------------------------------------------------------


def _prefixes(sources: Sequence[TileSource]) -> list[str]:
    """Return what goes before the ids of each source's tiles: nothing, unless two sources have one in common."""
    ids = [tile for source in sources for tile in source.index["tile_id"]]
    if len(set(ids)) == len(ids):
        return [""] * len(sources)
    names = [slug(source.survey) for source in sources]
    if len(set(names)) < len(names):
        name = next(name for name in names if names.count(name) > 1)
        raise InputError(
            f"two of the folders hold tiles of the same names, and both are of the survey {name}; "
            "give the surveys different names in their survey.toml"
        )
    return [f"{name}_" for name in names]


def _renamed(index: gpd.GeoDataFrame, prefix: str) -> gpd.GeoDataFrame:
    return index.assign(tile_id=[prefix + tile for tile in index["tile_id"]]) if prefix else index


def _stack(frames: Sequence[gpd.GeoDataFrame], crs: pyproj.CRS | None = None) -> Shapes:
    """Return several tables as one, in the CRS of the first of them that has one, and what is to be said of bringing them."""
    crs = crs or next((frame.crs for frame in frames if frame.crs is not None), None)
    if len(frames) > 1:
        frames = [_told_apart(frame) for frame in frames]
    placed = [Shapes(frame) if crs is None or frame.crs is None else _brought(frame, crs) for frame in frames]
    joined = pd.concat([pd.DataFrame(shapes.rows) for shapes in placed], ignore_index=True)
    notes = tuple(note for shapes in placed for note in shapes.notes)
    return Shapes(gpd.GeoDataFrame(joined, geometry="geometry", crs=crs), notes)


def _brought(frame: gpd.GeoDataFrame, crs: pyproj.CRS) -> Shapes:
    """Return tiles in the CRS of the dataset, and what is to be said of how well they lie there."""
    what = f"tiles such as {frame['tile_id'].iloc[0]}" if len(frame) else "tiles"
    return brought(
        frame, CRS.from_wkt(crs.to_wkt()), what=what, remedy="build a dataset of their own", pixel_m=frame["gsd_m"].min()
    )


def _told_apart(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a table whose clusters, plots and groups are those of no other survey."""
    if "survey" not in frame:
        return frame
    named = {
        column: [
            None if pd.isna(value) else f"{survey}:{int(value) if isinstance(value, float) and value.is_integer() else value}"
            for survey, value in zip(frame["survey"], frame[column], strict=True)
        ]
        for column in WITHIN_SITE
        if column in frame
    }
    return frame.assign(**named)


def _unused(labels: Sequence[Labels]) -> Iterator[str]:
    """Yield what is to be said of points, polygons and records that are of no tile of any source."""
    files: dict[Path, LabelFile] = {}
    for source in [one.source for one in labels if one.source is not None]:
        before = files.get(source.file)
        files[source.file] = source if before is None else replace(source, used=before.used | source.used)
    for file in files.values():
        if len(unused := np.flatnonzero(~file.used)):
            yield (
                f"{len(unused):,} of {len(file.used):,} {file.rows} of {file.file.name} are of no tile, "
                f"the first of them {file.place_of(int(unused[0]))}"
            )


def _longitude_note(index: gpd.GeoDataFrame, is_set_apart: bool) -> Iterator[str]:
    """Yield what is to be said of the longitudes and latitudes that a dataset gives its tiles."""
    where = index.geometry.dropna()
    if where.empty or index.crs is None:
        return
    if not has_place(index.crs):
        apart = "and sites lie side by side" if is_set_apart else "and sites are taken to be in common coordinates"
        more = f", {apart}" if len(set(sites_of(index))) > 1 else ""
        yield f"tiles are in {name_crs(index.crs)}, which has no place on Earth: longitude and latitude are empty{more}"
    elif shift := doubtful_shift(index.crs, EARTH, *median_place(where), pixel_m=index["gsd_m"].min()):
        yield f"longitude and latitude: {shift}"


def _mask_notes(masks: Sequence[TileMasks], contradicted: int, classes: Sequence[str]) -> Iterator[str]:
    """Yield what is to be said of ground whose class is not known pixel by pixel."""
    if contradicted:
        tiles = f"{counted(contradicted, 'tile')} to which a review gave another class"
        yield f"cover and mask are not known of {tiles} than labels have of their ground"
    for name in sorted({name for one in masks for name in one.ground.names} - set(classes)):
        yield f"no tile is of {name!r}, and its ground counts as unknown in masks"


def _notes(index: gpd.GeoDataFrame, classes: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if count := int(((index["label_from"] == "plot") & (index["class"] != classes[0])).sum()):
        notes.append(
            f"{count:,} label{'s are' if count > 1 else ' is'} that of a whole plot, and what is in a plot need not be in each "
            "of its tiles: review them"
        )
    half_m = (index["size_px"] * index["gsd_m"] / 2).astype(float)
    if count := int((index["accuracy_m"] > half_m).sum()):
        notes.append(
            f"{count:,} point{'s are' if count > 1 else ' is'} known worse than half a tile's side; "
            "`max_accuracy_m` leaves such points out"
        )
    return tuple(notes)
