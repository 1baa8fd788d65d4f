"""The rest of the published Leafy Spurge Dataset's survey, laid together as one image to map: its config ``orthomosaic``.

The images of ``data/orthomosaic`` stay where they are, and a GDAL virtual raster (VRT) says how they lie: the whole is of about
9e9 pixels, which nobody wants twice on a disk.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from spurgekit.dataset.leafy_spurge import FOLDERS, REPOSITORY
from spurgekit.dataset.publish import local_copy
from spurgekit.errors import InputError, first_line
from spurgekit.imagery.gdal_warnings import without_warnings
from spurgekit.imagery.pixel_grid import PixelGrid
from spurgekit.outputs import output_folder
from spurgekit.progress import Progress, silent
from spurgekit.text import counted
from spurgekit.tiles.tile_options import UNLABELLED

FILE_NAME = "orthomosaic.vrt"
SUFFIXES = (".tif", ".tiff")
OFF_PX = 0.05
"""By how much of a pixel an image may lie off the pixels of others: by as much are coordinates rounded."""

MOST_PX = 1 << 31
"""Side of what is laid together, beyond which coordinates are wrong."""


@dataclass(frozen=True, slots=True)
class Orthomosaic:
    """Images that were laid together.

    Attributes
    ----------
    file : pathlib.Path
    images : int
    grid : PixelGrid
    covered : float
        Share of the grid that images cover, if none of them overlap.
    notes : tuple of str
        Which commit was fetched, where the images are.
    """

    file: Path
    images: int
    grid: PixelGrid
    covered: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Image:
    path: Path
    crs: CRS
    transform: Affine
    width: int
    height: int
    kinds: tuple[ColorInterp, ...]
    dtype: str

    @property
    def like(self) -> tuple[object, ...]:
        """What images of one orthomosaic have in common, beside the size of their pixels."""
        return self.crs, self.kinds, self.dtype


def fetch_orthomosaic(
    source: str | Path,
    out: str | Path,
    *,
    revision: str | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Orthomosaic:
    """Lay the unlabelled images of the published Leafy Spurge Dataset together, as one image to map.

    Parameters
    ----------
    source : str or pathlib.Path
        A local copy of the repository, or its name on the Hub.
    out : str or pathlib.Path
        Folder to make, with ``orthomosaic.vrt``. The images stay in the copy, or in the Hub's cache.
    revision : str, optional
        Of the repository: a commit gives the same pixels always.
    overwrite : bool
        Replace a folder that spurgekit made before.
    progress : Progress

    Returns
    -------
    Orthomosaic

    Raises
    ------
    InputError
        If there are no images, or they do not say how they lie beside each other.
    HubError
        If the Hub cannot be reached, and its cache does not hold it.
    OutputExistsError
        If the folder is there already.
    """
    parameters = {"source": str(source), "revision": revision}
    inputs = [Path(source)] if Path(source).is_dir() else []
    # The folder comes before the download, which is of gigabytes: whether it may be made is known at once.
    with output_folder(out, "orthomosaic", parameters=parameters, inputs=inputs, overwrite=overwrite) as folder:
        copy, fetched = local_copy(source, [f"data/{FOLDERS[UNLABELLED]}/**"], revision)
        images = _read(copy.absolute() / "data" / FOLDERS[UNLABELLED], progress)
        grid, places = _laid(images)
        ET.ElementTree(_vrt(images, grid, places)).write(folder / FILE_NAME, encoding="utf-8", xml_declaration=True)
    covered = sum(image.width * image.height for image in images) / (grid.width * grid.height)
    kept = f"the images stay in {images[0].path.parent}; keep them there"
    return Orthomosaic(Path(out) / FILE_NAME, len(images), grid, covered, (*fetched, kept))


def _read(folder: Path, progress: Progress) -> list[_Image]:
    """Return what the images of a folder say of themselves, by name."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    if not paths:
        raise InputError(f"{folder} holds no GeoTIFF; pass a copy of {REPOSITORY}, or another revision of it")
    images, unplaced = [], []
    with progress("looking at images", len(paths)) as advance, without_warnings(NotGeoreferencedWarning):
        for path in paths:
            try:
                with rasterio.open(path, driver="GTiff") as file:
                    if file.crs is None or file.transform.is_identity:
                        unplaced.append(path)
                    else:
                        kinds = tuple(file.colorinterp)
                        images.append(
                            _Image(path, file.crs, file.transform, file.width, file.height, kinds, str(file.dtypes[0]))
                        )
            except RasterioError as error:
                raise InputError(f"{path} is no GeoTIFF that can be read ({first_line(error)}); fetch it again") from error
            advance(1)
    if unplaced:
        raise InputError(
            f"{unplaced[0]} says nothing of where it lies, as {counted(len(unplaced), 'image')} of {len(paths):,} do not: they "
            "cannot be laid together; take them as tiles without labels, with `configs=unlabelled`"
        )
    return images


