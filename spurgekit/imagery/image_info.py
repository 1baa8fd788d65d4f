"""What an image is: its size, its place on the ground, how it is stored and how much of it is valid."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from rasterio.crs import CRS
from rasterio.io import DatasetReader

from spurgekit.errors import ImageryError
from spurgekit.image_names import image_name
from spurgekit.imagery.colours import band_colours
from spurgekit.imagery.crs import name_crs, points_in, to_pyproj
from spurgekit.imagery.exif import Exif, Position, read_exif
from spurgekit.imagery.nadir_frame import FramePose
from spurgekit.imagery.opening import photo_file
from spurgekit.imagery.pixel_grid import PixelGrid, Window
from spurgekit.imagery.raster import Raster, open_raster
from spurgekit.progress import Progress, silent

READ_PX = 4_000_000
"""Pixels read at a time, unless a single block is larger."""

LARGE_PX = 4096
"""An image with a longer side than this is slow to look at without tiles and overviews."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Band(_Value):
    """One band, as the file describes it."""

    index: int = Field(description="1-based")
    colour: str = Field(description="colour interpretation: red, alpha, undefined, ...")
    description: str | None = Field(description="as the file has it")
    is_read: bool = Field(description="whether it is among the pixels, and not only says which are valid")


class Bounds(_Value):
    """A rectangle along the axes of a CRS."""

    left: float
    bottom: float
    right: float
    top: float


class Blocks(_Value):
    """The pieces in which the file is stored."""

    width: int = Field(description="pixels")
    height: int = Field(description="pixels")
    tiled: bool = Field(description="tiles, rather than strips of whole rows")


class ImageInfo(_Value):
    """What :func:`read_image_info` finds out about an image."""

    path: Path | str = Field(description="as it was passed")
    format: str = Field(description="GDAL driver")
    size_bytes: int | None = Field(description="of the file; null of what is no file of its own")
    width: int = Field(description="pixels")
    height: int = Field(description="pixels")
    dtype: str = Field(description="of the pixels, such as uint8")
    bands: tuple[Band, ...] = Field(description="each with what the file says of it")
    crs: str | None = Field(description="code, such as EPSG:32611, where there is one")
    crs_name: str | None = Field(description="in words")
    gsd_cm: float | None = Field(description="ground sample distance in centimetres")
    gsd_unknown_because: str | None = Field(description="where it is null")
    pixel_size: tuple[float, float] | None = Field(description="one step along a row and a column, in the CRS's unit")
    pixel_size_m: tuple[float, float] | None = Field(description="the same in metres")
    rotation_deg: float | None = Field(description="of the rows from the x axis, counter-clockwise; null if not rotated")
    extent: Bounds | None = Field(description="in the CRS")
    lonlat: Bounds | None = Field(description="degrees, WGS 84")
    blocks: Blocks = Field(description="pieces in which the file is stored")
    compression: str | None = Field(description="as GDAL names it")
    interleaving: str | None = Field(description="by pixel or by band")
    overviews: tuple[int, ...] = Field(description="reduction factors")
    nodata: float | str | None = Field(description="a number, or 'nan', 'inf', '-inf', which JSON has no numbers for")
    validity: str = Field(description="alpha band, internal mask, mask file, nodata, NaN or none")
    valid_px: int = Field(description="pixels that have data")
    valid_share: float = Field(description="of all pixels, 0 to 1")
    valid_area_m2: float | None = Field(description="ground that they cover")
    exif: Exif | None = Field(description="what the camera wrote, of a photo")
    pose: FramePose | None = Field(description="of the camera, if the image is a frame that was placed by it")
    notes: tuple[str, ...] = Field(description="what a user should know")


