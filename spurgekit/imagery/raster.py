"""One reader for every image: integer windows in, pixels and validity out.

Alpha bands, internal masks, nodata values, NaN and everything outside the image all become one boolean array, so nothing
further on needs to know how a file says "no data here". Resampling to another ground sample distance and reprojection
happen while reading, in one step, through GDAL's warper.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterioWindow

from spurgekit.errors import ImageryError
from spurgekit.image_names import ImageName, image_name
from spurgekit.imagery.block_cache import hold_row, set_cache
from spurgekit.imagery.collar import CollarWatch
from spurgekit.imagery.colours import FileBands, find_bands, has_palette
from spurgekit.imagery.crs import has_place, name_crs, parse_crs
from spurgekit.imagery.doubts import doubts, left_turned, oblong
from spurgekit.imagery.exif import read_exif
from spurgekit.imagery.image_source import ImageSource
from spurgekit.imagery.limits import check_window
from spurgekit.imagery.nadir_frame import FramePlacement, FramePose, place_photo
from spurgekit.imagery.opening import decoding_error, open_image, open_tile, photo_file
from spurgekit.imagery.orientation import AS_STORED, stored_grid, stored_window, swaps_sides, upright, upright_grid
from spurgekit.imagery.pixel_grid import PixelGrid, Window
from spurgekit.imagery.target_grid import aligned, at_gsd, check_gsd, in_crs, shift_note
from spurgekit.imagery.tied_grid import tied_grid
from spurgekit.imagery.views import expanded, with_measured, with_nodata
from spurgekit.imagery.world_file import unusable_world_file
from spurgekit.imagery.xmp import read_xmp

set_cache()
# GDAL's fast way through whole PNG files returns zeros, and no error, where a file is cut off.
os.environ.setdefault("GDAL_PNG_WHOLE_IMAGE_OPTIM", "NO")

DATA_TYPES = ("uint8", "uint16", "float32")
EXACT = 1e-9
"""Tolerance of the warper's transform, in pixels. (rasterio 1.4 fails on an exact 0.)"""


