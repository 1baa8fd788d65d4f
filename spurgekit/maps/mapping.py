"""``spurgekit map``: an image and a model in, a map folder out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import DatasetWriter

from spurgekit.classify import TileClassifier, load_model
from spurgekit.classify.tile_reader import TileKind
from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid, Raster, Window, open_raster
from spurgekit.imagery.quicklook import QuickLook
from spurgekit.maps.sliding_window import NO_CLASS, Cells, Sliding, slide
from spurgekit.outputs import output_folder, write_provenance
from spurgekit.parallel import cores
from spurgekit.progress import Progress, silent

if TYPE_CHECKING:
    from spurgekit.maps.areas import ClassArea


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
        Tiles that the model is shown at once. On a CPU more than 8 cost memory and gain nothing; a GPU likes hundreds.
    device : str
    views : {1, 8}, optional
        Turns of a tile to average over; by default those that the model was tested with. One is eight times as fast.
    prevalence : str, optional
        How common the classes are on this ground, where that is not as in training:
        see :func:`spurgekit.classify.prevalence.parse_prevalence`.
    """

    stride_px: int | None = None
    min_valid: float = 0.5
    crs: str | None = None
    bands: tuple[int, ...] | None = None
    batch_size: int = 8
    device: str = "auto"
    views: Literal[1, 8] | None = None
    prevalence: str | None = None

    def load(self, model: Path) -> TileClassifier:
        """Load a model folder as these options want it."""
        return load_model(model, self.device, views=self.views, prevalence=self.prevalence)

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
    classifier = model if isinstance(model, TileClassifier) else options.load(model)
    info = classifier.info
    if info.gsd_m is None:
        raise InputError(
            f"{classifier.folder or 'the model'} knows nothing of what a pixel measured on the ground in training; "
            "build its dataset with --gsd, and train again"
        )
    with open_raster(image, crs=options.crs, gsd_m=info.gsd_m, bands=options.bands, threads=cores()) as raster:
        _check_bands(raster, classifier)
        sliding = Sliding(raster.grid, info.tile_size_px, options.stride_px or info.tile_size_px)
        look = QuickLook(raster)
        inputs = [image, *([classifier.folder] if classifier.folder else [])]
        with output_folder(out, overwrite=overwrite, inputs=inputs) as folder:
            strips = folder / "strips.tif"
            cells = Cells.empty(image.name, sliding.cells)
            with _create(strips, cells.grid, info.classes) as file:
                for row, found in slide(
                    raster,
                    classifier,
                    sliding,
                    min_valid=options.min_valid,
                    batch_size=options.batch_size,
                    watch=look.watch,
                    progress=progress,
                ):
                    window = Window(0, row, cells.grid.width, found.shape[1])
                    file.write(np.concatenate([found, _entropy(found)[None]]), window=window.to_rasterio())
                    cells.put(window, found)
            if (cells.predicted == NO_CLASS).all():
                raise InputError(
                    f"{image} has no cell with data to map; look at its alpha band or nodata value with 'spurgekit info'"
                )
            from spurgekit.maps.products import write_products  # 150 MB of libraries that the model's run has no need of

            areas, polygons = write_products(folder, cells, strips, look, info, classifier.prevalence)
            parameters: dict[str, Any] = {name: getattr(options, name) for name in options.__slots__}
            write_provenance(folder, parameters=parameters, inputs=inputs)
    return MapReport(Path(out), cells.grid.gsd_m, cells.mapped_m2, areas, polygons)


def _check_bands(raster: Raster, model: TileClassifier) -> None:
    # Types are not converted: where whole numbers stand for what the training tiles had in floats, they are of other units.
    has = TileKind(len(raster.bands), raster.dtype.name)
    wanted = TileKind(model.info.bands, model.info.dtype)
    if has != wanted:
        raise InputError(
            f"{raster.path} has {has}, the model reads {wanted.bands} of {wanted.dtype}; choose them with --bands, "
            "or convert the image as the training tiles were"
        )


def _create(path: Path, cells: PixelGrid, classes: Sequence[str]) -> DatasetWriter:
    file = rasterio.open(
        path, "w", driver="GTiff", width=cells.width, height=cells.height, count=len(classes) + 1, dtype="float32",
        crs=cells.crs, transform=cells.transform, nodata=np.nan, bigtiff="if_safer",
    )  # fmt: skip
    file.descriptions = (*(f"probability of {name}" for name in classes), "uncertainty (entropy, 0 to 1)")
    return file


def _entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return Shannon's entropy over the first axis, as a share of its maximum."""
    p = np.clip(probabilities, 1e-12, 1)
    return np.asarray(-(p * np.log(p)).sum(axis=0) / np.log(len(p)), dtype=np.float32)
