"""Opening images with GDAL: whatever a user names, tiles by the drivers that are meant; what is wrong where it fails."""

from __future__ import annotations

import io
import os
import re
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader, MemoryFile

from spurgekit.errors import ImageryError, first_line
from spurgekit.image_names import GdalName, ImageName, image_name, local_file
from spurgekit.imagery.gdal_warnings import without_warnings
from spurgekit.imagery.limits import check_claims, check_tile
from spurgekit.text import listed

# A server that says nothing is given up, rather than waited for.
os.environ.setdefault("GDAL_HTTP_CONNECTTIMEOUT", "15")
os.environ.setdefault("GDAL_HTTP_LOW_SPEED_LIMIT", "1")
os.environ.setdefault("GDAL_HTTP_LOW_SPEED_TIME", "30")

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
TILE_DRIVERS = {**dict.fromkeys(TIFF, "GTiff"), b"\x89PNG": "PNG", b"\xff\xd8": "JPEG", b"RIFF": "WEBP"}
"""Drivers that tiles are opened with, by what files begin with."""

MOST_NAMED = 4
_MOVED = "is made of other files, of which {} is not there; put it back, or make it again, e.g. with gdalbuildvrt"
DNG_VERSION = 50706
"""The tag that makes a TIFF a raw photo (DNG 1.6, chapter 4)."""


def open_image(path: ImageName, threads: int) -> DatasetReader:
    """Open an image that a user names.

    Raises
    ------
    ImageryError
        If it is missing, no image, several images, or claims to be too large.
    """
    file = local_file(path)
    if isinstance(path, Path):
        if not _is_there(path):
            raise ImageryError(f"{path}: no such file")
        if path.is_dir():
            raise ImageryError(f"{path} is a folder; name an image in it")
    try:
        with without_warnings(NotGeoreferencedWarning):
            dataset = _with_metadata(rasterio.open(_for_gdal(path), num_threads=threads))
    except RasterioError as error:
        raise ImageryError(f"{path} {_why_not(path, file, error)}") from error
    try:
        _check(path, dataset, file.stat().st_size if file is not None and isinstance(path, Path) else None)
    except ImageryError:
        dataset.close()
        raise
    return dataset


def open_tile(path: Path) -> DatasetReader:
    """Open an image of a folder: with the drivers of tiles, and nothing else that lies beside it or that it names.

    A description of other files (VRT) or of an address (WMS) that is called ``.tif`` is no tile, and a mask in a file of its
    own is not looked for.

    Raises
    ------
    ImageryError
        If it is missing, no image of these kinds, or too large.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except (OSError, ValueError) as error:
        raise ImageryError(f"{path}: no such file") from error
    driver = next((name for begin, name in TILE_DRIVERS.items() if head.startswith(begin)), None)
    if driver is None:
        raise ImageryError(f"{path} is no GeoTIFF, PNG, JPEG or WebP ({path.stat().st_size:,} bytes)")
    try:
        with without_warnings(NotGeoreferencedWarning), rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
            dataset = _with_metadata(rasterio.open(path, driver=driver))
    except RasterioError as error:
        raise ImageryError(f"{path} {_why_not(path, path, error)}") from error
    try:
        check_tile(path, dataset.width, dataset.height)
        check_claims(path, dataset, path.stat().st_size)
    except ImageryError:
        dataset.close()
        raise
    return dataset


def decoding_error(path: ImageName, row: int, stop_row: int, error: RasterioError) -> ImageryError:
    """Return why rows of an image cannot be read: a file that it is made of is missing, else it is damaged."""
    if missing := _missing_source(error):
        return ImageryError(f"{path} {_MOVED.format(missing)}")
    return ImageryError(
        f"{path}: rows {row} to {stop_row} cannot be decoded; the file is damaged or was cut off: "
        "copy it again or export it again"
    )


def photo_file(path: ImageName) -> Path | io.BytesIO:
    """Return what a photo's metadata are read from: its file; of one that GDAL reads by a name, what is in it."""
    if isinstance(path, Path):
        return path
    with MemoryFile(ext=".jpg") as memory:
        try:
            rasterio.shutil.copyfiles(_for_gdal(path), memory.name)
            return io.BytesIO(memory.read())
        except RasterioError:  # the pixels can be read nevertheless
            return io.BytesIO()


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a loop of links, a name that cannot be
        return False


