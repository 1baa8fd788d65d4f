"""Masks of tiles, from what there is: images, polygons on a map, a raster, masks of the dataset's own, or pixels' colours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

from spurgekit.augment.edit_masks import edit_mask, published_growth_px
from spurgekit.augment.mask_options import MaskOptions
from spurgekit.augment.tile_ground import Ground
from spurgekit.dataset.reader import MASKS, SPLITS, Dataset, read_mask
from spurgekit.diffusion.image_tensors import Picture, read_picture
from spurgekit.errors import ImageryError, InputError, renamed
from spurgekit.imagery import Window, open_raster, parse_crs
from spurgekit.imagery.limits import open_picture
from spurgekit.imagery.vegetation import green_index, otsu_threshold
from spurgekit.progress import Progress, silent
from spurgekit.registry import Registry
from spurgekit.tiles.png import encode_png
from spurgekit.tiles.rectify import apply_homography, homography_of_square
from spurgekit.vectors import read_vector, split_layer

RASTERS = (".tif", ".tiff", ".vrt", ".img", ".jp2", ".asc", ".bil", ".png", ".jpg", ".jpeg")
HALF = 127
"""Brighter pixels of a mask image are in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourMask:
    """A way to tell by its colours what of a tile is in a mask.

    Attributes
    ----------
    name : str
    description : str
    index : callable
        ``index(picture)`` returns how much the pixels of one of uint8, shape (height, width, 3), are of what is meant, NaN
        where there are no data. Those above Otsu's threshold are in the mask.
    """

    name: str
    description: str
    index: Callable[[Picture], NDArray[np.float64]]


COLOUR_MASKS = Registry(
    "mask by colour",
    [ColourMask(name="excess-green", description="what is green beside the rest (Woebbecke et al. 1995)", index=green_index)],
)
"""What is named in the place of a file of masks; yours is one more: ``COLOUR_MASKS.register(ColourMask(...))``."""


def mask_file(mask: Path | None) -> Path | None:
    """Return where masks are read from; None where there are none, or colours make them."""
    return None if mask is None or str(mask) in COLOUR_MASKS else mask


class MaskSource(ABC):
    """Says of each tile of a dataset which of its pixels are in a mask: those whose centres are.

    Attributes
    ----------
    path : pathlib.Path
        What the masks come from.
    size_px : int
        Side of a tile.
    doubt : str
        What to look at where masks miss all tiles.
    """

    doubt: ClassVar[str]

    def __init__(self, path: Path, size_px: int) -> None:
        self.path = path
        self.size_px = size_px

    @staticmethod
    def open(path: Path, dataset: Dataset, *, crs: str | None = None) -> MaskSource:
        """Open what masks come from.

        Parameters
        ----------
        path : pathlib.Path
            One of :data:`COLOUR_MASKS`; a folder of 8-bit images named ``{tile_id}.png``, of which pixels brighter than 127 are
            in; polygons in any file that OGR reads (``FILE|layername=NAME`` names a layer); or a georeferenced raster of one
            band, of which pixels greater than 0 are in, unless they are no data. Maps may be in another CRS than the tiles.
        dataset : Dataset
            That the tiles are of.
        crs : str, optional
            Of the map, where it does not say its CRS or says it wrongly.

        Raises
        ------
        InputError
            If it is none of these, is damaged or empty, or nothing says where the tiles or the map lie.
        """
        path = Path(path)
        if str(path) in COLOUR_MASKS:
            return _Colours(path, dataset.info.size_px)
        file, layer = split_layer(path)
        if not file.exists():
            known = ", ".join(COLOUR_MASKS)
            raise InputError(
                f"{file}: no such file or folder; a mask is a folder of images, a file of polygons, a raster, or {known}"
            )
        if file.is_dir() and file.suffix.lower() != ".gdb":  # Esri's databases are folders
            return _Images(file, dataset)
        if layer is None and file.suffix.lower() in RASTERS:
            return _MaskRaster(file, dataset, crs)
        return _Polygons(path, dataset, crs)

    @staticmethod
    def of_classes(dataset: Dataset) -> MaskSource:
        """Return the masks that a dataset has: of each tile the pixels of its class.

        Raises
        ------
        InputError
            If it has none.
        """
        if not dataset.info.masks:
            known = " or ".join(f"`mask={name}`" for name in COLOUR_MASKS)
            raise InputError(
                f"{dataset.path} has no masks that say where in its tiles a class is; pass polygons as `mask`, or {known}"
            )
        return _Classes(dataset.path / MASKS, dataset.info.size_px)

    @abstractmethod
    def mask(self, row: pd.Series) -> NDArray[np.bool_]:
        """Return the mask of a tile; nothing is in it where the mask misses the tile.

        Parameters
        ----------
        row : pandas.Series
            Of :meth:`spurgekit.dataset.reader.Dataset.split`.

        Returns
        -------
        ndarray of bool, shape (size_px, size_px)

        Raises
        ------
        InputError
            If it cannot be read, or nobody knows where the tile lies.
        """

    def fitted(self, rows: pd.DataFrame) -> MaskSource:  # noqa: ARG002
        """Return the same for a support set, where masks go by what all of its tiles look like."""
        return self

    def nothing(self) -> NDArray[np.bool_]:
        """Return a mask with nothing in it."""
        return np.zeros((self.size_px, self.size_px), np.bool_)


