"""Parts of a map as units of work: workers open the image and the model by their names, and write parts where they belong."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spurgekit.executors import Workers
from spurgekit.executors.kept import made_by_process, opened_by_thread
from spurgekit.image_names import local_file
from spurgekit.imagery import Mosaic, Raster, Window, as_one, open_raster
from spurgekit.imagery.image_source import ImageSource
from spurgekit.maps.cell_mask import CellMask
from spurgekit.maps.looking import PartLook
from spurgekit.maps.map_model import NamedModel
from spurgekit.maps.map_options import MapOptions
from spurgekit.maps.parts import PartStore, write_part
from spurgekit.outputs import MARK


@dataclass(frozen=True, slots=True)
class PartUnit:
    """A part that is to be made.

    Attributes
    ----------
    rows : range
        Of the map.
    mask : CellMask
        The cells in them that are wanted.
    file : pathlib.Path
        Where it belongs.
    """

    rows: range
    mask: CellMask
    file: Path


@dataclass(frozen=True, slots=True)
class PartMaker:
    """Makes parts of one map in whatever process.

    Attributes
    ----------
    sources : tuple of ImageSource
        Of the image, or of several that are read as one.
    model : NamedModel
    options : MapOptions
    picture : Window
        The pixels below the whole map.
    run : str
        Tells this run from others, whose model may have been another one of the same name.
    """

    sources: tuple[ImageSource, ...]
    model: NamedModel
    options: MapOptions
    picture: Window
    run: str

    @classmethod
    def of(cls, look: PartLook) -> PartMaker:
        """Return what makes parts as they are made here.

        Raises
        ------
        InputError
            If workers could not find the images by their names, or the model is in no folder.
        """
        rasters = look.raster.rasters if isinstance(look.raster, Mosaic) else (look.raster,)
        sources = tuple(raster.source for raster in rasters if raster.source is not None)
        for source in sources:
            source.check()
        return cls(sources, NamedModel.of(look.model), look.options, look.picture, secrets.token_hex(8))

    def __call__(self, unit: PartUnit) -> PartUnit:
        """Make a part, and return the unit."""
        model = made_by_process("model of a map", (self.run, self.model), self.model.load)
        raster = opened_by_thread(self.sources, self._open)
        for _, part in PartLook(raster, model, self.options, self.picture).at(unit.mask, [unit.rows]):
            if (unit.file.parent / MARK).is_file():  # else the run was given up meanwhile
                write_part(unit.file, part)
        return unit

    def _open(self) -> Raster | Mosaic:
        return as_one([open_raster(source.path, **dict(source.asked)) for source in self.sources])


def make_parts(
    workers: Workers, look: PartLook, mask: CellMask, parts: Iterable[range], store: PartStore
) -> Iterator[PartUnit]:
    """Have workers make parts, and yield each as it is done.

    Parameters
    ----------
    workers : Workers
    look : PartLook
        How they are looked at.
    mask : CellMask
        The cells of the map that are wanted.
    parts : iterable of range
        Rows of the map.
    store : PartStore
        Where they are kept.

    Raises
    ------
    InputError
        If a worker does not see the image, the model or the folder of parts, or the model is in no folder.
    """
    maker = PartMaker.of(look)
    images = (local_file(source.path) for source in maker.sources)
    files = [file for file in (*images, maker.model.folder, store.folder) if file is not None]
    workers.check_sees(*files)
    units = (PartUnit(rows, mask.rows(rows), store.path(rows)) for rows in parts)
    yield from workers.stream(maker, units)
