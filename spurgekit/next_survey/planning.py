"""``spurgekit next-survey``: a map in, a walk past the tiles of it out that would teach its model most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spurgekit.classify.classifier import TileClassifier, load_model
from spurgekit.classify.model_info import read_model_info
from spurgekit.dihedral import VIEW_COUNTS
from spurgekit.errors import InputError
from spurgekit.image_names import GdalName, ImageName, image_name
from spurgekit.imagery import Mosaic, PixelGrid, Raster, open_images, parse_crs
from spurgekit.imagery.crs import has_place, points_in
from spurgekit.imagery.raster import slug
from spurgekit.maps.looking import check_bands
from spurgekit.maps.map_folder import RASTER, REMEDY, SUMMARY, MapSummary, check_map, find_images, opened_as
from spurgekit.maps.mapped_cells import MappedCells, find_model, read_cells
from spurgekit.next_survey.candidates import Candidates, drawn, look_at, tiles_apart
from spurgekit.next_survey.choosing import choose_tiles
from spurgekit.next_survey.next_survey_options import NextSurveyOptions
from spurgekit.next_survey.products import Walk, write_walk
from spurgekit.next_survey.walking import distances, length_of
from spurgekit.outputs import fingerprint, output_folder, read_provenance
from spurgekit.parallel import cores
from spurgekit.precision import Precision
from spurgekit.progress import Progress, silent
from spurgekit.reading import read_described
from spurgekit.text import counted

FAR_M = 10_000
"""A start that lies farther off a map than this is hardly meant in its CRS."""


@dataclass(frozen=True, slots=True)
class NextSurveyReport:
    """A walk that was planned.

    Attributes
    ----------
    folder : pathlib.Path
    tiles : int
        To look at.
    support_m : float
        Side of a tile.
    walk_m : float
        Length of the walk.
    uncertainty, uncertainty_of_map : float
        Mean over these tiles, and over all that were to be chosen from.
    unlike : int
        Of these tiles, how many are unlike those that the model learned from.
    files : tuple of str
    notes : tuple of str
        What was assumed and left out.
    """

    folder: Path
    tiles: int
    support_m: float
    walk_m: float
    uncertainty: float
    uncertainty_of_map: float
    unlike: int
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()


def plan_survey(
    map_folder: str | Path,
    out: str | Path,
    options: NextSurveyOptions | None = None,
    *,
    image: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> NextSurveyReport:
    """Plan where botanists look next: ``points.gpkg``, ``.csv`` and ``.gpx``, ``route.gpx``, ``summary.json``, a picture.

    Tiles are chosen that the map is unsure of, that are unlike the training tiles and one another, and that stand for much of
    the ground; see :func:`spurgekit.next_survey.choose_tiles`.

    Parameters
    ----------
    map_folder : str or pathlib.Path
        That :func:`spurgekit.map_site` made; its image and its model have to be there still.
    out : str or pathlib.Path
        Folder to make; it appears only when all is done.
    options : NextSurveyOptions, optional
    image : str or pathlib.Path, optional
        The image that was mapped. Default: where the map's provenance says.
    overwrite : bool
        Replace a folder that spurgekit made before.
    progress : Progress

    Returns
    -------
    NextSurveyReport

    Raises
    ------
    OutputExistsError
        If the folder is there already.
    ModelError
        If the model's folder is damaged.
    InputError
        If the folder holds no map, or one without a place on Earth; the image or the model is gone, or the model does not know
        its training tiles; the map has fewer tiles than are asked for; or the start lies off it.

    Examples
    --------
    >>> import spurgekit
    >>> options = spurgekit.NextSurveyOptions(tiles=20, walk_m=500)
    >>> report = spurgekit.plan_survey("maps/site", "next-surveys/site", options)  # doctest: +SKIP
    >>> report.walk_m  # doctest: +SKIP
    441.7
    """
    options, map_folder = options or NextSurveyOptions(), Path(map_folder)
    check_map(map_folder)
    summary = read_described(map_folder / SUMMARY, MapSummary, REMEDY)
    if summary.cover:
        raise InputError(f"{map_folder} is a map of cover, which says how much and not how surely; name a map of presence")
    cells, support_m = read_cells(map_folder / RASTER), summary.support_m or summary.cell_m
    if not has_place(cells.grid.crs):
        raise InputError(f"{map_folder} has no place on Earth to walk to; georeference its image, and map it again")
    start = _start(options, cells.grid, map_folder)
    rows, cols = tiles_apart(cells, support_m)
    if len(rows) < options.tiles:
        raise InputError(
            f"{map_folder} has {counted(len(rows), 'tile')} of {support_m:.2f} m side by side, fewer than "
            f"`tiles={options.tiles}`; pass fewer"
        )
    record = read_provenance(map_folder)
    said = record.get("parameters")
    parameters: dict[str, Any] = said if isinstance(said, dict) else {}
    model = _model(map_folder, record, parameters, cells, options)
    shown, notes = _image(map_folder, summary, record, None if image is None else image_name(image))
    site = slug(map_folder.resolve().name)
    some = drawn(rows, cols, options.candidates, site)
    if len(some[0]) < len(rows):
        notes += (f"{len(some[0]):,} of the {len(rows):,} tiles of the map are looked at, drawn at random",)
    assert model.folder is not None  # it was loaded from there
    inputs = [map_folder, *shown, model.folder]
    with output_folder(out, "next survey", parameters=options.parameters(), inputs=inputs, overwrite=overwrite) as folder:
        with _opened(shown, cells.grid, parameters, model.info.gsd_m) as raster:
            check_bands(raster, model)
            notes += raster.notes
            seen = look_at(raster, model, cells, *some, batch_size=options.batch_size, progress=progress)
        if dark := len(some[0]) - len(seen):
            notes += (f"{raster.path.name} has too little of {counted(dark, 'tile')}, left out",)
        walk = _walk(seen, model, cells, site, support_m, start, options)
        with _opened(shown, cells.grid, parameters) as raster:
            files = write_walk(folder, walk, cells, raster, progress)
    if len(walk) < options.tiles:
        why = f"`walk_m={options.walk_m:g}` reaches" if options.walk_m is not None else "the image has"
        notes += (f"{why} {len(walk)} of the {options.tiles} tiles that were asked for",)
    return NextSurveyReport(
        Path(out), len(walk), support_m, walk.length_m, float(walk.tiles.uncertainty.mean()), float(seen.uncertainty.mean()),
        int(walk.is_unlike.sum()), files, notes,
    )  # fmt: skip


def _walk(
    seen: Candidates,
    model: TileClassifier,
    cells: MappedCells,
    site: str,
    support_m: float,
    start: NDArray[np.float64] | None,
    options: NextSurveyOptions,
) -> Walk:
    assert model.applicability is not None
    unit_m, walk_m = cells.grid.metres_per_unit, math.inf if options.walk_m is None else options.walk_m
    places_m = np.column_stack(cells.grid.to_world(seen.cols + 0.5, seen.rows + 0.5)) * unit_m
    start_m = None if start is None else start * unit_m
    order = choose_tiles(
        seen.features, seen.uncertainty, model.applicability.features, places_m,
        tiles=options.tiles, start=start_m, walk_m=walk_m,
    )  # fmt: skip
    if not order:
        raise InputError(f"`walk_m={walk_m:g}` reaches no tile from the start and back; pass more")
    length_m = length_of([*range(len(order) + 1)], distances(places_m[order], start_m))
    return Walk(site, seen.of(order), support_m, length_m, model.applicability.threshold, start)


def _start(options: NextSurveyOptions, grid: PixelGrid, map_folder: Path) -> NDArray[np.float64] | None:
    """Return where a walk begins, in the CRS of a map, shape (2,); None where that is left open.

    Raises
    ------
    InputError
        If it is not on the map.
    """
    if options.start is None:
        return None
    at = np.array([options.start])
    if options.start_crs is not None:
        assert grid.crs is not None
        at = points_in(at, parse_crs(options.start_crs), grid.crs)
    place = np.ravel(grid.to_pixel(*at.T))
    off = np.maximum(np.maximum(-place, place - [grid.width, grid.height]), 0) * grid.pixel_size_m
    if off.any():
        metres = float(np.hypot(*off))
        remedy = "pass a place on it" if metres < FAR_M else "pass one on it, or `start_crs`, the CRS that it is in"
        given = ",".join(f"{value:.10g}" for value in options.start)
        raise InputError(f"`start={given}` lies {metres:,.0f} m off {map_folder}; {remedy}")
    return np.asarray(at[0], np.float64)


def _model(
    map_folder: Path, record: dict[str, Any], parameters: dict[str, Any], cells: MappedCells, options: NextSurveyOptions
) -> TileClassifier:
    """Load the model of a map, to look at tiles as it did.

    Raises
    ------
    InputError
        If it is gone, is another, or does not know its training tiles.
    """
    found = options.model or find_model(map_folder, record)
    if found is None:
        raise InputError(
            f"the model of {map_folder} is not where it was when mapped, and no map says what is new to it; pass `model`"
        )
    info = read_model_info(found)
    if info.classes != cells.classes:
        raise InputError(f"{found} is not the model of {map_folder}: its classes are {', '.join(info.classes)}; pass `model`")
    views = parameters.get("views")
    precision: Precision = "bfloat16" if parameters.get("precision") == "bfloat16" else "float32"
    model = load_model(found, options.device, views=views if views in VIEW_COUNTS else None, precision=precision)
    if model.applicability is None:
        raise InputError(
            f"{found} does not know its training tiles, so nothing tells what is new to it; train it again, and map with it"
        )
    return model


def _image(
    map_folder: Path, summary: MapSummary, record: dict[str, Any], given: ImageName | None
) -> tuple[tuple[ImageName, ...], tuple[str, ...]]:
    """Return the images of a map, and what is to be said of them.

    Raises
    ------
    InputError
        If one is gone.
    """
    if given is not None:
        inputs = record.get("inputs")
        there = isinstance(given, GdalName) or given.is_file()
        if there and isinstance(inputs, dict) and fingerprint(given) not in inputs.values():
            return (given,), (f"{given.name} is not the file that was mapped, or was changed since: does it show the same?",)
        return (given,), ()
    images, why = find_images(map_folder, summary.images)
    if not images:
        raise InputError(f"{why}, and tiles are looked at on it; pass `image`")
    return images, ()


def _opened(
    images: Sequence[ImageName], grid: PixelGrid, parameters: dict[str, Any], gsd_m: float | None = None
) -> Raster | Mosaic:
    """Open images as they were when mapped."""
    bands = parameters.get("bands")
    assert grid.crs is not None
    return open_images(
        images, crs=grid.crs.to_wkt(), gsd_m=gsd_m, bands=bands if isinstance(bands, list) else None, threads=cores(),
        **opened_as(parameters),
    )  # fmt: skip
