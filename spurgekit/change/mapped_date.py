"""A map as one of two dates: what it says, and which images and which model it is of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spurgekit.classify.held_out import HeldOutCounts, counts_of, held_out_as
from spurgekit.classify.model_info import ModelInfo, read_model_info
from spurgekit.dihedral import VIEW_COUNTS
from spurgekit.errors import InputError
from spurgekit.imagery import Mosaic, Raster, open_images, open_raster
from spurgekit.maps.map_folder import RASTER, REMEDY, SUMMARY, MapSummary, check_map, find_images, opened_as
from spurgekit.maps.mapped_cells import MappedCells, find_model, read_cells
from spurgekit.outputs import read_provenance
from spurgekit.reading import read_described
from spurgekit.survey import find_survey


@dataclass(frozen=True, slots=True, eq=False)
class MappedDate(MappedCells):
    """A map of a site at one date.

    Its cells are those of :class:`spurgekit.maps.mapped_cells.MappedCells`.

    Attributes
    ----------
    folder : pathlib.Path
        Of the map.
    summary : MapSummary
    model : ModelInfo
        What says so.
    model_folder : pathlib.Path
    held_out : HeldOutCounts
        Its test, with as many views of a tile and for the prevalence that the map was made with.
    images : tuple of pathlib.Path
        That were mapped, as one; empty where one is not there any more.
    no_image : str
        Why it is not.
    opened : dict
        How they were opened, as arguments of :func:`spurgekit.open_raster`.
    date : datetime.date or None
        Day of the flight, where a survey says it.
    """

    folder: Path
    summary: MapSummary
    model: ModelInfo
    model_folder: Path
    held_out: HeldOutCounts
    images: tuple[Path, ...]
    no_image: str
    opened: dict[str, Any]
    date: dt.date | None

    @property
    def crs(self) -> str | None:
        """CRS of its cells as WKT."""
        return None if self.grid.crs is None else self.grid.crs.to_wkt()

    def open(self, what: Literal["images", "maps"], crs: str | None, gsd_m: float | None = None) -> Raster | Mosaic:
        """Open its images as one, or the map itself: the probability of its second class.

        Parameters
        ----------
        what : {"images", "maps"}
        crs : str or None
            Of the raster, where it does not say it.
        gsd_m : float, optional
            Metres a pixel to resample to.
        """
        if what == "maps" or not self.images:
            return open_raster(self.folder / RASTER, crs=crs, gsd_m=gsd_m, bands=[2])
        return open_images(self.images, crs=crs, gsd_m=gsd_m, **self.opened)

    @property
    def is_fine(self) -> bool:
        """Whether its cells are finer than tiles."""
        return self.said is not self.around


def read_date(folder: Path, model: Path | None, option: str) -> MappedDate:
    """Read a map of one date.

    Parameters
    ----------
    folder : pathlib.Path
        That :func:`spurgekit.map_site` made.
    model : pathlib.Path or None
        Folder of its model; None for where the map says.
    option : str
        What names that folder, for messages.

    Raises
    ------
    InputError
        If it is no map, is one of cover, or its model is not to be found.
    """
    check_map(folder)
    summary = read_described(folder / SUMMARY, MapSummary, REMEDY)
    if summary.cover:
        raise InputError(f"{folder} is a map of cover, of which no cell is gained or lost; compare maps of presence")
    cells = read_cells(folder / RASTER)
    record = read_provenance(folder)
    found = model or find_model(folder, record)
    if found is None:
        raise InputError(f"the model of {folder} is not where it was when mapped, and areas need its test; pass `{option}`")
    info = read_model_info(found)
    if info.classes != cells.classes:
        raise InputError(f"{found} is not the model of {folder}: its classes are {', '.join(info.classes)}; pass `{option}`")
    said_of = record.get("parameters")
    parameters: dict[str, Any] = said_of if isinstance(said_of, dict) else {}
    prevalence, views = parameters.get("prevalence"), parameters.get("views")
    shares = tuple(map(float, prevalence)) if isinstance(prevalence, list) and len(prevalence) == len(cells.classes) else None
    tested = held_out_as(found, info, shares, views if views in VIEW_COUNTS else info.views)
    images, why = find_images(folder, summary.images)
    return MappedDate(
        cells.grid, cells.classes, cells.said, cells.around, folder, summary, info, found, counts_of(tested, info),
        images, why, opened_as(parameters), _flown(images),
    )  # fmt: skip


def _flown(images: Sequence[Path]) -> dt.date | None:
    """Return the day of the flight that images are of, as the survey says that they lie in; None of those of several days."""
    days = {_day_of(image) for image in images}
    return days.pop() if len(days) == 1 else None


def _day_of(image: Path) -> dt.date | None:
    survey = find_survey(image.parent)
    sites = {} if survey is None else survey.images
    name = next((site for site, path in sites.items() if isinstance(path, Path) and path.resolve() == image.resolve()), None)
    return survey.date_of(name) if survey is not None and name is not None else None
