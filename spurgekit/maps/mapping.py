"""``spurgekit map``: an image and a model in, a map folder out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import DatasetWriter

from spurgekit.classify.classifier import TileClassifier
from spurgekit.classify.model_files import PREDICTIONS
from spurgekit.classify.tile_reader import TileKind
from spurgekit.errors import ElsewhereError, InputError
from spurgekit.image_names import ImageName, image_name
from spurgekit.imagery import PixelGrid, Raster, Window, open_raster
from spurgekit.imagery.pixel_grid import SAME_GSD
from spurgekit.imagery.quicklook import QuickLook
from spurgekit.maps.adapting import moved_to_site
from spurgekit.maps.bands import DISSIMILARITY, BandLayout
from spurgekit.maps.extent import Extent, extent_of
from spurgekit.maps.fine import FineWindows, slide_fine
from spurgekit.maps.map_model import load_map_model
from spurgekit.maps.map_options import MapOptions
from spurgekit.maps.sliding_window import Cells, Sliding, slide, stride_of
from spurgekit.outputs import output_folder
from spurgekit.parallel import cores
from spurgekit.progress import Progress, silent

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
    image: str | Path,
    model: str | Path | TileClassifier,
    out: str | Path,
    options: MapOptions | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> MapReport:
    """Map a site: ``presence.tif`` (COG), ``presence.gpkg``, ``summary.json``, ``presence.png`` and styles for QGIS.

    Parameters
    ----------
    image : str or pathlib.Path
        The orthomosaic, by its path or by another name that GDAL reads, such as an address; it is resampled to the model's
        ground sample distance as it is read.
    model : str, pathlib.Path or TileClassifier
        A model folder, ``hf://OWNER/NAME[@REVISION]``, or one that :func:`spurgekit.maps.map_model.load_map_model` or
        :func:`spurgekit.load_model` has loaded: for another device, other views of each tile, or another prevalence than in
        training.
    out : str or pathlib.Path
        Folder to make; it appears only when all is done.
    options : MapOptions, optional
    overwrite : bool
        Replace a folder that spurgekit made before.
    progress : Progress
        Told how far it is; :func:`spurgekit.progress.bar` shows a bar on a terminal.

    Returns
    -------
    MapReport
        With the area that each class occupies and its interval.

    Raises
    ------
    OutputExistsError
        If the folder is there already.
    ModelError
        If the model folder is none.
    InputError
        If the image cannot be mapped by this model, or the area of interest or the zones do not serve.

    Examples
    --------
    >>> import spurgekit
    >>> model = spurgekit.load_model("models/probe", views=1, prevalence="0.02")  # doctest: +SKIP
    >>> report = spurgekit.map_site("site.tif", model, "maps/site")  # doctest: +SKIP
    >>> report.occupied["leafy spurge"].estimate_m2  # doctest: +SKIP
    277.3
    """
    options = options or MapOptions()
    image, out = image_name(image), Path(out)
    classifier = model if isinstance(model, TileClassifier) else load_map_model(model)
    info = classifier.info
    knows_tiles = [] if classifier.applicability is None else [DISSIMILARITY]
    layout = BandLayout.of(info, *knows_tiles, of_positions=options.resolution == "fine")
    with _opened(image, classifier, options) as raster:
        lattice = _lattice(raster, classifier, options)
        extent = extent_of(raster, lattice.cells, options)
        classifier, notes = moved_to_site(classifier, raster, options, progress, tile_px=lattice.tile_px, aoi=extent.aoi)
        walk: Callable[..., Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32]]]]
        if isinstance(lattice, FineWindows):
            walk = partial(slide_fine, raster, classifier, lattice, guided=options.guided_filter)
        else:
            walk = partial(slide, raster, classifier, lattice)
        look = QuickLook(raster, window=_pixels(extent, raster))
        inputs = [image, *([] if classifier.folder is None else [classifier.folder]), *options.files]
        parameters = {**options.parameters(), **classifier.parameters()}
        with output_folder(out, "map", parameters=parameters, inputs=inputs, overwrite=overwrite) as folder:
            strips = folder / "strips.tif"
            cells, outside_m2 = Cells.empty(image.name, extent.cells, info), 0.0
            with _create(strips, cells.grid, layout) as file:
                for row, found, valid in walk(
                    mask=extent.mask,
                    layout=layout,
                    min_valid=options.min_valid,
                    batch_size=options.batch_size,
                    watch=look.watch,
                    progress=progress,
                ):
                    window = Window(0, row, cells.grid.width, found.shape[1])
                    file.write(found, window=window.to_rasterio())
                    cells.put(window, found, valid, layout)
                    if classifier.applicability is not None:
                        unlike = found[layout.channels(DISSIMILARITY.name)][0] > classifier.applicability.threshold
                        outside_m2 += cells.ground_m2(unlike, of=window)
            if not cells.is_mapped.any():
                where = "" if options.aoi is None else f" in {options.aoi}"
                raise InputError(
                    f"{image} has no cell with data to map{where}; look at its alpha band or nodata value with 'spurgekit info'"
                )
            from spurgekit.maps.products import write_products  # 150 MB of libraries that the model's run has no need of

            unlike_m2 = None if classifier.applicability is None else outside_m2
            made = write_products(folder, cells, extent, strips, look, layout, classifier, unlike_m2, progress)
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
            (*_notes(raster, classifier, options), *notes, *extent.notes, *made.notes),
        )


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
        with _opened(image, model, options) as raster:
            try:
                extent_of(raster, _lattice(raster, model, options).cells, options)
            except ElsewhereError as error:
                notes.append(f"{name} is not mapped: {error}")
            else:
                kept.append(name)
    if not kept:
        raise InputError(f"no site is left to map: {'; '.join(notes[:MOST_NAMED])}{'; ...' * (len(notes) > MOST_NAMED)}")
    return tuple(kept), tuple(notes)


@contextmanager
def _opened(image: ImageName, model: TileClassifier, options: MapOptions) -> Iterator[Raster]:
    """Open an image at the ground sample distance at which a model is to see it."""
    info = model.info
    if info.gsd_m is None:
        raise InputError(
            f"{model.folder or 'the model'} knows nothing of what a pixel measured on the ground in training; "
            "build its dataset with `gsd_m`, and train again"
        )
    gsd_m = info.gsd_m
    if options.resolution == "fine":  # read as large as the backbone is shown it
        _ = model.positions
        gsd_m = info.gsd_m * info.tile_size_px / info.image_size_px
    if options.cell_m is not None:
        gsd_m = options.cell_m / stride_of(options.cell_m, info)
    with open_raster(
        image,
        crs=options.crs,
        gsd_m=gsd_m,
        align_m=options.cell_m,
        image_crs=options.image_crs,
        bands=options.bands,
        nodata=options.nodata,
        threads=cores(),
    ) as raster:
        check_bands(raster, model)
        yield raster


def _lattice(raster: Raster, model: TileClassifier, options: MapOptions) -> Sliding | FineWindows:
    """Return how cells, and what is shown to the model, lie over an image."""
    if options.resolution == "fine":
        return FineWindows.of(raster.grid, model)
    info, stride_px = model.info, options.stride_px
    if options.cell_m is not None:
        stride_px = stride_of(options.cell_m, info)
    return Sliding(raster.grid, info.tile_size_px, stride_px or info.tile_size_px)


def _pixels(extent: Extent, raster: Raster) -> Window | None:
    """Return the pixels of an image below a map."""
    (left, right), (top, bottom) = (
        np.rint(values).astype(int).tolist() for values in raster.grid.to_pixel(*extent.cells.corners()[[0, 2]].T)
    )
    return Window(left, top, right - left, bottom - top) & raster.grid.window


def _notes(raster: Raster, model: TileClassifier, options: MapOptions) -> tuple[str, ...]:
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


def check_bands(raster: Raster, model: TileClassifier) -> None:
    """Refuse an image that has other bands than a model reads, or bands of another type."""
    # Types are not converted: where whole numbers stand for what the training tiles had in floats, they are of other units.
    has = TileKind(len(raster.bands), raster.dtype.name)
    wanted = TileKind(model.info.bands, model.info.dtype)
    if has != wanted:
        raise InputError(
            f"{raster.path} has {has}, the model reads {wanted.bands} of {wanted.dtype}; choose them with `bands`, "
            "or convert the image as the training tiles were"
        )


def _create(path: Path, cells: PixelGrid, layout: BandLayout) -> DatasetWriter:
    file = rasterio.open(
        path, "w", driver="GTiff", width=cells.width, height=cells.height, count=len(layout.titles), dtype="float32",
        crs=cells.crs, transform=cells.transform, nodata=np.nan, bigtiff="if_safer",
    )  # fmt: skip
    file.descriptions = layout.titles
    return file