def read_image_info(
    path: str | os.PathLike[str],
    *,
    image_gsd_m: float | None = None,
    image_crs: str | None = None,
    nodata: float | None = None,
    progress: Progress = silent,
) -> ImageInfo:
    """Describe an image. All of it is read, piece by piece, so damage anywhere in the file comes to light.

    Parameters
    ----------
    path : str or os.PathLike
        An orthomosaic or a frame, by its path or by another name that GDAL reads, such as an address; it needs no CRS.
    image_gsd_m : float, optional
        What a pixel of a photo measures on the ground that does not say where it was taken, in metres.
    image_crs : str, optional
        The CRS that the file's coordinates are in, where it does not say it or says it wrongly.
    nodata : float, optional
        Pixels of which all bands have this value hold no data, whatever the file says.
    progress : Progress
        Told of the pieces that were read.

    Returns
    -------
    ImageInfo

    Raises
    ------
    ImageryError
        If the file is missing, damaged, or not an image that spurgekit reads.
    """
    name = image_name(path)
    with open_raster(path, image_gsd_m=image_gsd_m, image_crs=image_crs, nodata=nodata) as raster:
        dataset, grid = raster.dataset, raster.grid
        gsd_m, why = _gsd(raster)
        valid_px = _count_valid(raster, progress)
        exif = read_exif(photo_file(name)) if isinstance(name, Path) or dataset.driver == "JPEG" else None
        blocks = _blocks(raster)
        structure = dataset.tags(ns="IMAGE_STRUCTURE")
        overviews = tuple(dataset.overviews(raster.bands[0]))
        compression = structure.get("COMPRESSION", "none" if dataset.driver == "GTiff" else None)
        is_placed = not grid.transform.is_identity
        return ImageInfo(
            path=name,
            format=dataset.driver,
            size_bytes=name.stat().st_size if isinstance(name, Path) else None,
            width=grid.width,
            height=grid.height,
            dtype=str(raster.dtype),
            bands=_bands(raster),
            crs=name_crs(grid.crs) if grid.crs else None,
            crs_name=to_pyproj(grid.crs).name if grid.crs else None,
            gsd_cm=gsd_m * 100 if gsd_m else None,
            gsd_unknown_because=why,
            pixel_size=_pixel_size(grid) if is_placed else None,
            pixel_size_m=grid.pixel_size_m if gsd_m else None,
            rotation_deg=math.degrees(math.atan2(grid.transform.d, grid.transform.a)) if grid.is_rotated else None,
            extent=_bounds(grid.corners()) if is_placed else None,
            lonlat=_lonlat(grid) if is_placed else None,
            blocks=blocks,
            compression=compression.lower() if compression else None,
            interleaving=structure.get("INTERLEAVE", "").lower() or None,
            overviews=overviews,
            nodata=_nodata(dataset),
            validity=_validity(raster),
            valid_px=valid_px,
            valid_share=valid_px / (grid.width * grid.height),
            valid_area_m2=valid_px * grid.pixel_area_m2 if gsd_m else None,
            exif=exif,
            pose=raster.pose,
            notes=(*raster.notes, *_hints(raster, blocks, overviews, valid_px)),
        )


def _gsd(raster: Raster) -> tuple[float | None, str | None]:
    if raster.unplaced:
        return None, raster.unplaced
    try:
        return raster.grid.gsd_m, None
    except ImageryError as error:
        return None, str(error)


def _count_valid(raster: Raster, progress: Progress) -> int:
    windows = list(_pieces(raster))
    count = 0
    with progress(f"reading {raster.path.name}", len(windows)) as advance:
        for window in windows:
            count += int(np.count_nonzero(raster.read(window)[1]))
            advance(1)
    return count


