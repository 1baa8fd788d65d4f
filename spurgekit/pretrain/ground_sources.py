"""Ground that a backbone learns from, and ground that judges it: of orthomosaics, of folders of tiles, of datasets.

Ground is held out by place: what judges a model was near to nothing that it learned from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from spurgekit.dataset.places import place_names
from spurgekit.dataset.sources import IMAGE, TileSource, read_source
from spurgekit.diffusion.image_tensors import Picture, picture_size, read_picture
from spurgekit.diffusion.pretraining.crop_pool import GroundPiece, origins_of
from spurgekit.errors import InputError, renamed
from spurgekit.image_names import ImageName
from spurgekit.imagery import Raster, Window, open_raster
from spurgekit.outlines import read_outlines
from spurgekit.pretrain.pretrain_options import PretrainOptions
from spurgekit.progress import Progress, silent
from spurgekit.seeds import seed_of
from spurgekit.text import counted, shown
from spurgekit.tiles.tile_options import UNLABELLED

TILES = 4
"""Tiles along a piece of an image, which is read as a whole; no crop reaches from one into another."""

BLOCK = 8
"""Tiles along a block of ground, which is held out as a whole."""

LEAST_TRAINING, LEAST_HELD_OUT = 32, 16
"""Tiles without which there is nothing to learn, and nothing to judge by."""

EDGE = 1e-3
"""Share of the length of a tile's outline by which neighbours may overlap: coordinates are rounded."""

GSD_TOLERANCE = 0.01
"""By which share pixels of several sources may differ on the ground."""


@dataclass(frozen=True, slots=True, eq=False)
class SurveyGround:
    """Ground to learn from, and ground that judges.

    Attributes
    ----------
    training, held_out : tuple of GroundPiece
    tile_px : int
        Side of a tile.
    training_tiles, held_out_tiles : int
        Whole tiles, side by side, that pieces have.
    inputs : tuple
        What was read.
    notes : tuple of str
        What is to be said.
    """

    training: tuple[GroundPiece, ...]
    held_out: tuple[GroundPiece, ...]
    tile_px: int
    training_tiles: int
    held_out_tiles: int
    inputs: tuple[ImageName, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """A piece, the place that it is of, how many whole tiles it has, and the ground of one that neighbours may overlap."""

    piece: GroundPiece
    place: str
    tiles: int
    is_test: bool = False
    ground: Polygon | None = None


def gather_ground(sources: Sequence[ImageName], options: PretrainOptions, progress: Progress = silent) -> SurveyGround:
    """Look through what a backbone is to learn from, and part it.

    Parameters
    ----------
    sources : sequence of pathlib.Path or GdalName
        Orthomosaics, or folders: of tiles, datasets, of images.
    options : PretrainOptions
    progress : Progress

    Raises
    ------
    InputError
        If sources are missing, of mixed kinds, ground sample distances, sizes or bands, or have too few tiles.
    """
    if not sources:
        raise InputError("there is nothing to learn from; name orthomosaics, or a folder of tiles")
    folders = [source for source in sources if isinstance(source, Path) and source.is_dir()]
    if folders and len(folders) < len(sources):
        raise InputError("images and folders of tiles cannot be mixed; cut the images with 'spurgekit tile', and name those")
    if folders:
        found, tile_px, notes = _of_folders(folders, options, progress)
    else:
        found, notes = _of_images(sources, options, progress)
        tile_px = options.tile_px
    held, more = _held_out(found, options)
    tested = [one for one in found if one.place in held]
    training, near = _apart([one for one in found if one.place not in held], tested)
    if near:
        more.append(f"{counted(near, 'tile')} left out that share ground with held-out ones")
    ground = SurveyGround(
        training=tuple(one.piece for one in training),
        held_out=tuple(one.piece for one in tested),
        tile_px=tile_px,
        training_tiles=sum(one.tiles for one in training),
        held_out_tiles=sum(one.tiles for one in tested),
        inputs=tuple(sources),
        notes=(*notes, *more),
    )
    _check_enough(ground)
    return ground


def whole_tiles(pieces: Iterable[GroundPiece], tile_px: int) -> list[Picture]:
    """Return the tiles of pieces that lie side by side on data alone, piece by piece and row by row.

    Returns
    -------
    list of ndarray of uint8, shape (tile_px, tile_px, 3)
    """
    found = []
    for piece in pieces:
        picture, valid = piece.read()
        for row, column in _corners(valid, tile_px):
            found.append(np.ascontiguousarray(picture[row : row + tile_px, column : column + tile_px]))
    return found


def _corners(valid: NDArray[np.bool_], tile_px: int) -> list[tuple[int, int]]:
    """Return the upper left corners of the tiles of a piece that lie on data alone.

    >>> _corners(np.array([[True, True], [False, True]]), 1)
    [(0, 0), (0, 1), (1, 1)]
    """
    steps = range(0, len(valid) - tile_px + 1, tile_px)
    return [(row, col) for row in steps for col in steps if valid[row : row + tile_px, col : col + tile_px].all()]


def _of_images(paths: Sequence[ImageName], options: PretrainOptions, progress: Progress) -> tuple[list[_Found], list[str]]:
    found: list[_Found] = []
    notes: list[str] = []
    gsds_m: dict[ImageName, float] = {}
    side = TILES * options.tile_px
    without, hit = Polygon(), options.without is None
    for number, path in enumerate(paths):
        with _opened(path, options) as raster:
            if len(raster.bands) != 3 or raster.dtype != np.uint8:
                raise InputError(
                    f"{path} has {counted(len(raster.bands), 'band')} of {raster.dtype}; diffusion models paint 3 of uint8: "
                    "name red, green and blue as `bands`, or make an image of them"
                )
            if len(paths) > 1:
                gsds_m[path] = raster.gsd_m
            if options.without is not None:
                with renamed(declared_crs="without_crs"):
                    outlines = read_outlines(
                        options.without, raster, what="ground to go without is", declared_crs=options.without_crs
                    )
                without = outlines.rows.union_all()
                notes += outlines.notes
                hit |= bool(without.intersects(raster.grid.footprint()))
            squares = list(raster.grid.squares(side))
            place = raster.site.replace("-", " ").replace("_", " ")
            with progress(f"looking at {path.name}", len(squares)) as advance:
                for row, column, window in squares:
                    valid = raster.read(window)[1] & _kept(raster, window, without)
                    origins = int(origins_of(valid, options.tile_px).sum())
                    if origins:
                        name = f"{raster.site}_{number}_r{row:04d}_c{column:04d}"
                        piece = GroundPiece(name, place, "", origins, partial(_read, path, options, window, without))
                        each = BLOCK // TILES
                        found.append(
                            _Found(
                                piece,
                                f"{raster.site}_{number}_{row // each}_{column // each}",
                                len(_corners(valid, options.tile_px)),
                            )
                        )
                    advance(1)
            notes += [f"{path.name} {note}" for note in raster.notes]
    if not hit:
        raise InputError(
            f"{options.without} touches none of the images; check its CRS (`without_crs`), and whether it is of that site"
        )
    _check_gsd(gsds_m, "pass `gsd_m` to resample all of them")
    return found, notes


def _opened(path: ImageName, options: PretrainOptions) -> Raster:
    return open_raster(path, gsd_m=options.gsd_m, bands=options.bands, nodata=options.nodata)


def _read(
    path: ImageName, options: PretrainOptions, window: Window, without: BaseGeometry
) -> tuple[Picture, NDArray[np.bool_]]:
    with _opened(path, options) as raster:
        pixels, valid = raster.read(window)
        valid &= _kept(raster, window, without)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0)).astype(np.uint8, copy=False), valid


