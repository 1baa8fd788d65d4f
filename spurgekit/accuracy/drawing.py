"""``spurgekit check MAP``: a map in, a random sample of its cells out, to be labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from spurgekit.accuracy.allocation import Counts, allocate, sample_size
from spurgekit.accuracy.cell_lists import write_lists
from spurgekit.accuracy.cell_pictures import cut_pictures, find_mapped_images
from spurgekit.accuracy.check_options import USUAL_HALF_WIDTH, CheckOptions
from spurgekit.accuracy.sample import SAMPLE, Sample, SampledCell, Stratum
from spurgekit.accuracy.strata import MapStrata, read_strata
from spurgekit.errors import InputError, known_names
from spurgekit.image_names import image_name
from spurgekit.imagery import Window, slug
from spurgekit.outputs import output_folder
from spurgekit.progress import Progress, silent
from spurgekit.seeds import seed_of
from spurgekit.tiles.layouts import Tile

Numbers = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """A sample that was drawn.

    Attributes
    ----------
    folder : pathlib.Path
    sample : Sample
    half_width : float
        Of the 95 % interval that the map's own probabilities let expect: of the overall accuracy, or of the area asked for, as
        a share of the map.
    area_of : str or None
        The class of that area.
    files : tuple of str
        The lists of cells that were written.
    pictures : int
        Cells that have a picture.
    notes : tuple of str
        What was left out, and why.
    """

    folder: Path
    sample: Sample
    half_width: float
    area_of: str | None
    files: tuple[str, ...]
    pictures: int
    notes: tuple[str, ...] = ()


def draw_check(
    map_folder: str | Path,
    out: str | Path,
    options: CheckOptions | None = None,
    *,
    image: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> CheckReport:
    """Draw a stratified random sample of a map's cells, to be labelled in the field or on the review page.

    What is written does not say what the map has the cells for, and is in a random order: who labels them is to see the ground
    alone. :func:`assess_map` makes estimates of the labels.

    Parameters
    ----------
    map_folder : str or pathlib.Path
        That :func:`map_site` made.
    out : str or pathlib.Path
        Folder to make; it appears only when all is done.
    options : CheckOptions, optional
    image : str or pathlib.Path, optional
        The image that was mapped, for pictures of the cells. Default: where the map's provenance says.
    overwrite : bool
        Replace a folder that spurgekit made before and nobody has changed.
    progress : Progress

    Returns
    -------
    CheckReport

    Raises
    ------
    InputError
        If the folder holds no map, the sample cannot be as large as asked, or the image is not the map's.
    OutputExistsError
        If the folder is there already.

    Examples
    --------
    >>> import spurgekit
    >>> drawn = spurgekit.draw_check("maps/site", "checks/site", spurgekit.CheckOptions(cells=150))  # doctest: +SKIP
    >>> found = spurgekit.assess_map("checks/site")  # doctest: +SKIP
    >>> found.classes["leafy spurge"].area_m2.low  # doctest: +SKIP
    213.4
    """
    options, map_folder = options or CheckOptions(), Path(map_folder)
    strata = read_strata(map_folder, options.uncertain_from, options.least)
    of = _class_number(options, strata.classes)
    numbers = np.flatnonzero(strata.cells)
    population, spread = strata.cells[numbers], strata.spread(of)[numbers]
    sampled = _sizes(population, spread, options, strata.grid.pixel_area_m2)
    mapped, gone = find_mapped_images(map_folder, None if image is None else image_name(image))
    site = slug(map_folder.resolve().name)
    parameters = {**options.parameters(), **(mapped.parameters if mapped else {})}
    inputs = [map_folder, *(mapped.paths if mapped else ())]
    with output_folder(out, "check", parameters=parameters, inputs=inputs, overwrite=overwrite) as folder:
        cells, drawn = draw_cells(strata, numbers, sampled, site, options.seed)
        sample = _describe(strata, numbers, cells, drawn, map_folder.resolve().name)
        (folder / SAMPLE).write_text(sample.model_dump_json(indent=2) + "\n", encoding="utf-8", newline="\n")
        files, notes = write_lists(folder, cells, strata.grid)
        if mapped is not None:
            pictures, said = cut_pictures(mapped, cells, strata.grid, site, folder, progress)
        else:
            pictures, said = 0, (f"{gone}, so no cell has a picture; pass `image`",)
    half_width = NormalDist().inv_cdf(0.975) * _standard_error(population, spread, sampled)
    area_of = None if of is None else strata.classes[of]
    return CheckReport(Path(out), sample, half_width, area_of, files, pictures, (*notes, *said))


def _class_number(options: CheckOptions, classes: Sequence[str]) -> int | None:
    """Return the class whose area the sample is to tell, or None for the overall accuracy."""
    if options.half_width_m2 is None:
        return None
    name = options.area_of if options.area_of is not None else classes[-1]
    if name not in classes:
        raise InputError(f"`area_of={name}` is no class of the map{known_names(name, classes)}")
    return classes.index(name)


def _sizes(population: Counts, spread: NDArray[np.float64], options: CheckOptions, cell_m2: float) -> Counts:
    """Return how many cells to draw from each stratum."""
    total, floors = int(population.sum()), np.minimum(population, options.least)
    if options.cells is None:
        share = options.half_width or USUAL_HALF_WIDTH
        if options.half_width_m2 is not None:
            share = options.half_width_m2 / (total * cell_m2)
        return np.maximum(allocate(population, spread, min(total, sample_size(population, spread, share))), floors)
    if options.cells > total:
        raise InputError(f"`cells={options.cells}` are more than the {total:,} that the map has; pass fewer")
    if options.cells < floors.sum():
        raise InputError(
            f"`cells={options.cells}` are too few for {len(population)} strata of {options.least} or "
            f"more; pass {floors.sum():,}, a smaller `least`, or `uncertain_from=1` for strata of classes alone"
        )
    return allocate(population, spread, options.cells, least=options.least)


def _standard_error(population: Counts, spread: NDArray[np.float64], sampled: Counts) -> float:
    weights, left = population / population.sum(), 1 - sampled / population
    return float(np.sqrt((weights**2 * left * spread**2 / np.maximum(sampled, 1)).sum()))


def _describe(strata: MapStrata, numbers: Numbers, cells: Sequence[Tile], drawn: Sequence[int], name: str) -> Sample:
    """Return what was drawn; ``drawn`` has the place of each cell's stratum in the list of them."""
    return Sample(
        map=name,
        classes=strata.classes,
        cell_m=round(strata.grid.gsd_m, 6),
        cell_m2=round(strata.grid.pixel_area_m2, 6),
        strata=tuple(
            Stratum(
                mapped=strata.classes[number // 2],
                uncertain=bool(number % 2),
                cells=int(strata.cells[number]),
                sampled=drawn.count(place),
            )
            for place, number in enumerate(numbers.tolist())
        ),
        cells=tuple(SampledCell(cell=cell.id, stratum=place) for cell, place in zip(cells, drawn, strict=True)),
    )


def draw_cells(strata: MapStrata, numbers: Numbers, sampled: Counts, site: str, seed: int) -> tuple[list[Tile], list[int]]:
    """Return the cells that are drawn, in an order that is drawn, too, and the place of each one's stratum in the list."""
    tiles, drawn = [], []
    for place, (number, count) in enumerate(zip(numbers.tolist(), sampled.tolist(), strict=True)):
        of_stratum = np.flatnonzero(strata.numbers == number)
        rng = np.random.default_rng(seed_of(seed, "check", site, number))
        for cell in rng.choice(of_stratum, count, replace=False).tolist():
            row, col = divmod(cell, strata.grid.width)
            tiles.append(Tile(f"{site}_r{row:05d}_c{col:05d}", Window(col, row, 1, 1), {"row": row, "col": col}))
            drawn.append(place)
    order = np.random.default_rng(seed_of(seed, "check", site, "order")).permutation(len(tiles)).tolist()
    return [tiles[i] for i in order], [drawn[i] for i in order]
