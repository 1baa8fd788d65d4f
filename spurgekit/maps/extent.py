"""What of an image is mapped: all of it or an area of interest, and zones that are told apart in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shapely.geometry.base import BaseGeometry

from spurgekit.errors import ElsewhereError, renamed
from spurgekit.imagery import PixelGrid, PixelSource
from spurgekit.maps.cell_mask import CellMask
from spurgekit.maps.map_options import MapOptions

if TYPE_CHECKING:
    from spurgekit.maps.zones import Zone


@dataclass(frozen=True, slots=True, eq=False)
class Extent:
    """The cells of an image that are mapped.

    Attributes
    ----------
    mask : CellMask
        Which they are, of the cells of the whole image.
    cells : PixelGrid
        The grid of the map: the window of the mask, on the lattice of the whole image's cells.
    aoi : shapely geometry or None
        The area of interest, in the CRS of the image; None where all of it is mapped.
    zones : tuple of Zone
    notes : tuple of str
        What is to be said of the files of both.
    """

    mask: CellMask
    cells: PixelGrid
    aoi: BaseGeometry | None = None
    zones: tuple[Zone, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def aoi_m2(self) -> float | None:
        """Ground of the area of interest, on the image or not."""
        return None if self.aoi is None else float(self.aoi.area) * self.cells.metres_per_unit**2


def extent_of(raster: PixelSource, cells: PixelGrid, options: MapOptions) -> Extent:
    """Return the cells of an image that are to be mapped, and the zones among them.

    Parameters
    ----------
    raster : PixelSource
    cells : PixelGrid
        Of the whole image.
    options : MapOptions
        ``aoi`` and ``zones`` name the files.

    Raises
    ------
    ElsewhereError
        If an area of interest or the zones hold no cell of the image.
    InputError
        If one of the files does not serve.
    """
    mask, aoi, notes = CellMask.everywhere(cells), None, tuple[str, ...]()
    if options.aoi is not None:
        mask, aoi, notes = _area(raster, cells, options)
    grid = cells.crop(mask.window)
    if options.zones is None:
        return Extent(mask, grid, aoi, notes=notes)
    from spurgekit.maps.zones import read_zones  # geopandas is large, and of no use to other maps

    zones, said = read_zones(raster, grid, mask.inside, options)
    return Extent(mask, grid, aoi, zones, (*notes, *said))


def _area(raster: PixelSource, cells: PixelGrid, options: MapOptions) -> tuple[CellMask, BaseGeometry, tuple[str, ...]]:
    from spurgekit.outlines import read_area

    assert options.aoi is not None
    with renamed(declared_crs="aoi_crs"):
        area = read_area(options.aoi, raster, declared_crs=options.aoi_crs)
    mask = CellMask.on(area.ground, cells)
    if mask is None:
        smaller = ", or smaller cells by `stride_px`" if options.resolution == "tile" else ""
        raise ElsewhereError(
            f"{options.aoi} holds the centre of no cell of {raster.path}, which are of {cells.gsd_m:.2f} m; "
            f"pass a larger area{smaller}"
        )
    unit_m2 = cells.metres_per_unit**2
    all_m2, here_m2 = (float(shape.area) * unit_m2 for shape in (area.ground, area.ground & raster.grid.footprint()))
    if all_m2 - here_m2 < 0.05:  # what would be said as 0.0
        return mask, area.ground, area.notes
    off = f"{all_m2 - here_m2:,.1f} of the {all_m2:,.1f} m2 of {options.aoi.name} lie off the image"
    return mask, area.ground, (*area.notes, off)