def _kept(raster: Raster, window: Window, without: BaseGeometry) -> NDArray[np.bool_]:
    """Return which pixels of a window are touched by no ground to go without."""
    shape = window.height, window.width
    if not without.intersects(raster.grid.footprint(window)):
        return np.ones(shape, np.bool_)
    transform = raster.grid.crop(window).transform
    return np.asarray(rasterize([without], shape, transform=transform, all_touched=True, dtype=np.uint8) == 0)


def _of_folders(folders: Sequence[Path], options: PretrainOptions, progress: Progress) -> tuple[list[_Found], int, list[str]]:
    for name in ("gsd_m", "bands", "nodata", "without"):
        if getattr(options, name) is not None:
            raise InputError(f"`{name}` is for images, and these are folders of tiles; leave it out")
    tables, notes, gsds_m = [], [], {}
    for folder in folders:
        source = read_source(folder)
        rows, said = _rows(source)
        notes += [*source.notes, *said]
        known = rows["gsd_m"].dropna() if "gsd_m" in rows else pd.Series(dtype=float)
        for value in (known.min(), known.max()) if len(known) else ():
            gsds_m[folder / f"tiles of {value:g} m"] = float(value)
        date = f"{source.date:%B %Y}" if source.date else ""
        tables.append(rows.assign(date=date, survey=source.survey, has_gaps=not source.of_images))
    _check_gsd(gsds_m, "tile again with one `gsd_m`")
    rows = gpd.GeoDataFrame(pd.concat(tables, ignore_index=True))
    sizes: Counter[tuple[int, int]] = Counter()
    with progress("looking at tiles", len(rows)) as advance:
        for path in rows[IMAGE]:
            sizes[picture_size(path)] += 1  # which refuses tiles of other bands
            advance(1)
    if len(sizes) > 1 or any(height != width for height, width in sizes):
        listed = ", ".join(f"{count:,} of {width} x {height} px" for (height, width), count in sizes.most_common(3))
        raise InputError(f"tiles are not squares of one size ({listed}); tile again with one `size_px`")
    found = [
        _Found(
            GroundPiece(
                str(row["tile_id"]),
                str(row.get("site") or row["survey"]).replace("-", " ").replace("_", " "),
                row["date"],
                1,
                partial(_read_tile, row[IMAGE], fills=row["has_gaps"]),
            ),
            "test" if row["is_test"] and options.leave_out is None else place,
            1,
            bool(row["is_test"]),
            row.get("geometry"),
        )
        for (_, row), place in zip(rows.iterrows(), _places(rows, options), strict=True)
    ]
    return found, next(iter(sizes), (0, 0))[0], notes


