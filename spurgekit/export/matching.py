"""What reviewed places say of the patches of a map: which stand, which do not, what the map missed, and what is not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely

from spurgekit.errors import InputError
from spurgekit.export.linking import Numbers, Shapes
from spurgekit.export.patches import Patches
from spurgekit.text import shown

MOST = 0.5
"""Share of the smaller of two shapes from which on it lies in the other, and of a place from which on it is another's."""


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """What reviewed places say of patches. Numbers are those of rows, from 0.

    Attributes
    ----------
    confirmed, denied : list of ndarray of int
        For each patch the places that lie in it, of its class and of none or another.
    missed : dict of ndarray of int
        By class the places that are of it and where the map has none of it.
    absent : dict of ndarray of int
        By class the places of the background on ground that is of no patch of it, or only of ones that are denied.
    unused : int
        Places that say nothing: at the edges of patches, inside one that stands, or on ground of another that says the same.
    """

    confirmed: list[Numbers]
    denied: list[Numbers]
    missed: dict[str, Numbers]
    absent: dict[str, Numbers]
    unused: int

    def stands(self, patch: int) -> bool | None:
        """Whether a patch is of its class by what lies in it, at least in part; None where nothing does."""
        return True if len(self.confirmed[patch]) else False if len(self.denied[patch]) else None


def match(patches: Patches, places: gpd.GeoDataFrame, classes: Sequence[str]) -> Match:
    """Tell what reviewed places say of patches.

    A place lies in a patch if half of it, or of the cells of the patch, are the ground of both; a point lies in it if its
    outline holds the point.

    Parameters
    ----------
    patches : Patches
        Of some classes.
    places : geopandas.GeoDataFrame
        As :class:`~spurgekit.export.reviewed.ReviewedPlaces` has them, in the CRS of the patches.
    classes : sequence of str
        These classes.

    Returns
    -------
    Match
    """
    shapes, labels = places.geometry.to_numpy(), places["label"].to_numpy(object)
    place, patch = _lying_in(shapes, patches)
    near, beside = _touching(shapes, patches)
    of_patch = patches.rows["class"].to_numpy(object)
    same, numbers = labels[place] == of_patch[patch], range(len(patches))
    confirmed = [place[same & (patch == number)] for number in numbers]
    denied = [place[~same & (patch == number)] for number in numbers]
    gone = [number for number in numbers if len(denied[number]) and not len(confirmed[number])]
    bare = np.flatnonzero([label is None for label in labels])
    missed, absent = {}, {}
    for name in classes:
        is_near = of_patch[beside] == name
        candidates = np.setdiff1d(np.flatnonzero(labels == name), near[is_near])
        missed[name] = _apart(shapes, candidates)
        candidates = np.setdiff1d(bare, near[is_near & ~np.isin(beside, gone)])
        absent[name] = _apart(shapes, candidates, taken=shapes[missed[name]])
    used = np.unique(np.concatenate([*confirmed, *denied, *missed.values(), *absent.values(), np.array([], np.intp)]))
    of_interest = np.union1d(bare, np.flatnonzero(np.isin(labels.astype(str), list(classes))))
    return Match(confirmed, denied, missed, absent, len(np.setdiff1d(of_interest, used)))


def at_named_patches(patches: Patches, places: gpd.GeoDataFrame, *, are_all: bool) -> gpd.GeoDataFrame:
    """Return places of which those that name a patch are its cells.

    Parameters
    ----------
    patches : Patches
    places : geopandas.GeoDataFrame
        As :class:`~spurgekit.export.reviewed.ReviewedPlaces` has them, in the CRS of the patches.
    are_all : bool
        Whether these are all patches of the map; else a name that is of none of them may be that of another.

    Raises
    ------
    InputError
        If a place names a patch that lies elsewhere, or that there is none of.
    """
    number = {name: at for at, name in enumerate(patches.rows["name"])}
    naming = [at for at, name in enumerate(places["patch"]) if name is not None and (are_all or name in number)]
    shapes = places.geometry.to_numpy().copy()
    lying = set(zip(*(one.tolist() for one in _lying_in(shapes, patches)), strict=True))
    for at in naming:
        name = places["patch"].iloc[at]
        if (at, number.get(name, -1)) not in lying:
            where = "is not where it was" if name in number else "is no more"
            raise InputError(
                f"the patch {shown(name, quotes=False)}, which was labelled, {where}: the map was edited or made again, or "
                "`join_m` is another; pass the one that the table was exported with, or clear the names in the table so that "
                "labels count by their position"
            )
        shapes[at] = patches.cells.iloc[number[name]]
    return places.set_geometry(gpd.GeoSeries(shapes, places.index, crs=places.crs))


def _lying_in(shapes: Shapes, patches: Patches) -> tuple[Numbers, Numbers]:
    """Return the numbers of places and of the patches that they lie in."""
    place, patch = _touching(shapes, patches)
    cells = patches.cells.to_numpy()
    areas = shapely.area(shapes)
    both = shapely.area(shapely.intersection(shapes[place], cells[patch]))
    lies = (areas[place] == 0) | (both >= MOST * np.minimum(areas[place], shapely.area(cells)[patch]))
    return place[lies], patch[lies]


def _touching(shapes: Shapes, patches: Patches) -> tuple[Numbers, Numbers]:
    """Return the numbers of places and of the patches that they share ground with; points have that of the outline."""
    cells, outlines = patches.cells.to_numpy(), patches.rows.geometry.to_numpy()
    place, patch = shapely.STRtree(outlines).query(shapes, predicate="intersects")
    is_point = shapely.area(shapes) == 0
    shares = is_point[place]
    shares[~shares] = shapely.area(shapely.intersection(shapes[place[~shares]], cells[patch[~shares]])) > 0
    return place[shares], patch[shares]


def _apart(shapes: Shapes, numbers: Numbers, taken: Shapes | None = None) -> Numbers:
    """Return those of some shapes, the largest first, that are not mostly ground of others before them or of what is taken."""
    order = numbers[np.argsort(-shapely.area(shapes[numbers]), kind="stable")]
    before = len(taken) if taken is not None else 0
    every = np.concatenate([taken, shapes[order]]) if taken is not None else shapes[order]
    near = shapely.STRtree(every)
    kept = np.ones(len(every), np.bool_)
    for at in range(before, len(every)):
        others = near.query(every[at], predicate="intersects")
        others = others[(others < at) & kept[others]]
        if len(others):
            rest = shapely.difference(every[at], shapely.union_all(every[others]))
            kept[at] = shapely.area(rest) > MOST * shapely.area(every[at])
    return np.sort(order[kept[before:]])