def _laid(images: Sequence[_Image]) -> tuple[PixelGrid, list[tuple[int, int]]]:
    """Return the grid of pixels that images make together, and the column and row of each one's upper left pixel in it."""
    first = images[0]
    a, b, _, d, e, _ = tuple(first.transform)[:6]
    if b or d or not (a > 0 > e):
        raise InputError(f"{first.path} is turned, and does not lie along the axes of its CRS; warp it first with gdalwarp")
    starts = []
    for image in images:
        if image.like != first.like or not np.allclose(tuple(image.transform)[:6:4], (a, e), rtol=1e-6, atol=0):
            raise InputError(
                f"{image.path} has another CRS, size of pixels or bands than {first.path}; they are not of one image"
            )
        col, row = ~first.transform @ (image.transform.c, image.transform.f)
        if max(abs(col - round(col)), abs(row - round(row))) > OFF_PX or max(abs(col), abs(row)) > MOST_PX:
            raise InputError(f"{image.path} lies between the pixels of {first.path}; they are not of one image")
        starts.append((round(col), round(row)))
    left, top = min(col for col, _ in starts), min(row for _, row in starts)
    width = max(col + image.width for (col, _), image in zip(starts, images, strict=True)) - left
    height = max(row + image.height for (_, row), image in zip(starts, images, strict=True)) - top
    grid = PixelGrid(width, height, first.transform @ Affine.translation(left, top), first.crs)
    return grid, [(col - left, row - top) for col, row in starts]


def _vrt(images: Sequence[_Image], grid: PixelGrid, places: Sequence[tuple[int, int]]) -> ET.Element:
    """Return a virtual raster: bands as they are, and a mask of where there are images, unless they have alpha."""
    first = images[0]
    root = ET.Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    ET.SubElement(root, "SRS").text = first.crs.to_wkt()
    ET.SubElement(root, "GeoTransform").text = ", ".join(f"{value:.17g}" for value in grid.transform.to_gdal())
    dtype = {"uint8": "Byte", "uint16": "UInt16", "float32": "Float32"}.get(first.dtype, first.dtype.capitalize())
    for band, kind in enumerate(first.kinds, start=1):
        element = ET.SubElement(root, "VRTRasterBand", dataType=dtype, band=str(band))
        ET.SubElement(element, "ColorInterp").text = kind.name.capitalize()
        _add_sources(element, str(band), images, places)
    if ColorInterp.alpha not in first.kinds:
        mask = ET.SubElement(ET.SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte")
        _add_sources(mask, "mask,1", images, places)
    return root


def _add_sources(band: ET.Element, name: str, images: Sequence[_Image], places: Sequence[tuple[int, int]]) -> None:
    for image, (col, row) in zip(images, places, strict=True):
        source = ET.SubElement(band, "SimpleSource")
        ET.SubElement(source, "SourceFilename", relativeToVRT="0").text = os.fspath(image.path)
        ET.SubElement(source, "SourceBand").text = name
        for rect, x, y in (("SrcRect", 0, 0), ("DstRect", col, row)):
            sides = {"xOff": str(x), "yOff": str(y), "xSize": str(image.width), "ySize": str(image.height)}
            ET.SubElement(source, rect, sides)
