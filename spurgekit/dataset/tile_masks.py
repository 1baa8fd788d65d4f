"""Masks of tiles: the class of each of their pixels, where labels say it of the ground itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

from spurgekit.dataset.reader import UNKNOWN, read_mask
from spurgekit.parallel import cores, stream_map
from spurgekit.tiles.index import footprint_corners
from spurgekit.tiles.png import encode_png
from spurgekit.tiles.rectify import apply_homography, homography_of_square

Mask = NDArray[np.uint8]
"""Numbers of classes, or :data:`spurgekit.dataset.reader.UNKNOWN`, shape (height, width)."""


class Ground(Protocol):
    """What labels say of the ground that tiles lie on, pixel by pixel.

    Attributes
    ----------
    names : tuple of str
        Classes that it may be of, the first class first.
    known : ndarray of bool
        Of which tiles, by their rows in the index, it knows the pixels.
    """

    @property
    def names(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def known(self) -> NDArray[np.bool_]: ...  # noqa: D102

    def draw(self, rows: Sequence[int], classes: Sequence[str]) -> Iterator[Mask]:
        """Yield the masks of some tiles, by their rows in the index; what is of none of the classes is not known."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class DrawnGround:
    """Ground of which polygons say what it is.

    Where polygons of two classes overlap, it is of the later one in the order of the classes; where one without a class does,
    nobody knows.

    Attributes
    ----------
    tiles : geopandas.GeoDataFrame
        With ``size_px``.
    shapes : ndarray of shapely.Polygon or shapely.MultiPolygon, shape (n,)
        Valid ones, in the CRS of the tiles.
    of_shapes : sequence of (str or None)
        The class of each, None where it has none.
    first : str
        The class of ground without a polygon.
    """

    tiles: gpd.GeoDataFrame
    shapes: NDArray[np.object_]
    of_shapes: Sequence[str | None]
    first: str

    @property
    def names(self) -> tuple[str, ...]:
        """Classes that it may be of."""
        return (self.first, *sorted({name for name in self.of_shapes if name is not None} - {self.first}))

    @property
    def known(self) -> NDArray[np.bool_]:
        """Of which tiles it knows the pixels: those whose footprints say where their corners lie."""
        return np.asarray(np.isfinite(footprint_corners(self.tiles.geometry)).all(axis=(1, 2)))

    def draw(self, rows: Sequence[int], classes: Sequence[str]) -> Iterator[Mask]:
        """Yield the masks of some tiles; a pixel is of what covers its centre."""
        code_of = {name: code for code, name in enumerate(classes)}
        codes = np.array([UNKNOWN if name is None else code_of.get(name, UNKNOWN) for name in self.of_shapes], np.uint8)
        tree, squares = shapely.STRtree(self.shapes), self.tiles.geometry.to_numpy()
        corners, sizes = footprint_corners(self.tiles.geometry), self.tiles["size_px"].to_numpy()
        for row in rows:
            found = tree.query(squares[row], predicate="intersects")
            found = found[np.argsort(codes[found], kind="stable")]
            pieces, number = shapely.get_parts(shapely.intersection(self.shapes[found], squares[row]), return_index=True)
            areal = shapely.get_dimensions(pieces) == 2  # what touches a tile shares a line or a point with it
            yield _rasterized(pieces[areal], codes[found][number[areal]], corners[row], int(sizes[row]))


def _rasterized(shapes: NDArray[np.object_], codes: Mask, corners: NDArray[np.float64], size_px: int) -> Mask:
    """Return the codes of polygons, of the later ones where they overlap, on the pixels of a tile; 0 elsewhere."""
    if not len(shapes):
        return np.zeros((size_px, size_px), np.uint8)
    origin = corners[0]  # near which coordinates are small, and lose nothing by rounding
    to_tile = np.linalg.inv(homography_of_square(corners - origin, size_px)).astype(np.float64)
    placed = shapely.transform(shapes, lambda places: np.column_stack(apply_homography(to_tile, *(places - origin).T)))
    drawn = zip(placed, codes.tolist(), strict=True)
    return np.asarray(rasterize(drawn, (size_px, size_px), fill=0, dtype="uint8"))


@dataclass(frozen=True, slots=True, eq=False)
class MaskedGround:
    """Ground of which masks say what it is that tiles have already, in the dataset that they are from.

    Attributes
    ----------
    paths : sequence of (pathlib.Path or None)
        Of the mask of each tile, None where one has none.
    size_px : int
        Side of a tile.
    names : tuple of str
        Classes by the numbers that the masks have for them.
    """

    paths: Sequence[Path | None]
    size_px: int
    names: tuple[str, ...]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Of which tiles it knows the pixels."""
        return np.array([path is not None for path in self.paths], np.bool_)

    def draw(self, rows: Sequence[int], classes: Sequence[str]) -> Iterator[Mask]:
        """Yield the masks of some tiles."""
        number = {name: code for code, name in enumerate(classes)}
        codes = np.full(256, UNKNOWN, np.uint8)
        codes[: len(self.names)] = [number.get(name, UNKNOWN) for name in self.names]
        for row in rows:
            path = self.paths[row]
            assert path is not None  # the tile's ground is known
            yield codes[read_mask(path, self.size_px)]


@dataclass(frozen=True, slots=True, eq=False)
class TileMasks:
    """The masks of the tiles of one source.

    Attributes
    ----------
    ground : Ground
    ids : tuple of str
        Of the tiles, in the order of their index.
    known : ndarray of bool
        Whether the mask of each is.
    """

    ground: Ground
    ids: tuple[str, ...]
    known: NDArray[np.bool_]

    def rows(self, ids: Collection[str]) -> list[int]:
        """Return the rows of those of some tiles whose masks are known."""
        return [row for row, tile in enumerate(self.ids) if self.known[row] and tile in ids]


def write_masks(
    folder: Path, masks: Sequence[TileMasks], ids: Collection[str], classes: Sequence[str], advance: Callable[[int], None]
) -> int:
    """Write the masks of some tiles as ``{tile_id}.png``, one at a time, and return how many there are.

    Parameters
    ----------
    folder : pathlib.Path
        Is made, unless there are none.
    masks : sequence of TileMasks
    ids : collection of str
        Of the tiles that are meant.
    classes : sequence of str
        In the order of their numbers.
    advance : callable
        Is told of each that is written.
    """
    count = 0
    with ThreadPoolExecutor(cores()) as threads:
        for one in masks:
            rows = one.rows(ids)
            if rows:
                folder.mkdir(exist_ok=True)
            targets = (folder / f"{one.ids[row]}.png" for row in rows)
            drawn = zip(targets, one.ground.draw(rows, classes), strict=True)
            for _ in stream_map(threads, _write, drawn, in_flight=8 * cores()):
                count += 1
                advance(1)
    return count


def _write(drawn: tuple[Path, Mask]) -> None:
    target, mask = drawn
    target.write_bytes(encode_png(mask))