def _pieces(raster: Raster) -> Iterator[Window]:
    """Yield windows of whole blocks that together cover the image, so that each block is decoded once."""
    block_rows, block_cols = raster.block_shape
    width, height = raster.grid.width, raster.grid.height
    cols = min(width, max(1, READ_PX // (block_rows * block_cols)) * block_cols)
    rows = min(height, max(1, READ_PX // (block_rows * cols)) * block_rows)
    for row in range(0, height, rows):
        for col in range(0, width, cols):
            yield Window(col, row, min(cols, width - col), min(rows, height - row))


def _bands(raster: Raster) -> tuple[Band, ...]:
    dataset = raster.dataset
    return tuple(
        Band(index=index, colour=colour, description=description or None, is_read=index in raster.bands)
        for index, colour, description in zip(dataset.indexes, band_colours(dataset), dataset.descriptions, strict=True)
    )


def _pixel_size(grid: PixelGrid) -> tuple[float, float]:
    t = grid.transform
    return math.hypot(t.a, t.d), math.hypot(t.b, t.e)


def _bounds(points: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Bounds:
    left, bottom = (float(value) for value in points.min(axis=0))
    right, top = (float(value) for value in points.max(axis=0))
    return Bounds(left=left, bottom=bottom, right=right, top=top)


def _lonlat(grid: PixelGrid) -> Bounds | None:
    """Return bounds in degrees, or None where the coordinates do not fit the CRS or the CRS has no place on the globe."""
    if grid.crs is None:
        return None
    try:
        points = points_in(grid.outline(), grid.crs, CRS.from_epsg(4326))
    except ImageryError:
        return None
    in_range = bool((np.abs(points) <= (360, 90)).all())
    return _bounds(points) if in_range else None


def _blocks(raster: Raster) -> Blocks:
    rows, cols = raster.dataset.block_shapes[raster.bands[0] - 1]  # as stored, whichever way the photo is turned
    return Blocks(width=cols, height=rows, tiled=bool(raster.dataset.profile.get("tiled", cols < raster.dataset.width)))


def _nodata(dataset: DatasetReader) -> float | str | None:
    if dataset.nodata is None:
        return None
    nodata = float(dataset.nodata)
    return nodata if math.isfinite(nodata) else str(nodata)


def _validity(raster: Raster) -> str:
    if raster.validity != "mask":
        return raster.validity
    return "mask file" if any(name.endswith(".msk") for name in raster.dataset.files) else "internal mask"


def _hints(raster: Raster, blocks: Blocks, overviews: tuple[int, ...], valid_px: int) -> Iterator[str]:
    """Yield what the user may want to do something about that makes no result doubtful."""
    grid, dataset, name = raster.grid, raster.dataset, raster.path.name
    is_large = max(grid.width, grid.height) > LARGE_PX and dataset.driver == "GTiff"
    if valid_px == 0:
        yield "no pixel is valid"
    if is_large and not blocks.tiled:
        yield f"stored in strips, which makes small windows slow to read: gdal_translate -of COG {name} NEW.tif"
    if is_large and not overviews:
        yield f"no overviews, which makes it slow to look at in QGIS: gdaladdo -r average {name} 2 4 8 16 32"


# -- for people ---------------------------------------------------------------------------------------------------------


def format_info(info: ImageInfo) -> list[tuple[str, str]]:
    """Return (label, text) lines for people to read, in the order to show them."""
    lines = [
        ("file", f"{info.path} ({'' if info.size_bytes is None else f'{_bytes(info.size_bytes)}, '}{info.format})"),
        ("size", _size(info)),
        ("bands", f"{len(info.bands)} x {info.dtype}: {', '.join(_band(band) for band in info.bands)}"),
        ("CRS", _crs(info)),
        ("GSD", _ground_resolution(info)),
    ]
    if info.rotation_deg is not None:
        lines.append(("rotation", f"{info.rotation_deg:.2f}° counter-clockwise"))
    if info.extent is not None:
        e, d = info.extent, _digits(info.pixel_size)
        lines.append(("extent", f"x {e.left:.{d}f} to {e.right:.{d}f}, y {e.bottom:.{d}f} to {e.top:.{d}f}"))
    if info.lonlat is not None:
        ll = info.lonlat
        lines.append(("lon/lat", f"{ll.left:.6f}° to {ll.right:.6f}°, {ll.bottom:.6f}° to {ll.top:.6f}°"))
    lines += [("valid", _valid(info)), ("stored as", _storage(info))]
    lines.append(("overviews", ", ".join(f"1:{factor}" for factor in info.overviews) or "none"))
    if info.nodata is not None:
        lines.append(("nodata", f"{info.nodata:g}" if isinstance(info.nodata, float) else info.nodata))
    if info.exif is not None:
        lines += _photo(info.exif)
    if info.pose is not None:
        lines += _pose(info.pose)
    return lines + [("note", note) for note in info.notes]


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _size(info: ImageInfo) -> str:
    text = f"{info.width} x {info.height} px"
    if info.pixel_size_m is None:
        return text
    return f"{text} ({info.width * info.pixel_size_m[0]:,.1f} x {info.height * info.pixel_size_m[1]:,.1f} m)"


def _band(band: Band) -> str:
    return f"{band.colour} ({band.description})" if band.description else band.colour


def _crs(info: ImageInfo) -> str:
    if info.crs is None:
        return "none"
    return info.crs if info.crs == info.crs_name else f"{info.crs} ({info.crs_name})"


def _ground_resolution(info: ImageInfo) -> str:
    if info.gsd_cm is None or info.pixel_size_m is None:
        return f"unknown: the image {info.gsd_unknown_because}"
    return f"{info.gsd_cm:.2f} cm"


def _digits(pixel_size: tuple[float, float] | None) -> int:
    """Return the decimals that tell neighbouring pixels apart."""
    return max(0, math.ceil(-math.log10(min(pixel_size)))) if pixel_size else 2


def _valid(info: ImageInfo) -> str:
    text = f"{info.valid_share:.1%}".replace("%", " %")
    if info.valid_area_m2 is not None:
        text += f" ({info.valid_area_m2:,.0f} m2)"
    return text if info.validity == "none" else f"{text}, by {info.validity}"


def _storage(info: ImageInfo) -> str:
    b = info.blocks
    rows = "row" if b.height == 1 else "rows"
    parts = [f"{b.width} x {b.height} px tiles" if b.tiled else f"strips of {b.height} {rows}"]
    if info.compression:
        parts.append("not compressed" if info.compression == "none" else info.compression)
    if info.interleaving and len(info.bands) > 1:
        parts.append(f"interleaved by {info.interleaving}")
    return ", ".join(parts)


def _photo(exif: Exif) -> list[tuple[str, str]]:
    lines = []
    if exif.position is not None:
        lines.append(("position", _position(exif.position)))
    if camera := _camera(exif):
        lines.append(("camera", camera))
    if exif.taken is not None:
        lines.append(("taken", exif.taken.replace("T", " ")))
    return lines


def _pose(pose: FramePose) -> list[tuple[str, str]]:
    height = "unknown" if pose.altitude_m is None else f"{pose.altitude_m:.1f} m above the {pose.altitude_from}"
    yaw = "unknown, taken to be 0°" if pose.yaw_from is None else f"{pose.yaw_deg % 360:.1f}°, {pose.yaw_from}"
    pitch = f"{pose.pitch_deg:.1f}° ({pose.tilt_deg:.1f}° from straight down)"
    return [("height", height), ("yaw", yaw), ("pitch", pitch), ("GSD from", pose.gsd_from)]


def _position(position: Position) -> str:
    text = f"{abs(position.latitude):.6f}° {'N' if position.latitude >= 0 else 'S'}, "
    text += f"{abs(position.longitude):.6f}° {'E' if position.longitude >= 0 else 'W'}"
    if position.altitude_m is None:
        return text
    return f"{text}, {position.altitude_m:.1f} m above {position.altitude_reference or 'an unknown reference'}"


def _camera(exif: Exif) -> str:
    make, model = exif.make or "", exif.model or ""
    parts = [model if model.startswith(make) else f"{make} {model}".strip()]
    if exif.focal_length_mm:
        parts.append(f"{exif.focal_length_mm:g} mm")
    if exif.f_number:
        parts.append(f"f/{exif.f_number:g}")
    if exif.exposure_s:
        parts.append(f"1/{1 / exif.exposure_s:.0f} s" if exif.exposure_s < 0.5 else f"{exif.exposure_s:g} s")
    if exif.iso:
        parts.append(f"ISO {exif.iso}")
    return ", ".join(part for part in parts if part)