def encode_masks(
    source: MaskSource, rows: pd.DataFrame, options: MaskOptions, *, progress: Progress = silent
) -> Mapping[str, bytes]:
    """Return what may change of each tile as a PNG of 8 bit: 255 where it may, 0 where it stays.

    Parameters
    ----------
    source : MaskSource
    rows : pandas.DataFrame
        Of :meth:`spurgekit.dataset.reader.Dataset.split`; tiles may be there several times.
    options : MaskOptions
    progress : Progress

    Returns
    -------
    mapping of str to bytes
        By tile id, without tiles that were skipped.

    Raises
    ------
    InputError
        If the mask misses a tile or leaves nothing of it to change, and such are not to be skipped; or does so with all.
    """
    tiles = rows.drop_duplicates("tile_id")
    grow_px = published_growth_px(source.size_px) if options.dilate_px is None else options.dilate_px
    encoded: dict[str, bytes] = {}
    missed: list[str] = []
    spent: list[str] = []
    with progress("masking tiles", len(tiles)) as advance:
        for _, row in tiles.iterrows():
            tile, mask = str(row["tile_id"]), source.mask(row)
            edit = edit_mask(mask, where=options.where, grow_px=grow_px, feather_px=options.feather_px)
            if mask.any() and edit.any():
                encoded[tile] = encode_png(edit)
            else:
                (spent if mask.any() else missed).append(tile)
            advance(1)
    if len(missed) == len(tiles):
        raise InputError(f"the mask {source.path} misses all {len(tiles)} tiles; check {source.doubt}")
    if not encoded or not options.skip_unmasked:
        _refuse(source.path, "misses", missed)
        _refuse(source.path, f"leaves nothing to change {options.where} of it, dilated by {grow_px} px, in", spent)
    return encoded


def _refuse(path: Path, what: str, tiles: Sequence[str]) -> None:
    """Raise an InputError if there are such tiles."""
    if tiles:
        more = f" and {len(tiles) - 1} more" if len(tiles) > 1 else ""
        raise InputError(f"the mask {path} {what} tile {tiles[0]}{more}; change it, or leave such tiles out by `skip_unmasked`")


# -- what masks come from ---------------------------------------------------------------------------------------------


class _Colours(MaskSource):
    """The colours of the tiles: above a threshold, or where nothing of a tile is, above that of the tile itself."""

    doubt = "what tiles show"

    def __init__(self, path: Path, size_px: int, threshold: float | None = None) -> None:
        super().__init__(path, size_px)
        self._threshold = threshold

    def fitted(self, rows: pd.DataFrame) -> MaskSource:
        indices = np.concatenate([self._index(path).ravel() for path in rows["path"]])
        return _Colours(self.path, self.size_px, otsu_threshold(indices)) if np.isfinite(indices).any() else self

    def mask(self, row: pd.Series) -> NDArray[np.bool_]:
        index = self._index(row["path"])
        if not np.isfinite(index).any():
            return self.nothing()
        if self._threshold is not None and (found := index > self._threshold).any():
            return found
        return np.asarray(index > otsu_threshold(index))

    def _index(self, path: Path) -> NDArray[np.float64]:
        return COLOUR_MASKS[str(self.path)].index(read_picture(path, fills=False))


class _Classes(MaskSource):
    """Masks of a dataset, whose pixels are numbers of classes."""

    doubt = "what its labels are made of"

    def mask(self, row: pd.Series) -> NDArray[np.bool_]:
        path = self.path / f"{row['tile_id']}.png"
        return np.asarray(read_mask(path, self.size_px) == row["target"]) if path.is_file() else self.nothing()


