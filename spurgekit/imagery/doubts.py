"""What an image says of itself that makes results doubtful.

``info`` shows it, and so does every command that uses the image: all of them pass :attr:`spurgekit.imagery.Raster.notes` on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from spurgekit.errors import ImageryError
from spurgekit.imagery.exif import read_exif
from spurgekit.imagery.gdal_warnings import without_warnings
from spurgekit.imagery.pixel_grid import PixelGrid

SAME_SIDE = 0.01
"""Share by which a pixel may be longer than wide, and count as square."""


def doubts(dataset: DatasetReader, grid: PixelGrid) -> Iterator[str]:
    """Yield what a user should know about an image before trusting what is made of it, one line each; pixels are not read.

    Parameters
    ----------
    dataset : rasterio.io.DatasetReader
        The file, as it is stored.
    grid : PixelGrid
        Of its pixels, turned upright.
    """
    if grid.crs is not None and not grid.transform.is_identity and grid.transform.determinant > 0:
        yield f"mirrored: {_mirrored(grid.transform)}"
    if pages := _pages(dataset):
        yield pages


def oblong(grid: PixelGrid) -> Iterator[str]:
    """Yield that the pixels of a grid in a CRS that measures the ground have unequal sides, if so."""
    try:
        across, down = grid.pixel_size_m
    except ImageryError:  # it is said where metres are asked for
        return
    if max(across, down) > (1 + SAME_SIDE) * min(across, down):
        yield f"pixels of {100 * across:.2f} x {100 * down:.2f} cm: what is square in pixels is oblong on the ground"


def left_turned(path: Path, orientation: int) -> Iterator[str]:
    """Yield that the pixels are read by another orientation than EXIF has, if so.

    Apart from :func:`doubts` because it opens the file once more, which is not worth it for each of many tiles.
    """
    exif = read_exif(path)
    if exif is not None and (exif.orientation or orientation) != orientation:
        yield f"EXIF says that the photo is turned (orientation {exif.orientation}); pixels are read as they are stored"


def _mirrored(transform: Affine) -> str:
    if transform.a > 0 and transform.e > 0:
        return "rows run from south to north"
    return "columns run from east to west" if transform.a < 0 and transform.e < 0 else "as if seen from below the ground"


def _pages(dataset: DatasetReader) -> str | None:
    """Return what is to be said of a file that holds several images, of which the first is read."""
    pages = dataset.subdatasets
    if dataset.count == 0 or len(pages) < 2:
        return None
    largest, size = None, (dataset.width, dataset.height)
    for page in pages[1:]:
        try:
            with without_warnings(NotGeoreferencedWarning), rasterio.open(page) as other:
                if other.width * other.height > size[0] * size[1]:
                    largest, size = page, (other.width, other.height)
        except RasterioError:  # it is not the one that is read
            continue
    first = f"holds {len(pages)} images, of which the first ({dataset.width} x {dataset.height} px) is read"
    if largest is None:
        return first
    return f"{first}; the largest ({size[0]} x {size[1]} px) is called {largest}"
