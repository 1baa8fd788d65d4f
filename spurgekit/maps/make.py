"""``spurgekit map``: an image and a model in, a map folder out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import DatasetWriter
from rasterio.shutil import copy as copy_raster

from spurgekit.classify import TileClassifier, load_model
from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid, Raster, Window, name_crs, open_raster
from spurgekit.imagery.pictures import SitePicture
from spurgekit.imagery.quicklook import QuickLook
from spurgekit.maps.areas import ClassArea, class_areas
from spurgekit.maps.colours import class_colour
from spurgekit.maps.polygons import LAYER, presence_polygons, write_polygons
from spurgekit.maps.slide import Sliding, slide
from spurgekit.maps.styles import store_vector_style, write_raster_style
from spurgekit.outputs import output_folder, write_provenance
from spurgekit.parallel import cores
from spurgekit.progress import Progress, silent

NO_CLASS = 255
MAX_SHADE = 120
"""Opacity of a cell on the quick look whose class is certain, of 255."""


@dataclass(frozen=True, slots=True)
class MapOptions:
    """How to map.

    Attributes
    ----------
    stride_px : int, optional
        Side of a map cell in pixels at the model's ground sample distance; by default a tile's, so that a cell is a tile.
    min_valid : float
        Least share of a cell with data.
    crs : str, optional
        See :func:`spurgekit.imagery.open_raster`.
    bands : tuple of int, optional
        1-based bands to show the model.
    batch_size : int
        Tiles that the model is shown at once. On a CPU more than 16 cost memory and gain nothing; a GPU likes hundreds.
    device : str
    """

    stride_px: int | None = None
    min_valid: float = 0.5
    crs: str | None = None
    bands: tuple[int, ...] | None = None
    batch_size: int = 16
    device: str = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.min_valid <= 1:
            raise InputError(f"--min-valid {self.min_valid} is not a share; pass a number from 0 to 1")
        if self.batch_size < 1:
            raise InputError(f"--batch-size {self.batch_size} is too small; pass 1 or more")


@dataclass(frozen=True, slots=True)
class MapReport:
    """What a map shows.

    Attributes
    ----------
    folder : pathlib.Path
    cell_m : float
        Side of a cell.
    mapped_m2 : float
        Area of all cells with data.
    areas : dict of ClassArea by class
    polygons : int
    """

    folder: Path
    cell_m: float
    mapped_m2: float
    areas: dict[str, ClassArea]
    polygons: int


def make_map(
    image: Path,
    model: Path | TileClassifier,
    out: Path,
    options: MapOptions = MapOptions(),
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> MapReport:
    """Map a site: ``presence.tif`` (COG), ``presence.gpkg``, ``summary.json``, ``presence.png`` and styles for QGIS.

    Parameters
    ----------
    image : pathlib.Path
        The orthomosaic; it is resampled to the model's ground sample distance as it is read.
    model : pathlib.Path or TileClassifier
    out : pathlib.Path
        Folder to make.

    Raises
    ------
    InputError
        If the image cannot be mapped by this model.
    """
    classifier = model if isinstance(model, TileClassifier) else load_model(model, options.device)
    info = classifier.info
    with open_raster(image, crs=options.crs, gsd_m=info.gsd_m, bands=options.bands, threads=cores()) as raster:
        _check_bands(raster, classifier)
        sliding = Sliding(raster.grid, info.tile_size_px, options.stride_px or info.tile_size_px)
        cells, look = sliding.cells, QuickLook(raster)
        predicted = np.full((cells.height, cells.width), NO_CLASS, np.uint8)
        certainty = np.zeros((cells.height, cells.width), np.float32)
        inputs = [image, *([classifier.folder] if classifier.folder else [])]
        with output_folder(out, overwrite=overwrite, inputs=inputs) as folder:
            strips = folder / "strips.tif"
            with _create(strips, cells, info.classes) as file:
                for row, found in slide(
                    raster,
                    classifier,
                    sliding,
                    min_valid=options.min_valid,
                    batch_size=options.batch_size,
                    watch=look.watch,
                    progress=progress,
                ):
                    window = Window(0, row, cells.width, found.shape[1])
                    file.write(np.concatenate([found, _entropy(found)[None]]), window=window.to_rasterio())
                    seen = np.isfinite(found[0])
                    predicted[window.slices][seen] = found[:, seen].argmax(axis=0)
                    certainty[window.slices][seen] = found[:, seen].max(axis=0)
            if (predicted == NO_CLASS).all():
                raise InputError(
                    f"{image} has no cell with data to map; look at its alpha band or nodata value with 'spurgekit info'"
                )
            _to_cog(strips, folder / "presence.tif")
            write_raster_style(folder / "presence.qml")
            polygons = presence_polygons(predicted, certainty, cells, info.classes)
            write_polygons(polygons, folder / "presence.gpkg")
            store_vector_style(folder / "presence.gpkg", LAYER, info.classes)
            report = _report(Path(out), predicted, cells, classifier, len(polygons))
            _write_summary(folder, image, raster, report, classifier)
            _draw(folder / "presence.png", look, predicted, certainty, sliding, polygons, report, image)
            parameters: dict[str, Any] = {name: getattr(options, name) for name in options.__slots__}
            write_provenance(folder, parameters=parameters, inputs=inputs)
    return report


def _check_bands(raster: Raster, model: TileClassifier) -> None:
    wanted = len(model.info.mean)
    if len(raster.bands) != wanted or raster.dtype != np.uint8:
        raise InputError(
            f"{raster.path} has {len(raster.bands)} band{'s' if len(raster.bands) > 1 else ''} of {raster.dtype}, "
            f"the model reads {wanted} of uint8; choose them with --bands, or convert the image as the training tiles were"
        )


def _create(path: Path, cells: PixelGrid, classes: Sequence[str]) -> DatasetWriter:
    file = rasterio.open(
        path, "w", driver="GTiff", width=cells.width, height=cells.height, count=len(classes) + 1, dtype="float32",
        crs=cells.crs, transform=cells.transform, nodata=np.nan, bigtiff="if_safer",
    )  # fmt: skip
    file.descriptions = (*(f"probability of {name}" for name in classes), "uncertainty (entropy, 0 to 1)")
    return file


def _to_cog(strips: Path, cog: Path) -> None:
    copy_raster(
        strips, cog, driver="COG", compress="deflate", predictor="yes", overview_resampling="average", num_threads="all_cpus"
    )
    strips.unlink()


def _entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return Shannon's entropy over the first axis, as a share of its maximum."""
    p = np.clip(probabilities, 1e-12, 1)
    return np.asarray(-(p * np.log(p)).sum(axis=0) / np.log(len(p)), dtype=np.float32)