class _Images(MaskSource):
    """A folder of images named by tile."""

    doubt = "the names of its images, which are those of the tiles"

    def __init__(self, path: Path, dataset: Dataset) -> None:
        super().__init__(path, dataset.info.size_px)
        tiles = [tile for side in SPLITS for tile in dataset.split(side)["tile_id"]]
        if {file.stem for file in path.glob("*.png")}.isdisjoint(tiles):
            raise InputError(f"{path} holds no mask of a tile of {dataset.path}; name masks by tile, such as {tiles[0]}.png")

    def mask(self, row: pd.Series) -> NDArray[np.bool_]:
        path = self.path / f"{row['tile_id']}.png"
        if not path.is_file():
            return self.nothing()
        try:
            with open_picture(path) as image:
                mode, size = image.mode, image.size
                grey = np.asarray(image.convert("L"))
        except ImageryError as error:
            raise InputError(f"{path} is damaged or no image; write it again") from error
        if mode.startswith(("I", "F")):
            raise InputError(f"{path} is not of 8 bit; write masks as 8-bit images, 255 where the mask is")
        if size != (self.size_px, self.size_px):
            raise InputError(f"{path} is {size[0]} x {size[1]} px, and its tile {self.size_px} px; make it of the tile's size")
        if 0 < (brightest := int(grey.max())) <= HALF:
            raise InputError(f"{path} is no brighter than {brightest}; write masks with 255 where the mask is, and 0 elsewhere")
        return np.asarray(grey > HALF)


class _Polygons(MaskSource):
    """Polygons on a map."""

    doubt = "its CRS, and whether it is of that site"

    def __init__(self, path: Path, dataset: Dataset, crs: str | None) -> None:
        super().__init__(path, dataset.info.size_px)
        self._ground = Ground(dataset)
        with renamed(declared_crs="mask_crs"):
            frame = read_vector(path, self._ground.crs, declared_crs=crs).rows  # those without a place mask nothing
        if (other := ~frame.geom_type.isin(["Polygon", "MultiPolygon"])).any():
            kind = frame.geom_type[other].iloc[0]
            raise InputError(f"{path} holds {kind}s, and a mask is of polygons; draw polygons, or buffer them, e.g. in QGIS")
        self._shapes = shapely.make_valid(frame.geometry.to_numpy())
        self._tree = shapely.STRtree(self._shapes)

    def mask(self, row: pd.Series) -> NDArray[np.bool_]:
        corners = self._ground.quad(row).corners_in(self._ground.crs)
        tile = shapely.Polygon(corners)
        near = self._shapes[self._tree.query(tile, predicate="intersects")]
        pieces = shapely.get_parts(shapely.intersection(near, tile))  # far ones may lie behind a homography's horizon
        pieces = pieces[shapely.area(pieces) > 0]  # those that only touch the tile leave points and lines
        if not len(pieces):
            return self.nothing()
        origin = corners[0]  # northings of millions would cost the homography its last digits
        to_tile = np.asarray(np.linalg.inv(homography_of_square(corners - origin, self.size_px)), np.float64)
        drawn = shapely.transform(pieces, lambda places: np.column_stack(apply_homography(to_tile, *(places - origin).T)))
        return np.asarray(rasterize(drawn, (self.size_px, self.size_px), dtype=np.uint8) > 0)


class _MaskRaster(MaskSource):
    """A raster on a map."""

    doubt = "its CRS, and whether it is of that site"

    def __init__(self, path: Path, dataset: Dataset, crs: str | None) -> None:
        super().__init__(path, dataset.info.size_px)
        self._ground = Ground(dataset)
        with open_raster(path, palette=False) as raster:
            found = parse_crs(crs) if crs else raster.grid.crs
            if raster.grid.transform.is_identity:
                raise InputError(f"{path} is not georeferenced; georeference it, or pass a folder of masks named by tile")
            if found is None:
                raise InputError(f"{path} does not say its CRS; pass `mask_crs`, e.g. `mask_crs=EPSG:32612`")
            if len(raster.bands) > 1:
                raise InputError(f"{path} has {len(raster.bands)} bands, and a mask one; take it out, e.g. gdal_translate -b 1")
        self._crs = found

    def mask(self, row: pd.Series) -> NDArray[np.bool_]:
        corners = self._ground.quad(row).corners_in(self._crs)
        # For each tile: it takes a millisecond, and GDAL's handles do not cross threads.
        with open_raster(self.path, palette=False) as raster:
            to_raster = homography_of_square(np.column_stack(raster.grid.to_pixel(*corners.T)), self.size_px)
            y, x = np.mgrid[: self.size_px, : self.size_px] + 0.5
            cols, rows = (np.floor(places).astype(np.intp) for places in apply_homography(to_raster, x, y))
            left, top = int(cols.min()), int(rows.min())
            window = Window(left, top, int(cols.max()) + 1 - left, int(rows.max()) + 1 - top)
            if window & raster.grid.window is None:
                return self.nothing()
            pixels, valid = raster.read(window)
        return np.asarray((pixels[0] > 0) & valid)[rows - top, cols - left]
