"""What an image says of itself that makes results doubtful.

``info`` shows it, and so does every command that uses the image: all of them pass :attr:`spurgekit.imagery.Raster.notes` on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from spurgekit.imagery.exif import read_exif
from spurgekit.imagery.pixel_grid import PixelGrid


def doubts(path: Path, dataset: DatasetReader, grid: PixelGrid, bands: tuple[int, ...]) -> Iterator[str]:
    """Yield what a user should know about an image before trusting what is made of it, one line each; pixels are not read.

    Parameters
    ----------
    path : pathlib.Path
    dataset : rasterio.io.DatasetReader
        The file, as it is stored.
    grid : PixelGrid
        Of its pixels, turned upright.
    bands : tuple of int
        The 1-based bands that are read.
    """
    if grid.crs is not None and not grid.transform.is_identity and grid.transform.determinant > 0:
        yield "mirrored: rows run from south to north"
    if dataset.colorinterp[bands[0] - 1] == ColorInterp.palette:
        yield f"holds palette indexes, not colours: gdal_translate -expand rgb {path.name} NEW.tif"


def left_turned(path: Path, orientation: int) -> Iterator[str]:
    """Yield that the pixels are read by another orientation than EXIF has, if so.

    Apart from :func:`doubts` because it opens the file once more, which is not worth it for each of many tiles.
    """
    exif = read_exif(path)
    if exif is not None and (exif.orientation or orientation) != orientation:
        yield f"EXIF says that the photo is turned (orientation {exif.orientation}); pixels are read as they are stored"
