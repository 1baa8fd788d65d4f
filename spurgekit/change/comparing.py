"""``spurgekit change``: two maps of one site in, a folder of what changed out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spurgekit.change.aligning import CommonGround, Registration, check_comparable, common_ground, register
from spurgekit.change.areas import change_areas
from spurgekit.change.change_options import ChangeOptions
from spurgekit.change.mapped_date import MappedDate, read_date
from spurgekit.change.products import CellChange, ClassChange, write_change
from spurgekit.change.transitions import TransitionModel, fit_transitions
from spurgekit.errors import InputError
from spurgekit.outputs import output_folder
from spurgekit.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class ChangeReport:
    """What changed between two maps.

    Attributes
    ----------
    folder : pathlib.Path
    cell_m : float
        Side of a cell.
    support_m : float
        Side of a tile, of which a class is said.
    compared_m2 : float
        Ground of the cells that both maps cover.
    registration : Registration
        How far the two dates lie apart, and what was done about it.
    classes : dict of ClassChange by class
        Of each class but the background.
    polygons : int
        Of gain and loss.
    notes : tuple of str
        What was assumed, resampled and left out.
    """

    folder: Path
    cell_m: float
    support_m: float
    compared_m2: float
    registration: Registration
    classes: dict[str, ClassChange]
    polygons: int
    notes: tuple[str, ...] = ()


def map_change(
    old: str | Path,
    new: str | Path,
    out: str | Path,
    options: ChangeOptions | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> ChangeReport:
    """Compare two maps of a site: ``change.tif`` (COG), ``change.gpkg``, ``summary.json``, ``change.png``, styles for QGIS.

    This is post-classification comparison, by the calibrated probabilities of both dates rather than by their classes.

    Parameters
    ----------
    old, new : str or pathlib.Path
        Folders that :func:`spurgekit.map_site` made of the earlier and of the later date, with cells and classes alike.
    out : str or pathlib.Path
        Folder to make; it appears only when all is done.
    options : ChangeOptions, optional
    overwrite : bool
        Replace a folder that spurgekit made before.
    progress : Progress

    Returns
    -------
    ChangeReport
        With the areas of gain, loss and net change, and their intervals.

    Raises
    ------
    OutputExistsError
        If the folder is there already.
    ModelError
        If a model's folder is damaged.
    InputError
        If the maps cannot be compared: other cells, classes or tiles, no ground in common, images too far apart, the newer one
        named first, or a folder that holds no map.

    Examples
    --------
    >>> import spurgekit
    >>> report = spurgekit.map_change("maps/2025", "maps/2026", "changes/site")  # doctest: +SKIP
    >>> report.classes["leafy spurge"].areas["gain"].estimate_m2  # doctest: +SKIP
    41.5
    """
    options = options or ChangeOptions()
    if Path(old).resolve() == Path(new).resolve():
        raise InputError(f"{old} is named twice; name the maps of two dates, the older one first")
    before = read_date(Path(old), options.old_model, "old_model")
    after = read_date(Path(new), options.new_model, "new_model")
    check_comparable(before, after)
    # Whether they overlap at all is told ahead of what is measured on the images.
    common_ground(before, after, Registration(None, None, False, ""))
    registration = register(before, after, options.max_shift_m)
    ground = common_ground(before, after, registration)
    inputs = list(dict.fromkeys([before.folder, after.folder, before.model_folder, after.model_folder]))
    with output_folder(out, "change", parameters=options.parameters(), inputs=inputs, overwrite=overwrite) as folder:
        cells, found = _compared(before, after, ground)
        polygons = write_change(folder, before, after, ground, registration, cells, found, progress)
    support_m = before.summary.support_m
    assert support_m is not None  # as it was looked at
    notes = (*_dated(before, after), registration.note, *ground.notes, *_tested(before, after))
    return ChangeReport(Path(out), ground.grid.gsd_m, support_m, ground.compared_m2, registration, found, polygons, notes)


def _compared(old: MappedDate, new: MappedDate, ground: CommonGround) -> tuple[CellChange, dict[str, ClassChange]]:
    """Return what became of each cell, and of each class but the background."""
    support_m = old.summary.support_m or 0.0
    places = tuple(
        ground.compared_m2 / date.model.held_out.place_m2 if date.model.held_out.place_m2 else 1.0 for date in (old, new)
    )
    predicted = [date.model.predicted(said[:, ground.both].T) for date, said in zip((old, new), ground.around, strict=True)]
    cells, found = dict[str, NDArray[np.float32]](), dict[str, ClassChange]()
    for number, name in list(enumerate(old.classes))[1:]:
        model, said = _fitted(ground.said, ground.both, number)
        cells[name] = np.full((4, *ground.both.shape), np.nan, np.float32)
        cells[name][:, ground.both] = said.T
        around = _fitted(ground.around, ground.both, number)[1] if old.is_fine else said
        there = [one == number for one in predicted]
        counted = np.bincount(2 * there[0] + there[1], minlength=4)
        areas = change_areas(
            around.sum(axis=0) * ground.grid.pixel_area_m2,
            counted * ground.grid.pixel_area_m2,
            (old.held_out.against_rest(number), new.held_out.against_rest(number)),
            site_places=(places[0], places[1]),
            tile_m2=support_m**2,
        )
        found[name] = ClassChange(areas, model)
    return CellChange(cells), found


def _fitted(
    said: tuple[NDArray[np.float32], NDArray[np.float32]], both: NDArray[np.bool_], number: int
) -> tuple[TransitionModel, NDArray[np.float64]]:
    old, new = (one[number][both].astype(np.float64) for one in said)
    model = fit_transitions(old, new)
    return model, model.probabilities(old, new)


def _dated(old: MappedDate, new: MappedDate) -> tuple[str, ...]:
    if old.date and new.date:
        return ()
    unknown = " and ".join(str(date.folder) for date in (old, new) if date.date is None)
    return (f"no survey has the flight of {unknown}: {old.folder} is taken for the older",)


def _tested(old: MappedDate, new: MappedDate) -> tuple[str, ...]:
    few = [date.model_folder for date in (old, new) if len(date.held_out.counts) < 2]
    if not few:
        return ()
    return (f"of how errors of {few[0]} vary from place to place nothing is known: intervals are wide",)
