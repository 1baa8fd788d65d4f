"""What the mapped image shows of the cells of a sample, as a folder of tiles that the review page opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spurgekit.errors import ImageryError
from spurgekit.image_names import GdalName, ImageName
from spurgekit.imagery import PixelGrid, Raster, Window, open_raster
from spurgekit.imagery.quicklook import quick_look
from spurgekit.outputs import fingerprint, input_files, read_provenance
from spurgekit.parallel import cores
from spurgekit.progress import Progress
from spurgekit.text import counted
from spurgekit.tiles.cut import cut_tiles
from spurgekit.tiles.index import index_tiles, write_index
from spurgekit.tiles.layouts import Tile
from spurgekit.tiles.overview import draw_overview
from spurgekit.tiles.tile_formats import choose_format


@dataclass(frozen=True, slots=True)
class MappedImage:
    """The image that was mapped, to be opened as it was for that.

    Attributes
    ----------
    path : pathlib.Path or GdalName
    crs, image_crs : str or None
    nodata : float or None
        As :func:`spurgekit.imagery.open_raster` takes them.
    is_known : bool
        Whether it is as it was when it was mapped.
    """

    path: ImageName
    crs: str | None = None
    image_crs: str | None = None
    nodata: float | None = None
    is_known: bool = True

    @property
    def parameters(self) -> dict[str, Any]:
        """How it is opened, under the names that the review page looks for in a provenance."""
        return {"crs": self.crs, "image_crs": self.image_crs, "nodata": self.nodata}

    def open(self) -> Raster:
        """Return the opened image."""
        return open_raster(self.path, crs=self.crs, image_crs=self.image_crs, nodata=self.nodata, threads=cores())


def find_mapped_image(folder: Path, path: ImageName | None) -> MappedImage | None:
    """Return the image that a map was made of, or None if it is not where it was.

    One within the map's own folder, which may be anybody's, is not taken.

    Parameters
    ----------
    folder : pathlib.Path
        Of the map, whose provenance says how the image was opened.
    path : pathlib.Path or GdalName, optional
        The image, where it is known.
    """
    record = read_provenance(folder)
    inputs = record.get("inputs")
    if path is None:  # the first of the inputs; behind it are the model and polygons
        image = {"inputs": dict(list(inputs.items())[:1])} if isinstance(inputs, dict) else {}
        files = (file for file in input_files(image, folder) if not file.resolve().is_relative_to(folder.resolve()))
        path = next(files, None)
    if path is None:
        return None
    said: Mapping[str, Any] = found if isinstance(found := record.get("parameters"), dict) else {}
    texts = {name: said[name] for name in ("crs", "image_crs") if isinstance(said.get(name), str)}
    nodata = said.get("nodata")
    return MappedImage(
        path,
        **texts,
        nodata=float(nodata) if isinstance(nodata, (int, float)) else None,
        is_known=isinstance(inputs, dict) and _is_there(path) and fingerprint(path) in inputs.values(),
    )


def _is_there(path: ImageName) -> bool:
    return isinstance(path, GdalName) or path.is_file()


def cut_pictures(
    image: MappedImage, cells: Sequence[Tile], grid: PixelGrid, site: str, folder: Path, progress: Progress
) -> tuple[int, tuple[str, ...]]:
    """Cut what an image shows of each cell, at its own resolution, and draw where the cells lie.

    Parameters
    ----------
    image : MappedImage
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
        What the image does not show, and whether it is another; what is doubtful about it was said when it was mapped.

    Raises
    ------
    ImageryError
        If it is in another CRS than the map, or shows none of the cells.
    """
    with image.open() as raster:
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
        write_index(index, folder)
        title = f"{raster.path.name}: {counted(len(cells), 'cell')} of {grid.gsd_m:.2f} m, drawn at random from the map"
        draw_overview(folder / "overview.png", quick_look(raster, progress=progress), index, title=title, what="cell")
        unseen = len(cells) - len(index)
        said = [f"{raster.path.name} shows nothing of {counted(unseen, 'cell')}"] if unseen else []
        if not image.is_known:
            said.append(
                f"{raster.path.name} is not the file that was mapped, or was changed since: look whether it shows the same"
            )
        return len(index), tuple(said)
