"""A model moved to the site that it is to map: by a sample of the site's tiles, or by a few that have labels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from spurgekit.classify.classifier import TileClassifier
from spurgekit.classify.site_shift import FEWEST, SAMPLE, SiteShift, log_odds_of, shift_by_labels, shift_without_labels
from spurgekit.classify.tile_reader import mark_missing
from spurgekit.errors import InputError
from spurgekit.imagery import PixelSource, Window
from spurgekit.maps.cell_mask import CellMask
from spurgekit.maps.map_options import NO_ADAPTATION, TO_SITE, MapOptions
from spurgekit.maps.sliding_window import Sliding
from spurgekit.progress import Progress, silent
from spurgekit.text import counted

SHARE = 0.1
"""Share of the site's tiles that is looked at, where it is more than the fewest and less than the most that are of use."""

TRIES = 4
"""Tiles that are read for each that is wanted, where much of the image is without data."""


def moved_to_site(
    model: TileClassifier,
    raster: PixelSource,
    options: MapOptions,
    progress: Progress = silent,
    *,
    tile_px: int,
    aoi: BaseGeometry | None = None,
) -> tuple[TileClassifier, tuple[str, ...]]:
    """Return a model with its threshold where a site's tiles say that it belongs, and what is to be said of it.

    Parameters
    ----------
    model : TileClassifier
    raster : PixelSource
    options : MapOptions
        ``adapt`` says by what; ``min_valid`` which tiles have data enough.
    progress : Progress
    tile_px : int
        Side of a tile in pixels of the raster.
    aoi : shapely geometry, optional
        Only tiles whose centre lies in it are the site's, where a sample of these is looked at.

    Returns
    -------
    model : TileClassifier
        The same where there is no reason to move.
    notes : tuple of str

    Raises
    ------
    InputError
        If labels do not serve, the model tells cover, or has other than two classes and labels are given.
    """
    if options.adapt == NO_ADAPTATION:
        return model, ()
    if model.info.target == "cover":
        raise InputError(f"{model.folder or 'the model'} tells cover, which no threshold moves; pass `adapt='{NO_ADAPTATION}'`")
    sliding = Sliding(raster.grid, tile_px, tile_px)
    if options.adapt != TO_SITE:
        return _by_labels(model, raster, sliding, options, progress)
    if len(model.info.classes) != 2:
        return model, (f"a model of {len(model.info.classes)} classes is not moved to the site; that is done for two",)
    if model.prevalence is not None:
        return model, ("probabilities are not moved to the site: the prevalence that was given puts the threshold",)
    mask = CellMask.everywhere(sliding.cells) if aoi is None else CellMask.on(aoi, sliding.cells)
    rows, cols = mask.numbers() if mask is not None else ((), ())
    if len(rows) < FEWEST:
        what = "it" if aoi is None else "the area of interest"
        return model, (f"probabilities are not moved to the site: {what} has fewer than {FEWEST} tiles",)
    most = min(SAMPLE, max(FEWEST, int(SHARE * len(rows))))
    order = np.random.default_rng(0).permutation(len(rows))[: TRIES * most]
    windows = (sliding.tile(int(rows[number]), int(cols[number])) for number in order)
    found = _log_odds(model, raster, windows, options, most, progress)[0]
    shift = SiteShift(shift_without_labels(found), "tiles of the site without labels", len(found))
    if shift.log_odds == 0:
        return model, (
            f"probabilities are not moved to the site: {shift.tiles} tiles of it do not part in two at the threshold",
        )
    how = f"{shift.log_odds:+.2f} in log odds, as {shift.tiles} tiles of it part in two"
    return model.on_site(shift), (f"probabilities are moved to the site by {how}; they are for it alone",)


def _by_labels(
    model: TileClassifier, raster: PixelSource, sliding: Sliding, options: MapOptions, progress: Progress
) -> tuple[TileClassifier, tuple[str, ...]]:
    import geopandas as gpd  # large, and of no use to other maps

    from spurgekit.dataset.shape_labels import labels_from_vector
    from spurgekit.vectors import read_vector

    file, classes, grid = Path(options.adapt), model.info.classes, raster.grid
    if len(classes) != 2:
        raise InputError(f"{file}: a model of {len(classes)} classes cannot be moved to a site; pass `adapt='{NO_ADAPTATION}'`")
    if grid.crs is None:
        raise InputError(f"{raster.path} has no CRS to find the labels of {file} by; pass `image_crs`")
    shapes = read_vector(file, grid.crs, pixel_m=grid.gsd_m)
    if not (shapes.rows.geom_type == "Point").all():
        raise InputError(f"{file} holds other than points; give each tile that you know a point with its class")
    cells = sliding.cells
    at = np.column_stack(grid.to_pixel(shapes.rows.geometry.x, shapes.rows.geometry.y)) // sliding.tile_px
    inside = ((at >= 0) & (at < [cells.width, cells.height])).all(axis=1)
    windows = [sliding.tile(int(row), int(col)) for col, row in np.unique(at[inside].astype(int), axis=0)]
    index = gpd.GeoDataFrame(geometry=[grid.footprint(window) for window in windows], crs=shapes.rows.crs)
    labels = labels_from_vector(index, shapes.rows, column=None, classes=classes, min_cover=0.0, where=file)
    targets = labels.names.map({name: number for number, name in enumerate(classes)})
    known = [(window, int(target)) for window, target in zip(windows, targets, strict=True) if target == target]
    odds, kept = _log_odds(model, raster, (window for window, _ in known), options, len(known), progress)
    used = np.array([known[number][1] for number in kept], np.int64)
    if missing := [name for number, name in enumerate(classes) if not (used == number).any()]:
        raise InputError(f"{file} has no tile of {missing[0]!r} on this site with data; the shift needs one of each class")
    shift = SiteShift(shift_by_labels(odds, used), file.name, len(used))
    notes = (*shapes.notes, *labels.notes)
    if unknown := int((labels.names.notna() & targets.isna()).sum()):
        notes += (f"{file}: {counted(unknown, 'tile')} of other classes than {' and '.join(classes)} are left out",)
    if dark := len(known) - len(kept):
        notes += (f"{file}: {counted(dark, 'tile')} without data enough are left out",)
    if left_out := len(shapes.rows) - int(inside.sum()):
        notes += (f"{file}: {left_out} of {len(shapes.rows)} points lie off the image",)
    counts = " and ".join(f"{int((used == number).sum())} of {name}" for number, name in enumerate(classes))
    notes += (f"probabilities are moved to the site by {shift.log_odds:+.2f} in log odds, by labels of {counts}",)
    return model.on_site(shift), notes


def _log_odds(
    model: TileClassifier, raster: PixelSource, windows: Iterable[Window], options: MapOptions, most: int, progress: Progress
) -> tuple[NDArray[np.float64], list[int]]:
    """Return the log odds of up to so many tiles that have data enough, and which ones of those asked for they are."""
    odds: list[NDArray[np.float64]] = []
    kept: list[int] = []
    batch: list[NDArray[np.generic]] = []

    def look() -> None:
        if batch:
            odds.append(log_odds_of(model.predict(np.stack(batch))))
            batch.clear()

    with progress("looking at the site", most) as advance:
        for number, window in enumerate(windows):
            if len(kept) == most:
                break
            pixels, valid = raster.read(window)
            if valid.mean() < max(options.min_valid, 1e-9):
                continue
            mark_missing(pixels, valid)
            batch.append(pixels)
            kept.append(number)
            if len(batch) == options.batch_size:
                look()
            advance(1)
        look()
        advance(most - len(kept))
    return np.concatenate(odds) if odds else np.empty(0), kept
