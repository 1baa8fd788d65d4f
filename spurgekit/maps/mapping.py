"""``spurgekit map``: an image and a model in, a map folder out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio.io import DatasetWriter

from spurgekit.classify.classifier import TileClassifier
from spurgekit.classify.model_files import PREDICTIONS
from spurgekit.classify.runtime import TITLES
from spurgekit.errors import ElsewhereError, InputError
from spurgekit.executors import Workers, open_workers
from spurgekit.executors.workers import DEFAULT
from spurgekit.image_names import ImageName, image_name
from spurgekit.imagery import Mosaic, PixelGrid, PixelSource, Window
from spurgekit.imagery.pixel_grid import SAME_GSD
from spurgekit.imagery.quicklook import QuickLook, Sample
from spurgekit.maps.adapting import moved_to_site
from spurgekit.maps.bands import DISSIMILARITY, BandLayout
from spurgekit.maps.cell_mask import CellMask
from spurgekit.maps.extent import Extent, extent_of
from spurgekit.maps.looking import PartLook, cells_seen_twice, lattice_of, layout_of, open_site, parts_of, pixels_below
from spurgekit.maps.map_model import load_map_model
from spurgekit.maps.map_options import MapOptions
from spurgekit.maps.part_units import make_parts
from spurgekit.maps.parts import MapPart, PartStore
from spurgekit.maps.sliding_window import Cells, stride_of
from spurgekit.outputs import check_output, fingerprint, output_folder, output_lock, resolved, versions
from spurgekit.progress import Progress, silent
from spurgekit.text import counted

if TYPE_CHECKING:
    from spurgekit.maps.areas import AreaEstimate
    from spurgekit.maps.zones import ZoneAreas

MOST_NAMED = 3
"""Sites of which a message says why they cannot be mapped."""


@dataclass(frozen=True, slots=True)
class MapReport:
    """What a map shows.

    Attributes
    ----------
    folder : pathlib.Path
    cell_m : float
        Side of a cell.
    image_m2 : float
        Ground of all valid pixels; with an area of interest, of those in its cells.
    mapped_m2 : float
        The part of it that was looked at.
    support_m : float
        Side of a tile, of which a class is said.
    occupied : dict of AreaEstimate by class
        Ground of tiles that hold some of a class, of each class but the background.
    cover : dict of AreaEstimate by class
        Ground under the plant itself, where the model says how much of a tile is covered; else empty.
    polygons : int
    unlike_m2 : float or None
        Mapped ground whose tiles are unlike those that the model learned from (outside of its area of applicability); None
        where that is not known.
    aoi_m2 : float or None
        Ground of the area of interest, on the image or not; None where all of the image is mapped.
    zones : dict of ZoneAreas by name
        Each counted on its own; empty where no zones were given.
    notes : tuple of str
        What was assumed about the image, and what is doubtful about it.
    """

    folder: Path
    cell_m: float
    image_m2: float
    mapped_m2: float
    support_m: float
    occupied: dict[str, AreaEstimate]
    cover: dict[str, AreaEstimate]
    polygons: int
    unlike_m2: float | None = None
    aoi_m2: float | None = None
    zones: dict[str, ZoneAreas] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def map_site(
    image: str | Path | Sequence[str | Path],
    model: str | Path | TileClassifier,
    out: str | Path,
    options: MapOptions | None = None,
    *,
    overwrite: bool = False,
    executor: str | Workers = DEFAULT,
    progress: Progress = silent,
) -> MapReport:
    """Map a site: ``presence.tif`` (COG), ``presence.gpkg``, ``summary.json``, ``presence.png`` and styles for QGIS.

    Parts that are done are kept in a hidden folder beside ``out`` until all are: a run that was stopped goes on there.

    Parameters
    ----------
    image : str or pathlib.Path, or sequence of these
        The orthomosaic, by its path or by another name that GDAL reads, such as an address; it is resampled to the model's
        ground sample distance as it is read. Of several one map is made, along the axes of their CRS, corners of cells on
        multiples of a cell's side; where they overlap, the first that has data there is mapped.
    model : str, pathlib.Path or TileClassifier
        A model folder, ``hf://OWNER/NAME[@REVISION]``, or one that :func:`spurgekit.maps.map_model.load_map_model` or
        :func:`spurgekit.load_model` has loaded: for another device, other views of each tile, or another prevalence than in
        training.
    out : str or pathlib.Path
        Folder to make; it appears only when all is done.
    options : MapOptions, optional
    overwrite : bool
        Replace a folder that spurgekit made before, and begin anew where a run was stopped.
    executor : str or Workers
        Who looks at parts of the map: ``threads`` and ``processes`` of this machine, ``dask://HOST:PORT``, ``FILE.toml``; see
        :func:`spurgekit.executors.open_workers`. Workers load the model from its folder. The map is the same to the byte.
    progress : Progress
        Told how far it is; :func:`spurgekit.progress.bar` shows a bar on a terminal.

    Returns
    -------
    MapReport
        With the area that each class occupies and its interval.

    Raises
    ------
    OutputExistsError
        If the folder is there already, or was begun with other settings.
    ModelError
        If the model folder is none.
    InputError
        If the image cannot be mapped by this model, or the area of interest, the zones or the workers do not serve.

    Examples
    --------
    >>> import spurgekit
    >>> model = spurgekit.load_model("models/probe", views=1, prevalence="0.02")  # doctest: +SKIP
    >>> report = spurgekit.map_site("site.tif", model, "maps/site")  # doctest: +SKIP
    >>> report.occupied["leafy spurge"].estimate_m2  # doctest: +SKIP
    277.3
    """
    options = options or MapOptions()
    images, out = tuple(image_name(one) for one in ([image] if isinstance(image, str | Path) else image)), Path(out)
    if not images:
        raise InputError("there is nothing to map; pass an image")
    classifier = model if isinstance(model, TileClassifier) else load_map_model(model)
    classifier, chosen = _run_as_begun(classifier, {} if overwrite else PartStore.settings_begun(out))
    layout = layout_of(classifier, options)
    with open_workers(executor) as workers, open_site(images, classifier, options) as raster:
        lattice = lattice_of(raster, classifier, options)
        extent = extent_of(raster, lattice.cells, options)
        classifier, notes = moved_to_site(classifier, raster, options, progress, tile_px=lattice.tile_px, aoi=extent.aoi)
        if isinstance(raster, Mosaic):
            twice = counted(cells_seen_twice(raster, lattice, extent.mask), "cell")
            notes = (f"of {twice} several images have data: the first one named is mapped", *notes)
        inputs = [*images, *([] if classifier.folder is None else [classifier.folder]), *options.files]
        parameters = {**options.parameters(), **classifier.parameters()}
        look = PartLook(raster, classifier, options, pixels_below(extent.mask, lattice))
        parts = parts_of(extent.mask, raster, lattice)
        with output_lock(resolved(out)):
            check_output(out, "map", inputs=inputs, overwrite=overwrite)
            store = PartStore(out, _settings(images, classifier, options, extent, layout))
            with store.kept(anew=overwrite, lasting=classifier.folder is not None):
                there = sum(map(store.has, parts))
                _make(workers, look, extent.mask, parts, store, progress)
                with output_folder(out, "map", parameters=parameters, inputs=inputs, overwrite=overwrite) as folder:
                    strips = folder / "strips.tif"
                    cells, picture, unlike_m2 = _join(strips, ((rows, store.get(rows)) for rows in parts), look, extent, layout)
                    if not cells.is_mapped.any():
                        where = "" if options.aoi is None else f" in {options.aoi}"
                        raise InputError(
                            f"{raster.path} has no cell with data to map{where}; "
                            "look at its alpha band or nodata value with 'spurgekit info'"
                        )
                    from spurgekit.maps.products import write_products  # 150 MB that the model's run has no need of

                    made = write_products(folder, cells, extent, strips, picture, layout, classifier, unlike_m2, progress)
        if there:
            notes = (f"a map that was stopped is gone on with: {there} of {len(parts)} parts were there", *notes)
        return MapReport(
            out,
            cells.grid.gsd_m,
            cells.image_m2,
            cells.mapped_m2,
            cells.support_m,
            made.areas.occupied,
            made.areas.cover,
            made.polygons,
            unlike_m2,
            extent.aoi_m2,
            made.zones,
            (*_notes(raster, classifier, options), *chosen, *notes, *extent.notes, *made.notes),
        )


def _run_as_begun(model: TileClassifier, begun: Mapping[str, Any]) -> tuple[TileClassifier, tuple[str, ...]]:
    """Return a model run by what a map was begun with, where a trial alone chose, and what is to be said of the choice."""
    if model.trial is None:
        return model, ()
    if (runtime := begun.get("runtime", model.runtime)) in TITLES and runtime != model.runtime:
        return model.run_by(runtime), (f"the network runs by {TITLES[runtime]}, as the map was begun",)
    return model, (model.trial.note,)


def _make(
    workers: Workers, look: PartLook, mask: CellMask, parts: Sequence[range], store: PartStore, progress: Progress
) -> None:
    """Make the parts that are missing."""
    if workers.in_process:  # one stream, which fills batches over the edges of parts; torch has its own threads
        for run in store.missing(parts):
            for rows, part in look.at(mask.rows(range(run[0].start, run[-1].stop)), run, progress):
                store.put(rows, part)
        return
    missing = [rows for rows in parts if not store.has(rows)]
    cells = sum(int(mask.rows(rows).inside.sum()) for rows in missing)
    with progress(f"mapping {look.raster.path.name}", cells) as advance:
        for unit in make_parts(workers, look, mask, missing, store):
            advance(int(unit.mask.inside.sum()))


def _join(
    path: Path, parts: Iterable[tuple[range, MapPart]], look: PartLook, extent: Extent, layout: BandLayout
) -> tuple[Cells, QuickLook, float | None]:
    """Write the GeoTIFF that all parts make.

    Returns
    -------
    cells : Cells
    picture : QuickLook
    unlike_m2 : float or None
        Mapped ground that is unlike the training tiles, where that is known.
    """
    raster, model = look.raster, look.model
    images = tuple(one.path.name for one in (raster.rasters if isinstance(raster, Mosaic) else (raster,)))
    cells, picture = Cells.empty(images, extent.cells, model.info), QuickLook(raster, window=look.picture)
    cell_px, unlike_m2 = lattice_of(raster, model, look.options).cell_px, None if model.applicability is None else 0.0
    if raster.collar is not None:
        raster.collar.taken()  # parts have it, those that were made elsewhere as well
    with _create(path, cells.grid, layout) as file:
        for rows, part in parts:
            window = Window(0, rows.start, cells.grid.width, len(rows))
            file.write(part.found, window=window.to_rasterio())
            cells.put(window, part.found, part.valid, layout)
            picture.add([Sample(rows.start * cell_px // picture.sampler.factor, 0, part.look_sums, part.look_counts)])
            if raster.collar is not None:
                seen, *counts = part.collar.tolist()
                raster.collar.add(seen, dict(zip(raster.collar.colours, counts, strict=True)))
            if model.applicability is not None and unlike_m2 is not None:
                unlike = part.found[layout.channels(DISSIMILARITY.name)][0] > model.applicability.threshold
                unlike_m2 += cells.ground_m2(unlike, of=window)
    return cells, picture, unlike_m2


def _settings(
    images: Sequence[ImageName], model: TileClassifier, options: MapOptions, extent: Extent, layout: BandLayout
) -> dict[str, Any]:
    """Return what the parts of a map depend on."""
    cells = replace(options, zones=None, zones_crs=None, zone_column=None)
    grid = extent.cells
    return {
        **cells.parameters(),
        **model.parameters(),
        **{str(path): fingerprint(path) for path in (*images, *([] if model.folder is None else [model.folder]), *cells.files)},
        "moved to site": None if model.shift is None else asdict(model.shift),
        "images": [str(image) for image in images],
        "grid": [grid.width, grid.height, *tuple(grid.transform)[:6]],
        "bands of the map": layout.titles,
        "versions": versions(),
    }


def sites_to_map(
    images: Mapping[str, ImageName], model: TileClassifier, options: MapOptions
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the sites of a survey that an area of interest and zones have ground on, and what is to be said of the others.

    Parameters
    ----------
    images : mapping of pathlib.Path or GdalName by name of site
    model : TileClassifier
        That is to map them.
    options : MapOptions

    Returns
    -------
    sites : tuple of str
        All of them, where there are neither.
    notes : tuple of str

    Raises
    ------
    InputError
        If no site is left, or a file or an image does not serve.
    """
    if options.aoi is None and options.zones is None:
        return tuple(images), ()
    kept: list[str] = []
    notes: list[str] = []
    for name, image in images.items():
        with open_site([image], model, options) as raster:
            try:
                extent_of(raster, lattice_of(raster, model, options).cells, options)
            except ElsewhereError as error:
                notes.append(f"{name} is not mapped: {error}")
            else:
                kept.append(name)
    if not kept:
        raise InputError(f"no site is left to map: {'; '.join(notes[:MOST_NAMED])}{'; ...' * (len(notes) > MOST_NAMED)}")
    return tuple(kept), tuple(notes)