class Raster:
    """An opened image. Use :func:`open_raster` to make one.

    Not safe to share between threads, since GDAL handles are not: one thread reads, others work on what it read.

    Attributes
    ----------
    path : pathlib.Path or GdalName
    site : str
        The file's stem with anything but letters, digits and ``-`` made ``-``; it starts the ids of tiles.
    grid : PixelGrid
        Where the pixels lie, after reprojection and resampling if any were asked for.
    bands : tuple of int
        The 1-based bands that :meth:`read` returns, in that order. Alpha is not among them. Those of a palette are red, green
        and blue.
    rgb : tuple of int or None
        The bands that are red, green and blue, where the file says it.
    dtype : numpy.dtype
        uint8, uint16 or float32.
    validity : str
        How the file says which pixels are valid: ``alpha band``, ``mask``, ``nodata``, ``NaN`` or ``none``.
    notes : tuple of str
        What was assumed about the file, and what is doubtful about it, for the user to read.
    collar : CollarWatch or None
        Counts pixels of the colours in the corners of a mosaic, for ``notes``.
    pose : FramePose or None
        Of a frame that was placed by its EXIF and XMP: the camera's pose. Its grid is then approximate, unless a better one was
        given.
    orientation : int
        EXIF code by which pixels are turned upright; 1 where they are returned as they are stored.
    unplaced : str or None
        Why a photo has no place on the ground, and what to do; to follow its name.
    source : ImageSource or None
        How to open it again in another process; None of images of tiles.
    """

    source: ImageSource | None = None

    def __init__(
        self,
        path: ImageName,
        file: DatasetReader,
        seen: DatasetReader,
        *,
        grid: PixelGrid,
        bands: FileBands,
        stack: ExitStack,
        notes: tuple[str, ...] = (),
        collar: CollarWatch | None = None,
        pose: FramePose | None = None,
        orientation: int = AS_STORED,
        is_turned: bool = False,
        unplaced: str | None = None,
    ) -> None:
        self.path = path
        self.site = slug(path.stem)
        self.grid = grid
        self.bands = bands.read
        self.rgb = bands.rgb
        self._notes = notes
        self.collar = collar
        self.pose = pose
        self.orientation = orientation
        self._turn = AS_STORED if is_turned else orientation  # the warper may have turned the pixels already
        self.unplaced = unplaced
        self._file, self._seen = file, seen
        self._stored = bands.stored
        self._alpha, self._least_alpha = bands.alpha, bands.least_alpha
        self.dtype = np.dtype(seen.dtypes[self._stored[0] - 1])
        self.validity = _validity(seen, self._stored, self._alpha)
        self._stack = stack

    def __enter__(self) -> Raster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        g = self.grid
        return f"<Raster {self.path.name}: {g.width} x {g.height} px, {len(self.bands)} x {self.dtype}, {name_crs(g.crs)}>"

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the image; of a collar, what has been read of it shows."""
        found = self.collar.note(self.path.name) if self.collar else None
        turned = left_turned(self.path, self.orientation) if isinstance(self.path, Path) else ()
        return (*self._notes, *turned, *([found] if found else []))

    @property
    def gsd_m(self) -> float:
        """Ground sample distance in metres.

        Raises
        ------
        ImageryError
            If the image is not in a CRS that measures the ground; the message says what to pass.
        """
        if self.unplaced:
            raise ImageryError(f"{self.path} {self.unplaced}")
        try:
            return self.grid.gsd_m
        except ImageryError as error:
            raise ImageryError(f"{self.path} {error}") from error

    @property
    def dataset(self) -> DatasetReader:
        """What GDAL says of the file. For its metadata only: pixels come from :meth:`read`, which knows which are valid."""
        return self._file

    @property
    def block_shape(self) -> tuple[int, int]:
        """Rows and columns of the blocks that are decoded together."""
        rows, columns = self._seen.block_shapes[self._stored[0] - 1]
        return (int(columns), int(rows)) if swaps_sides(self._turn) else (int(rows), int(columns))

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Read a window, which may reach outside the image.

        Returns
        -------
        pixels : ndarray, shape (bands, height, width)
            uint8, uint16 or float32; 0 where not valid.
        valid : ndarray of bool, shape (height, width)
            False outside the image and where the file says that there is no data.

        Raises
        ------
        ImageryError
            If the file is damaged there, or the window is too large to be read at once.
        """
        check_window(self.path, window.width, window.height, len(self.bands) * self.dtype.itemsize)
        inside = window & self.grid.window
        if inside == window:
            return self._read_inside(window)
        pixels = np.zeros((len(self.bands), window.height, window.width), self.dtype)
        valid = np.zeros((window.height, window.width), np.bool_)
        if inside is not None:
            at = inside.shifted(-window.col, -window.row).slices
            pixels[(slice(None), *at)], valid[at] = self._read_inside(inside)
        return pixels, valid

    def _read_inside(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        where = stored_window(window, self._turn, self.grid.width, self.grid.height).to_rasterio()
        try:
            if self._alpha is not None:
                stack = self._seen.read([*self._stored, self._alpha], window=where)
                pixels, valid = stack[:-1], stack[-1] > self._least_alpha
            else:
                pixels = self._seen.read(list(self._stored), window=where)
                valid = self._mask(where, pixels.shape[1:])
        except RasterioError as error:
            raise decoding_error(self.path, window.row, window.stop_row, error) from error
        if self._turn != AS_STORED:
            pixels, valid = upright(pixels, self._turn), upright(valid, self._turn)
        if pixels.dtype.kind == "f":
            valid &= np.isfinite(pixels).all(axis=0)
        if self.collar is not None:
            self.collar.watch(pixels, valid)
        if not valid.all():
            np.copyto(pixels, 0, where=~valid)
        return pixels, valid

    def _mask(self, where: RasterioWindow, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        if self.validity == "mask":
            return np.asarray(self._seen.read_masks(1, window=where) > 0)
        if self.validity == "nodata":
            return np.asarray((self._seen.read_masks(window=where) > 0).any(axis=0))
        return np.ones(shape, np.bool_)


def open_raster(
    path: str | os.PathLike[str],
    *,
    crs: str | None = None,
    gsd_m: float | None = None,
    align_m: float | None = None,
    image_crs: str | None = None,
    image_gsd_m: float | None = None,
    grid: PixelGrid | None = None,
    bands: Sequence[int] | None = None,
    nodata: float | None = None,
    palette: bool = True,
    threads: int = 1,
) -> Raster:
    """Open an image.

    A photo without any georeference is turned upright as its EXIF says and, if it is a drone's nadir frame, gets an approximate
    grid (:mod:`spurgekit.imagery.nadir_frame`).

    Parameters
    ----------
    path : str or os.PathLike
        Anything that GDAL reads: a file, an address (``https://``, ``s3://``), a name of a virtual file system
        (``/vsizip/...``) or of one of the images within a file (``NETCDF:x.nc:ortho``).
    crs : str, optional
        Work in this CRS: an image that has none is taken to be in it, an image in another one is reprojected as it is read.
    gsd_m : float, optional
        Resample to square pixels of this size in metres: by area when shrinking, cubic when enlarging.
    align_m : float, optional
        Beside ``gsd_m``: lay pixels along the axes of the CRS, the image's edges on multiples of this length in metres, so that
        images of one place have one grid (:func:`spurgekit.imagery.target_grid.aligned`).
    image_crs : str, optional
        The CRS that the file's coordinates are in, where it does not say it or says it wrongly.
    image_gsd_m : float, optional
        What a pixel of an image without any georeference measures on the ground, in metres. If the image does not say where it
        was taken, its grid is local, along its own sides.
    grid : PixelGrid, optional
        Where the pixels (of a photo, turned upright) lie, as is known better than from the file.
    bands : sequence of int, optional
        1-based bands to read. Default all but alpha; red, green and blue first, where the file says which they are.
    nodata : float, optional
        Pixels of which all bands have this value hold no data, whatever the file says.
    palette : bool
        Read the colours that palette indexes stand for, rather than the indexes.
    threads : int
        Threads that decode blocks.

    Returns
    -------
    Raster
        To be closed, or used in a ``with`` block.

    Raises
    ------
    ImageryError
        If the file is missing, cannot be read, has an unsupported type, or cannot be placed on the ground as asked.
    """
    path = image_name(path)
    asked: dict[str, Any] = {
        "crs": crs, "gsd_m": gsd_m, "align_m": align_m, "image_crs": image_crs, "image_gsd_m": image_gsd_m, "grid": grid,
        "bands": None if bands is None else tuple(bands), "nodata": nodata, "palette": palette,
    }  # fmt: skip
    with ExitStack() as stack:
        file = stack.enter_context(open_image(path, threads))
        hold_row(file)
        raster = _raster(stack, path, file, threads=threads, watched=True, **asked)
    raster.source = ImageSource.of(path, asked)
    return raster


def open_tile_image(path: str | os.PathLike[str]) -> Raster:
    """Open an image of a folder of tiles: a GeoTIFF, PNG or JPEG as it is, and no other file that it or its folder names.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    Raster
        To be closed, or used in a ``with`` block.

    Raises
    ------
    ImageryError
        If the file is missing, cannot be read, is too large for a tile or has an unsupported type.
    """
    path = Path(path)
    with ExitStack() as stack:
        return _raster(stack, path, stack.enter_context(open_tile(path)))


def _raster(
    stack: ExitStack,
    path: ImageName,
    file: DatasetReader,
    *,
    crs: str | None = None,
    gsd_m: float | None = None,
    align_m: float | None = None,
    image_crs: str | None = None,
    image_gsd_m: float | None = None,
    grid: PixelGrid | None = None,
    bands: Sequence[int] | None = None,
    nodata: float | None = None,
    palette: bool = True,
    threads: int = 1,
    watched: bool = False,
) -> Raster:
    """Return an opened file as it was asked for; the stack closes what is open."""
    is_indexed = palette and has_palette(file)
    seen = stack.enter_context(expanded(file)) if is_indexed else file
    notes = ["holds palette indexes; the red, green and blue that they stand for are read"] if is_indexed else []
    _check_type(path, seen)
    chosen = find_bands(path, seen, bands)
    placed = _in_declared(path, _place(path, file, image_gsd_m), image_crs)
    if chosen.measured is not None:
        seen = stack.enter_context(with_measured(seen, chosen.measured))
    if nodata is not None:
        seen = stack.enter_context(with_nodata(path, seen, nodata, chosen.alpha))
        chosen = chosen.without_alpha()
    if grid is not None:
        placed = placed.moved(stored_grid(grid, placed.orientation))
    grid = grid or upright_grid(placed.grid, placed.orientation)
    native = in_crs(path, grid, crs, placed.unplaced)
    if gsd_m is not None and align_m is not None:
        target = aligned(path, native, gsd_m, align_m, placed.unplaced)
    else:
        target = at_gsd(path, native, gsd_m, placed.unplaced)
    said = (*doubts(file, native if grid.crs is None else grid), *oblong(target), *shift_note(grid, native))
    is_mosaic = watched and not file.transform.is_identity  # a photo is all ground
    collar = CollarWatch(seen, chosen.stored) if is_mosaic else None
    is_warped = (target.width, target.height, target.transform) != (grid.width, grid.height, grid.transform)
    if is_warped:
        coarser = abs(target.transform.determinant) > abs(native.transform.determinant)
        same_crs = native.transform == grid.transform
        stored, wanted = _from_corner(placed.grid, target) if same_crs else (placed.grid.transform, target.transform)
        seen = stack.enter_context(
            WarpedVRT(
                seen,
                src_crs=placed.grid.crs or target.crs,
                src_transform=None if stored == seen.transform else stored,
                crs=target.crs,
                transform=wanted,
                width=target.width,
                height=target.height,
                resampling=Resampling.average if coarser else Resampling.cubic,
                tolerance=EXACT if same_crs else 0.01,
                src_nodata=_source_nodata(seen, chosen.alpha),
                nodata=None,  # else valid pixels that happen to have that value are changed by 1
                num_threads=threads,
                **({"src_alpha": chosen.alpha} if chosen.alpha else {"add_alpha": True}),
            )
        )
        chosen = chosen.with_alpha(seen.count)
    return Raster(
        path,
        file,
        seen,
        grid=target,
        bands=chosen,
        notes=(*notes, *chosen.notes, *([placed.how] if placed.how else []), *placed.notes, *said),
        collar=collar,
        pose=placed.pose,
        orientation=placed.orientation,
        is_turned=is_warped,
        unplaced=placed.unplaced,
        stack=stack.pop_all(),
    )


def _from_corner(stored: PixelGrid, target: PixelGrid) -> tuple[Affine, Affine]:
    """Return the transforms of two grids of one CRS, counted in pixels of the first from its corner.

    Northings of millions of metres leave so few digits that means of pixels would be rounded up here and down there, as the
    image's corner has it; the same ground would be read otherwise from a part of the image.
    """
    apart = ~stored.transform @ target.transform
    a, b, c, d, e, f = (round(value, 9) for value in tuple(apart)[:6])
    down = Affine.scale(1, -1)
    return down, down @ Affine(a, b, c, d, e, f)


DEVICES = re.compile(r"con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]", re.IGNORECASE)
"""Names of devices on Windows, which no file can have there, whatever its suffix."""


def slug(text: str) -> str:
    """Return a text fit for ids and names of files on any system: letters, digits, ``_`` and ``-``.

    >>> slug("north pasture, 2"), slug("CON"), slug("com1")
    ('north-pasture-2', 'CON-', 'com1-')
    """
    name = re.sub(r"[^\w-]+", "-", text).strip("-_") or "site"
    return f"{name}-" if DEVICES.fullmatch(name) else name


def _place(path: ImageName, dataset: DatasetReader, image_gsd_m: float | None) -> FramePlacement:
    """Return the grid of the pixels as they are stored: the file's own, or that of a photo."""
    if not abs(dataset.transform.determinant) > 0:  # NaN, too
        raise ImageryError(f"{path} has a geotransform that puts all pixels on a line; georeference it again, e.g. in QGIS")
    grid = PixelGrid(dataset.width, dataset.height, dataset.transform, dataset.crs)
    is_placed = grid.crs is not None or not grid.transform.is_identity
    if image_gsd_m is not None:
        check_gsd(image_gsd_m)
        if is_placed:
            raise ImageryError(f"{path} is georeferenced, so `image_gsd_m` cannot say what its pixels measure; leave it out")
    if is_placed:
        return FramePlacement(grid)
    placed = tied_grid(path, dataset)
    if placed is None and (image_gsd_m is not None or _is_photo(path, dataset)):
        placed = place_photo(photo_file(path), grid.width, grid.height, image_gsd_m)
    fault = unusable_world_file(path)
    if fault is None:
        return placed or FramePlacement(grid)
    if placed is None or placed.unplaced:
        return replace(placed or FramePlacement(grid), unplaced=fault)
    return replace(placed, notes=(*placed.notes, fault))


def _is_photo(path: ImageName, dataset: DatasetReader) -> bool:
    """Whether an image that has no place may be a camera's."""
    if dataset.driver == "JPEG":
        return True
    return dataset.driver == "GTiff" and isinstance(path, Path) and bool(read_exif(path) or read_xmp(path))


def _in_declared(path: ImageName, placed: FramePlacement, image_crs: str | None) -> FramePlacement:
    """Return a placement in the CRS that its user says its coordinates are in."""
    if image_crs is None:
        return placed
    if (
        placed.grid.transform.is_identity
        or placed.pose is not None
        or not (placed.grid.crs is None or has_place(placed.grid.crs))
    ):
        raise ImageryError(f"{path} holds no coordinates of its pixels that could be in `image_crs`; leave it out")
    return replace(placed, grid=replace(placed.grid, crs=parse_crs(image_crs)))


def _check_type(path: ImageName, dataset: DatasetReader) -> None:
    kinds = set(dataset.dtypes)
    if len(kinds) > 1 or not kinds <= set(DATA_TYPES):
        raise ImageryError(
            f"{path} holds {', '.join(sorted(kinds))}; spurgekit reads uint8, uint16 and float32: "
            f"convert it first, e.g. gdal_translate -ot Float32"
        )


def _validity(dataset: DatasetReader, bands: Sequence[int], alpha: int | None) -> str:
    if alpha is not None:
        return "alpha band"
    flags = {flag for band in bands for flag in dataset.mask_flag_enums[band - 1]}
    if MaskFlags.per_dataset in flags:
        return "mask"
    if MaskFlags.nodata in flags:
        return "nodata"
    return "NaN" if dataset.dtypes[bands[0] - 1] == "float32" else "none"


def _source_nodata(dataset: DatasetReader, alpha: int | None) -> float | None:
    """Return the value that the warper leaves out. Alpha decides alone where there is one, as in :meth:`Raster.read`."""
    if alpha:
        return None
    if dataset.nodata is None and dataset.dtypes[0] == "float32":
        return float("nan")
    return None if dataset.nodata is None else float(dataset.nodata)