def _report(out: Path, predicted: NDArray[np.uint8], cells: PixelGrid, model: TileClassifier, polygons: int) -> MapReport:
    info = model.info
    cell_m2 = cells.pixel_area_m2
    mapped = [float((predicted == i).sum() * cell_m2) for i in range(len(info.classes))]
    areas = class_areas(mapped, info.held_out.confusion_matrix)
    return MapReport(out, cells.gsd_m, sum(mapped), dict(zip(info.classes, areas, strict=True)), polygons)


def _write_summary(folder: Path, image: Path, raster: Raster, report: MapReport, model: TileClassifier) -> None:
    info = model.info
    summary = {
        "schema_version": 1,
        "image": image.name,
        "crs": name_crs(raster.grid.crs),
        "cell_m": round(report.cell_m, 6),
        "tile_m": round(info.tile_size_px * info.gsd_m, 6),
        "mapped_m2": round(report.mapped_m2, 3),
        "areas": {name: {k: round(v, 3) for k, v in area.model_dump().items()} for name, area in report.areas.items()},
        "polygons": report.polygons,
        "held_out_balanced_accuracy": info.held_out.balanced_accuracy,
        "what_the_areas_mean": (
            "mapped_m2 is the area of the cells in whose tile the class is the likeliest, not the area that its leaves cover. "
            "corrected_m2 allows for the errors on the held-out tiles (Rogan and Gladen 1978); its 95 % interval, low_m2 to "
            "high_m2, covers the chance in which tiles were held out, on the understanding that this site is like those places."
        ),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _draw(
    path: Path,
    look: QuickLook,
    predicted: NDArray[np.uint8],
    certainty: NDArray[np.float32],
    sliding: Sliding,
    polygons: gpd.GeoDataFrame,
    report: MapReport,
    image: Path,
) -> None:
    area = {name: report.areas[name] for name in list(report.areas)[1:]}
    picture = SitePicture(look, f"{image.name}: {' and '.join(area)} on a grid of {report.cell_m:.2f} m")
    scale = sliding.cells.transform
    factor = look.grid.transform.a / scale.a if scale.a else look.grid.transform.b / scale.b
    rows = np.minimum(((np.arange(look.grid.height) + 0.5) * factor).astype(int), predicted.shape[0] - 1)
    cols = np.minimum(((np.arange(look.grid.width) + 0.5) * factor).astype(int), predicted.shape[1] - 1)
    classes, certain = predicted[np.ix_(rows, cols)], certainty[np.ix_(rows, cols)]
    shade = np.zeros((*classes.shape, 4), np.uint8)
    for number, (name, of_class) in enumerate(area.items(), start=1):
        mine = classes == number
        shade[mine, :3] = class_colour(number)
        shade[mine, 3] = (MAX_SHADE * certain[mine]).astype(np.uint8)
        picture.legend(
            class_colour(number),
            f"{name}: {of_class.mapped_m2:,.1f} m2 mapped of {report.mapped_m2:,.0f} m2; "
            f"corrected {of_class.corrected_m2:,.1f} m2 ({of_class.low_m2:,.1f} to {of_class.high_m2:,.1f})",
        )
    shade[look.rgba()[..., 3] == 0] = 0  # cells at the rim reach outside the mosaic
    picture.paint(shade)
    for number, name in enumerate(area, start=1):
        rings = [
            np.asarray(ring.coords)
            for polygon in polygons.geometry[(polygons["class"] == name).to_numpy()]
            for ring in (polygon.exterior, *polygon.interiors)
        ]
        picture.outline(rings, class_colour(number), width=1)
    picture.save(path)