def _for_gdal(path: ImageName) -> str | Path:
    """Return the name as rasterio takes it, which reads no archive of the working folder without its ``./``."""
    return re.sub(r"^((?:zip|tar|gzip)://)(?=[^/]+!)", r"\1./", path) if isinstance(path, GdalName) else path


def _with_metadata(dataset: DatasetReader) -> DatasetReader:
    """Return a dataset whose metadata GDAL has read: damage in them it reports as an error of whatever it is asked first."""
    with suppress(Exception):  # GDAL's own errors have no public root
        dataset.colorinterp  # noqa: B018
    return dataset


def _why_not(path: ImageName, file: Path | None, error: RasterioError) -> str:
    """Return what is wrong with a file that GDAL does not open; to follow its name."""
    if missing := _missing_source(error):
        return _MOVED.format(missing)
    if isinstance(path, GdalName):
        return f"cannot be opened: {first_line(error)}"
    if zipfile.is_zipfile(path):
        return f"is a zip archive; name an image in it: {listed(_files_in(path), MOST_NAMED)}"
    size = file.stat().st_size if file is not None else 0
    return f"is not an image that GDAL can read ({size:,} bytes); it is of another kind, or was cut off"


def _files_in(path: Path) -> list[str]:
    """Return how GDAL calls the files in an archive, whatever its suffix."""
    with suppress(OSError, ValueError, zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        return [f"zip://{path}!{name}" if path.suffix.lower() == ".zip" else f"/vsizip/{{{path}}}/{name}" for name in names]
    return []


def _missing_source(error: BaseException) -> str | None:
    """Return the file that GDAL missed, where that is why it failed."""
    seen: BaseException | None = error
    while seen is not None:
        if match := re.match(r"(.+): No such file or directory$", first_line(seen)):
            return match[1]
        seen = seen.__cause__ or seen.__context__
    return None


def _check(path: ImageName, dataset: DatasetReader, size_bytes: int | None) -> None:
    if dataset.count == 0:
        names = list(dataset.subdatasets)
        if not names:
            raise ImageryError(f"{path} holds no image")
        raise ImageryError(f"{path} holds several images; name one of them: {listed(names, MOST_NAMED)}")
    if dataset.driver == "GTiff" and isinstance(path, Path) and _is_raw(path):
        raise ImageryError(
            f"{path} is a raw photo (DNG), of which only a preview of {dataset.width} x {dataset.height} px can be read; "
            "develop it to a TIFF or a JPEG first"
        )
    if dataset.driver == "VRT":
        sources = [image_name(name) for name in dataset.files[1:]]
        gone = [source for source in sources if isinstance(source, Path) and not _is_there(source)]
        if gone:
            more = f" (and {len(gone) - 1} more)" if len(gone) > 1 else ""
            raise ImageryError(f"{path} {_MOVED.format(f'{gone[0]}{more}')}")
    check_claims(path, dataset, size_bytes)


def _is_raw(path: Path) -> bool:
    """Whether a TIFF says that it is a raw photo."""
    try:
        with path.open("rb") as file:
            order = {b"II": "<", b"MM": ">"}[file.read(2)]
            version, start = struct.unpack(f"{order}HI", file.read(6))
            file.seek(start)
            (count,) = struct.unpack(f"{order}H", file.read(2))
            entries = file.read(12 * count)
    except (OSError, KeyError, struct.error):
        return False
    return version == 42 and any(struct.unpack_from(f"{order}H", entry)[0] == DNG_VERSION for entry in _parted(entries, 12))


def _parted(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data) - size + 1, size)]