def _notes(raster: PixelSource, model: TileClassifier, options: MapOptions) -> tuple[str, ...]:
    notes = (*(() if model.source is None else model.source.notes), *raster.notes)
    if options.cell_m is not None and model.info.gsd_m is not None:
        stride_px, own_m = stride_of(options.cell_m, model.info), model.info.gsd_m
        if abs((gsd_m := options.cell_m / stride_px) / own_m - 1) > SAME_GSD:
            notes += (
                f"pixels are read as {gsd_m * 1000:.4g} mm, not {own_m * 1000:.4g} as in training: {stride_px} make a cell",
            )
    if len(model.held_out.counts) > 1:
        return notes
    why = (
        "its test is of a single place"
        if model.folder and (model.folder / PREDICTIONS).is_file()
        else f"it has no {PREDICTIONS}"
    )
    return (*notes, f"of how the model's errors vary from place to place nothing is known ({why}): intervals are wide")


def _create(path: Path, cells: PixelGrid, layout: BandLayout) -> DatasetWriter:
    file = rasterio.open(
        path, "w", driver="GTiff", width=cells.width, height=cells.height, count=len(layout.titles), dtype="float32",
        crs=cells.crs, transform=cells.transform, nodata=np.nan, bigtiff="if_safer",
    )  # fmt: skip
    file.descriptions = layout.titles
    return file
