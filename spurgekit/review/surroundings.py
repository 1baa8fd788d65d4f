"""The ground around a tile, the tile in its middle, the same way up: cut from its image, or put together from other tiles."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from spurgekit.byte_cache import ByteCache
from spurgekit.errors import InputError, SpurgekitError
from spurgekit.imagery import Raster, open_raster
from spurgekit.imagery.crs import points_in
from spurgekit.imagery.quicklook import quick_look
from spurgekit.review.review_folder import ReviewFolder, ReviewTile, open_folder
from spurgekit.review.site_images import SiteImage
from spurgekit.review.tile_pictures import Pixels, TilePictures, encode_jpeg, shrunk
from spurgekit.tiles.rectify import Homography, apply_homography, homography_of_square, is_convex, largest_scale, source_window
from spurgekit.tiles.tile_options import CONTEXT, UNLABELLED

REACH = 3
"""Side of the ground that is shown, in sides of the tile."""

MAX_PX = 900
"""Largest side of the picture."""

PAPER = 119
"""Grey where nothing is known."""

LEAST_SHARE = 0.02
"""Share of the ground around a tile that other tiles must show to be worth a picture."""

LEAST_SHRINK = 0.7
"""Pictures that shrink by more are averaged first, since interpolation alone would pick out single pixels."""

MOST_NEIGHBOURS = 60
CACHE_BYTES = 32 << 20
OPEN_IMAGES = 2


@dataclass(frozen=True, slots=True)
class View:
    """A picture of a tile's surroundings.

    Attributes
    ----------
    jpeg : bytes
        A square, :data:`REACH` times the side of the tile, which is in the middle.
    origin : str
        What it was made from, in words.
    """

    jpeg: bytes
    origin: str

    def __len__(self) -> int:
        return len(self.jpeg)


class Surroundings:
    """Makes pictures of what lies around tiles. Threads may share it; images are read in one thread of its own.

    Parameters
    ----------
    folder : ReviewFolder
    pictures : TilePictures
    sources : mapping
        The images by the names that the tiles have for them; see :func:`spurgekit.review.site_images.find_site_images`.
    """

    def __init__(self, folder: ReviewFolder, pictures: TilePictures, sources: Mapping[str, SiteImage]) -> None:
        self._folder = folder
        self._sources = dict(sources)
        self._made: ByteCache[View] = ByteCache(CACHE_BYTES, len)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="surroundings")  # GDAL's handles do not cross threads
        self._open: OrderedDict[str, Raster] = OrderedDict()
        self._patchwork = _Patchwork(folder, pictures)

    def view(self, tile: ReviewTile) -> View:
        """Return what lies around a tile.

        Raises
        ------
        InputError
            If that is not known; the message says why.
        """
        return self._made.get(tile.id, lambda: self._thread.submit(self._make, tile).result())

    def close(self) -> None:
        """Close the images."""
        self._thread.submit(self._close_images).result()
        self._thread.shutdown()

    def _close_images(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def _make(self, tile: ReviewTile) -> View:
        if tile.corners is None or not is_convex(tile.corners):
            raise InputError("the index does not say what ground this tile covers")
        side_px = min(MAX_PX // REACH, tile.size_px)
        name, why = tile.source or "its image", "was not found; `imagery` says where it is"
        if tile.source in self._sources:
            try:
                return View(encode_jpeg(_from_image(self._raster(tile.source), tile, self._folder.crs, side_px)), name)
            except (SpurgekitError, ValueError, OSError) as error:
                why = f"cannot be used ({error})"
        patched = self._patchwork.around(tile, side_px)
        if patched is None:
            raise InputError(f"{name} {why}, and no other tile lies beside this one")
        return View(encode_jpeg(patched), "tiles of this folder")

    def _raster(self, name: str) -> Raster:
        if name not in self._open:
            source = self._sources[name]
            self._open[name] = open_raster(
                source.path,
                crs=source.crs,
                image_crs=source.image_crs,
                image_gsd_m=source.image_gsd_m,
                nodata=source.nodata,
            )
            while len(self._open) > OPEN_IMAGES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(name)
        return self._open[name]


def _from_image(raster: Raster, tile: ReviewTile, crs: CRS | None, side_px: int) -> Pixels:
    """Return the surroundings of a tile, cut from its image."""
    corners = np.asarray(tile.corners)
    if raster.grid.crs is not None and crs is not None and raster.grid.crs != crs:
        corners = points_in(corners, crs, raster.grid.crs)
    to_image = _around(homography_of_square(np.column_stack(raster.grid.to_pixel(*corners.T)), side_px), side_px)
    window = source_window(to_image, REACH * side_px)
    if window & raster.grid.window is None:
        raise InputError(f"the tile does not lie on {raster.path.name}")
    look = quick_look(raster, 2 * MAX_PX, window)
    to_look = np.reshape(~look.grid.transform @ raster.grid.transform, (3, 3)) @ to_image
    canvas = _Canvas(REACH * side_px)
    canvas.paint(look.rgba(), to_look)
    return canvas.rgb


@dataclass(frozen=True, slots=True)
class _Layer:
    """Tiles that may show what lies around others."""

    tiles: tuple[ReviewTile, ...]
    pictures: TilePictures
    tree: shapely.STRtree

    @classmethod
    def of(cls, folder: ReviewFolder, pictures: TilePictures) -> _Layer:
        placed = tuple(tile for tile in folder.tiles if tile.corners is not None)
        return cls(placed, pictures, shapely.STRtree([shapely.Polygon(tile.corners) for tile in placed]))


class _Patchwork:
    """Puts the ground around a tile together from other tiles: larger ones first, then those of the same folder."""

    def __init__(self, folder: ReviewFolder, pictures: TilePictures) -> None:
        self._folder = folder
        self._pictures = pictures

    @cached_property
    def _layers(self) -> list[_Layer]:
        layers = []
        for name in (CONTEXT, UNLABELLED):
            path = (self._folder.path / name).resolve()
            if path.is_relative_to(self._folder.path) and path.is_dir():
                with suppress(InputError):
                    inner = open_folder(path, classes=self._folder.classes)
                    if inner.crs == self._folder.crs:
                        layers.append(_Layer.of(inner, TilePictures(inner)))
        return [*layers, _Layer.of(self._folder, self._pictures)]

    def around(self, tile: ReviewTile, side_px: int) -> Pixels | None:
        """Return the surroundings of a tile, or None if other tiles show next to nothing of them."""
        origin = np.asarray(tile.centre)
        to_ground = _around(homography_of_square(np.asarray(tile.corners) - origin, side_px), side_px)
        edge = np.array([0, 1, 1, 0]) * REACH * side_px, np.array([0, 0, 1, 1]) * REACH * side_px
        ground = shapely.Polygon(np.column_stack(apply_homography(to_ground, *edge)) + origin)
        canvas = _Canvas(REACH * side_px)
        for other, pictures in self._beside(tile, ground):
            with suppress(InputError, ValueError):  # one that is damaged, or whose corners make no square, leaves a gap
                pixels = pictures.pixels(other)
                from_unit = homography_of_square(np.asarray(other.corners) - origin)
                canvas.paint(pixels, np.diag([pixels.shape[1], pixels.shape[0], 1.0]) @ np.linalg.inv(from_unit) @ to_ground)
        own = slice(side_px, 2 * side_px)
        outside = canvas.seen.sum() - canvas.seen[own, own].sum()
        return canvas.rgb if outside >= LEAST_SHARE * (REACH**2 - 1) * side_px**2 else None

    def _beside(self, tile: ReviewTile, ground: shapely.Polygon) -> Iterator[tuple[ReviewTile, TilePictures]]:
        for layer in self._layers:
            numbers = sorted(layer.tree.query(ground, predicate="intersects").tolist())
            near = [layer.tiles[i] for i in numbers if layer.tiles[i].site == tile.site]
            for other in near[:MOST_NEIGHBOURS]:
                if other is not tile:
                    yield other, layer.pictures
        yield tile, self._pictures


class _Canvas:
    """A square that pictures are painted on, one over the other."""

    def __init__(self, side_px: int) -> None:
        self.rgb: Pixels = np.full((side_px, side_px, 3), PAPER, np.uint8)
        self.seen: NDArray[np.bool_] = np.zeros((side_px, side_px), np.bool_)

    def paint(self, picture: Pixels, to_picture: Homography) -> None:
        """Paint a picture, RGB or RGBA, given the way from the square's continuous pixel coordinates to the picture's."""
        shrink = 1 / largest_scale(to_picture, len(self.rgb))
        if shrink < LEAST_SHRINK:
            height, width = picture.shape[:2]
            picture = shrunk(picture, shrink)
            to_picture = np.diag([picture.shape[1] / width, picture.shape[0] / height, 1.0]) @ to_picture
        # OpenCV's (0, 0) is the centre of the first pixel, ours is its corner.
        matrix = _shift(-0.5) @ to_picture @ _shift(0.5)
        size, flags = self.seen.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        alpha = picture[..., 3] if picture.shape[2] == 4 else np.full(picture.shape[:2], 255, np.uint8)
        warped = cv2.warpPerspective(
            np.ascontiguousarray(picture[..., :3]), matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        seen = cv2.warpPerspective(np.ascontiguousarray(alpha), matrix, size, flags=flags) > 127
        self.rgb[seen] = warped[seen]
        self.seen |= seen


def _around(of_tile: Homography, side_px: int) -> Homography:
    """Return the homography of the tile's surroundings, given that of a tile in their middle."""
    return np.asarray(of_tile @ _shift(-side_px * (REACH - 1) / 2))


def _shift(by: float) -> Homography:
    return np.array([[1, 0, by], [0, 1, by], [0, 0, 1.0]])
