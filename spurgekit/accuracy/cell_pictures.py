"""What the mapped images show of the cells of a sample, as a folder of tiles that the review page opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spurgekit.errors import ImageryError
from spurgekit.image_names import GdalName, ImageName
from spurgekit.imagery import Mosaic, PixelGrid, Raster, Window, open_images
from spurgekit.imagery.quicklook import quick_look
from spurgekit.maps.map_folder import REMEDY, SUMMARY, MapSummary, find_images, opened_as
from spurgekit.outputs import fingerprint, read_provenance
from spurgekit.parallel import cores
from spurgekit.progress import Progress
from spurgekit.reading import read_described
from spurgekit.text import counted
from spurgekit.tiles.cut import cut_tiles
from spurgekit.tiles.index import index_tiles, write_index
from spurgekit.tiles.layouts import Tile
from spurgekit.tiles.overview import draw_overview
from spurgekit.tiles.tile_formats import choose_format


@dataclass(frozen=True, slots=True)
class MappedImages:
    """The images that were mapped, to be opened as one as they were for that.

    Attributes
    ----------
    paths : tuple of pathlib.Path or GdalName
    crs, image_crs : str or None
    nodata : float or None
        As :func:`spurgekit.imagery.open_raster` takes them.
    is_known : bool
        Whether they are as they were when they were mapped.
    """

    paths: tuple[ImageName, ...]
    crs: str | None = None
    image_crs: str | None = None
    nodata: float | None = None
    is_known: bool = True

    @property
    def parameters(self) -> dict[str, Any]:
        """How they are opened, under the names that the review page looks for in a provenance."""
        return {"crs": self.crs, "image_crs": self.image_crs, "nodata": self.nodata}

    def open(self) -> Raster | Mosaic:
        """Return the opened images."""
        return open_images(self.paths, crs=self.crs, image_crs=self.image_crs, nodata=self.nodata, threads=cores())


def find_mapped_images(folder: Path, given: ImageName | None) -> tuple[MappedImages | None, str]:
    """Return the images that a map was made of, or None if one is not where it was, and why.

    Parameters
    ----------
    folder : pathlib.Path
        Of the map, whose provenance says how the images were opened.
    given : pathlib.Path or GdalName, optional
        What the user says that it was made of.
    """
    record = read_provenance(folder)
    inputs, parameters = record.get("inputs"), record.get("parameters")
    paths: tuple[ImageName, ...] = () if given is None else (given,)
    why, is_known = "", True
    if given is None:
        paths, why = find_images(folder, read_described(folder / SUMMARY, MapSummary, REMEDY).images)
    else:
        there = isinstance(given, GdalName) or given.is_file()
        is_known = there and isinstance(inputs, dict) and fingerprint(given) in inputs.values()
    if not paths:
        return None, why
    crs = parameters.get("crs") if isinstance(parameters, dict) else None
    opened = opened_as(parameters)
    return MappedImages(paths, crs if isinstance(crs, str) else None, **opened, is_known=is_known), ""


def cut_pictures(
    images: MappedImages, cells: Sequence[Tile], grid: PixelGrid, site: str, folder: Path, progress: Progress
) -> tuple[int, tuple[str, ...]]:
    """Cut what images show of each cell, at their own resolution, and draw where the cells lie.

    Parameters
    ----------
    images : MappedImages
    cells : sequence of Tile
        Their windows are in the grid of the map.
    grid : PixelGrid
        Of the map.
    site : str
    folder : pathlib.Path
        Becomes a folder of tiles, in the order of the cells.
    progress : Progress

    Returns
    -------
    pictures : int
        Cells that have one.
    notes : tuple of str
        What the images do not show, and whether it is another; what is doubtful about them was said when they were mapped.

    Raises
    ------
    ImageryError
        If they are in another CRS than the map, or show none of the cells.
    """
    with images.open() as raster:
        if raster.grid.crs != grid.crs:
            raise ImageryError(f"{raster.path} is not in the CRS of the map, so it was not mapped; pass another `image`")
        side = max(1, round(grid.gsd_m / raster.gsd_m))
        corners = grid.to_world([cell.window.col for cell in cells], [cell.window.row for cell in cells])
        places = zip(cells, *(values.round().astype(int).tolist() for values in raster.grid.to_pixel(*corners)), strict=True)
        tiles = [Tile(cell.id, Window(col, row, side, side), cell.attributes) for cell, col, row in places]
        file_format = choose_format("auto", len(raster.bands), raster.dtype.name, raster.rgb)
        cut = cut_tiles(
            raster,
            sorted(tiles, key=lambda tile: (tile.window.row, tile.window.col)),
            folder,
            encode=file_format.encoder(),
            suffix=f".{file_format.name}",
            progress=progress,
        )
        if not any(one.file_name for one in cut):
            raise ImageryError(f"{raster.path} shows none of the map's cells; pass the image that was mapped by `image`")
        by_id = {one.tile.id: one for one in cut}
        index = index_tiles(raster, site, [by_id[cell.id] for cell in cells], "grid")
        if isinstance(raster, Mosaic):
            index["source"] = [raster.image_at(by_id[cell].tile.window).path.name for cell in index["tile_id"]]
        write_index(index, folder)
        title = f"{raster.path.name}: {counted(len(cells), 'cell')} of {grid.gsd_m:.2f} m, drawn at random from the map"
        draw_overview(folder / "overview.png", quick_look(raster, progress=progress), index, title=title, what="cell")
        unseen = len(cells) - len(index)
        said = [f"{raster.path.name} shows nothing of {counted(unseen, 'cell')}"] if unseen else []
        if not images.is_known:
            said.append(
                f"{raster.path.name} is not the file that was mapped, or was changed since: look whether it shows the same"
            )
        return len(index), tuple(said)
