"""What a folder of change holds: raster, polygons, summary, picture and styles for QGIS."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
from numpy.typing import NDArray

from spurgekit.change.aligning import CommonGround, Registration
from spurgekit.change.areas import NET
from spurgekit.change.mapped_date import MappedDate
from spurgekit.change.transitions import GAIN, LOSS, PRESENT, TRANSITIONS, TransitionModel
from spurgekit.imagery import name_crs
from spurgekit.imagery.quicklook import QuickLook, quick_look
from spurgekit.imagery.site_picture import Colour, SitePicture
from spurgekit.maps.areas import AreaEstimate
from spurgekit.maps.colours import PLAIN, class_colour
from spurgekit.maps.mapped_cells import cells_below
from spurgekit.maps.polygons import presence_polygons
from spurgekit.maps.products import MAX_SHADE, rings_of, write_cog
from spurgekit.maps.styles import store_vector_style, write_raster_style
from spurgekit.progress import Progress, silent
from spurgekit.vectors import write_geopackage

RASTER, POLYGONS, SUMMARY, PICTURE = "change.tif", "change.gpkg", "summary.json", "change.png"
LAYER = "change"

GAINED, LOST, STAYED = class_colour(1), class_colour(2), class_colour(3)
COLOURS: dict[str, Colour] = {"gain": GAINED, "loss": LOST}
LEAST_SHADE = 0.1
"""Probability from which on a cell is shaded on the picture."""

WHAT_CHANGE_MEANS = (
    "compared_m2 is the ground of cells that both maps cover. Areas are of tiles (squares of support_m) that hold some of the "
    "class, as those of a map: gain was there at the new date alone, loss at the old one alone, net is gain less loss. "
    "counted_m2 is by the probabilities of cells, the sum of them, where polygons are of cells whose likeliest transition it "
    "is; estimate_m2 allows for the errors of both dates in held-out places, as far as these are known, and low_m2 to high_m2 "
    "is its 95 % interval. How far errors of both dates coincide where the ground stayed what it was, and how much harder "
    "changed ground is to tell, is not known from tests of single dates, and the interval allows for it. "
    "Probabilities of transitions combine the calibrated probabilities of both maps with transition_shares, how often ground "
    "made each transition, and with error_correlation, both learned from the maps."
)


@dataclass(frozen=True, slots=True)
class ClassChange:
    """What became of a class.

    Attributes
    ----------
    areas : dict of AreaEstimate
        By ``gain``, ``loss``, ``present`` and ``absent`` at both dates, and ``net``.
    model : TransitionModel
        How both maps go together, by which cells have their probabilities.
    """

    areas: dict[str, AreaEstimate]
    model: TransitionModel


@dataclass(frozen=True, slots=True, eq=False)
class CellChange:
    """What became of each cell.

    Attributes
    ----------
    probabilities : dict of ndarray of float32, shape (4, rows, columns), by class
        Of each transition; NaN where a map has none.
    """

    probabilities: dict[str, NDArray[np.float32]]

    def likeliest(self, name: str) -> NDArray[np.uint8]:
        """Return the likeliest transition of each cell, shape (rows, columns); 255 where nothing is said."""
        said = self.probabilities[name]
        return np.where(np.isfinite(said[0]), said.argmax(axis=0), 255).astype(np.uint8)


def band_titles(name: str) -> list[str]:
    """Return the descriptions of the bands of a class, in the order of its transitions.

    >>> band_titles("weed")[:2]
    ['probability of weed absent at both dates', 'probability of gain of weed']
    """
    words = ("{} absent at both dates", "gain of {}", "loss of {}", "{} present at both dates")
    return [f"probability of {text.format(name)}" for text in words]


def write_change(
    folder: Path,
    old: MappedDate,
    new: MappedDate,
    ground: CommonGround,
    registration: Registration,
    cells: CellChange,
    found: Mapping[str, ClassChange],
    progress: Progress = silent,
) -> int:
    """Write ``change.tif`` (COG), ``change.gpkg``, ``summary.json``, ``change.png`` and styles for QGIS.

    Returns
    -------
    int
        Polygons of gain and loss.
    """
    _write_raster(folder, ground, cells)
    polygons = _polygons(ground, cells)
    write_geopackage(polygons, folder / POLYGONS, layer=LAYER, geometry_type="Polygon")
    names = [text for name in found for text in (f"gain of {name}", f"loss of {name}")]
    store_vector_style(folder / POLYGONS, LAYER, ["", *names])
    _write_summary(folder, old, new, ground, registration, found, len(polygons))
    _draw(folder / PICTURE, old, new, ground, registration, cells, found, polygons, progress)
    return len(polygons)


def _write_raster(folder: Path, ground: CommonGround, cells: CellChange) -> None:
    grid, strips = ground.grid, folder / "strips.tif"
    titles = [title for name in cells.probabilities for title in band_titles(name)]
    with rasterio.open(
        strips, "w", driver="GTiff", width=grid.width, height=grid.height, count=len(titles), dtype="float32",
        crs=grid.crs, transform=grid.transform, nodata=np.nan, bigtiff="if_safer",
    ) as file:  # fmt: skip
        file.descriptions = titles
        file.write(np.concatenate(list(cells.probabilities.values())))
    write_cog(strips, folder / RASTER)
    strips.unlink()
    write_raster_style(folder / "change.qml", band=GAIN + 1, colour=GAINED)
    write_raster_style(folder / "change_loss.qml", band=LOSS + 1, colour=LOST)


def _polygons(ground: CommonGround, cells: CellChange) -> gpd.GeoDataFrame:
    """Return a polygon for each run of cells whose likeliest transition is a gain, or a loss; largest first."""
    tables = []
    for name, said in cells.probabilities.items():
        likeliest, changed = cells.likeliest(name), np.zeros(ground.both.shape, np.uint8)
        changed[likeliest == GAIN], changed[likeliest == LOSS] = 1, 2
        sure = np.where(changed == 2, said[LOSS], said[GAIN])
        tables.append(
            presence_polygons(
                changed, sure, ground.both.astype(np.float32), ground.grid, ("", f"gain of {name}", f"loss of {name}")
            )
        )
    together = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]
    return together.sort_values("area_m2", ascending=False, kind="stable", ignore_index=True)


def _write_summary(
    folder: Path,
    old: MappedDate,
    new: MappedDate,
    ground: CommonGround,
    registration: Registration,
    found: Mapping[str, ClassChange],
    polygons: int,
) -> None:
    shift = registration.shift
    summary = {
        "schema_version": 2,
        "old": _of_date(old),
        "new": _of_date(new),
        "crs": name_crs(ground.grid.crs),
        "cell_m": round(ground.grid.gsd_m, 6),
        "support_m": old.summary.support_m,
        "compared_m2": round(ground.compared_m2, 3),
        "registration": {
            "measured_on": registration.measured_on,
            "corrected": registration.corrected,
            **({} if shift is None else {key: _round(value) for key, value in dataclasses.asdict(shift).items()}),
        },
        "change": {name: _of_class(change) for name, change in found.items()},
        "polygons": polygons,
        "what_it_means": WHAT_CHANGE_MEANS,
    }
    (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8", newline="\n")


def _round(value: float) -> float:
    return round(value, 4)


def _of_date(date: MappedDate) -> dict[str, Any]:
    return {
        "map": date.folder.resolve().name,
        "images": date.summary.images,
        "flown": None if date.date is None else date.date.isoformat(),
        "held_out_places": len(date.held_out.counts),
    }


def _of_class(change: ClassChange) -> dict[str, Any]:
    shares = dict(zip(TRANSITIONS, change.model.shares.ravel().tolist(), strict=True))
    return {
        **{name: {k: round(v, 3) for k, v in area.model_dump().items()} for name, area in change.areas.items()},
        "transition_shares": {name: _round(share) for name, share in shares.items()},
        "error_correlation": change.model.correlation,
    }


def _draw(
    path: Path,
    old: MappedDate,
    new: MappedDate,
    ground: CommonGround,
    registration: Registration,
    cells: CellChange,
    found: Mapping[str, ClassChange],
    polygons: gpd.GeoDataFrame,
    progress: Progress,
) -> None:
    look = _look(new, registration, progress)
    at, inside = cells_below(look.grid, ground.grid)
    inside &= look.seen & ground.both[tuple(at)]
    shade = np.zeros((*inside.shape, 4), np.uint8)
    for said in cells.probabilities.values():
        for transition, colour in ((PRESENT, STAYED), (LOSS, LOST), (GAIN, GAINED)):
            p = np.where(inside, said[transition][tuple(at)], 0)
            mine = (p >= LEAST_SHADE) & (MAX_SHADE * p > shade[..., 3])
            shade[mine, :3], shade[mine, 3] = colour, (MAX_SHADE * p[mine]).astype(np.uint8)
    dates = [str(one.date) if one.date else one.folder.resolve().name for one in (old, new)]
    picture = SitePicture(
        look, f"{' and '.join(found)}: change from {dates[0]} to {dates[1]} on a grid of {ground.grid.gsd_m:.2f} m"
    )
    if not new.images:
        plain = np.zeros_like(shade)
        plain[look.seen] = (*PLAIN, 255)
        picture.paint(plain)
    picture.paint(shade)
    for word, colour in COLOURS.items():
        mine = polygons["class"].str.startswith(f"{word} of ").to_numpy(bool)
        picture.outline(rings_of(polygons.geometry[mine]), colour, width=1)
    for name, change in found.items():
        for word, colour in COLOURS.items():
            picture.legend(colour, f"{word} of {name}: {change.areas[word].corrected()}")
        picture.legend(None, f"net change of {name}: {change.areas[NET].corrected()}")
    picture.legend(STAYED, "present at both dates")
    picture.save(path)


def _look(new: MappedDate, registration: Registration, progress: Progress) -> QuickLook:
    """Return the quick look of the new images where they lie in truth; where one is gone, of what the new map has cells of."""
    with new.open("images" if new.images else "maps", new.crs) as raster:
        look = quick_look(raster, progress=progress)
    look.grid = registration.moved(look.grid)
    return look