def _read_tile(path: Path, *, fills: bool) -> tuple[Picture, NDArray[np.bool_]]:
    picture = read_picture(path, fills=fills)
    return picture, np.ones(picture.shape[:2], np.bool_)


def _rows(source: TileSource) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return the tiles of a source that are whole, which of them its dataset tests with, and what is to be said."""
    index = source.configs.get(UNLABELLED, source.index)
    index = index.assign(is_test=index["split"].eq("test") if "split" in index else False)
    whole = index["valid_fraction"].fillna(1).ge(1) if "valid_fraction" in index else pd.Series(True, index.index)
    notes = []
    if not whole.all():
        notes.append(f"{counted(int((~whole).sum()), 'tile')} of {source.path.name} with pixels without data left out")
    return index[whole], notes


def _apart(training: Sequence[_Found], tested: Sequence[_Found]) -> tuple[list[_Found], int]:
    """Return what shares no ground with what is held out, and how much was left out."""
    others = [one.ground for one in tested if one.ground is not None]
    if not others:
        return list(training), 0
    tree = shapely.STRtree([shapely.buffer(shape, -EDGE * shape.length) for shape in others])  # neighbours may meet
    apart = [one for one in training if one.ground is None or not len(tree.query(one.ground, predicate="intersects"))]
    return apart, len(training) - len(apart)


def _places(rows: gpd.GeoDataFrame, options: PretrainOptions) -> list[str]:
    """Return the place that each tile is of."""
    if options.leave_out is not None:
        if options.leave_out not in rows or rows[options.leave_out].isna().any():
            known = [
                str(name) for name in rows.columns if name not in (IMAGE, "geometry", "is_test") and rows[name].notna().all()
            ]
            raise InputError(
                f"tiles have no column {shown(options.leave_out)} with a place for each; there are {', '.join(known)}"
            )
        return list(place_names(rows[options.leave_out]))
    if "geometry" in rows and rows.geometry.notna().all():
        corners = rows.geometry.bounds[["minx", "miny"]].to_numpy()
        sides = (rows.geometry.bounds["maxx"] - rows.geometry.bounds["minx"]).median() * BLOCK
        cells = np.floor(corners / sides).astype(int)
        return [f"{survey}_{x}_{y}" for survey, (x, y) in zip(rows["survey"], cells.tolist(), strict=True)]
    column = next((name for name in ("group", "plot", "site") if name in rows and len(rows[name].unique()) > 1), "tile_id")
    return list(place_names(rows[column]))


def _held_out(found: Sequence[_Found], options: PretrainOptions) -> tuple[set[str], list[str]]:
    """Return the places that are held out, and what is to be said: a dataset's own where it has a split, else a share."""
    if options.leave_out is None and (tested := {one.place for one in found if one.is_test}):
        return tested, []
    if not options.held_out:
        return set(), ["no place is held out, so that the model is not judged"]
    names = sorted({one.place for one in found}, key=lambda name: seed_of(options.seed, "held out", name))
    return set(names[: max(1, round(options.held_out * len(names)))]), []


def _check_gsd(gsds_m: Mapping[Any, float], remedy: str) -> None:
    """Refuse ground of more than one scale."""
    if not gsds_m:
        return
    (fine, low), (coarse, high) = (pick(gsds_m.items(), key=lambda item: item[1]) for pick in (min, max))
    if high / low > 1 + GSD_TOLERANCE:
        raise InputError(f"{fine} has {low:.4g} m a pixel, and {coarse} {high:.4g} m; {remedy}")


def _check_enough(ground: SurveyGround) -> None:
    """Refuse ground that is too little to learn from, or to judge by."""
    total = ground.training_tiles + ground.held_out_tiles
    if ground.training_tiles < LEAST_TRAINING:
        raise InputError(
            f"there are {counted(ground.training_tiles, 'whole tile')} of {ground.tile_px} px to learn from, of {total:,}; it "
            f"takes {LEAST_TRAINING} at least, and hundreds to be of use: name more ground, or pass a smaller `tile_px` or "
            "`held_out`"
        )
    if ground.held_out and ground.held_out_tiles < LEAST_HELD_OUT:
        raise InputError(
            f"there are {counted(ground.held_out_tiles, 'whole tile')} to judge by, of {total:,}; it takes {LEAST_HELD_OUT} at "
            "least: pass a larger `held_out`, or 0 to go without"
        )
