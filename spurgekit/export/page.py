"""``map.html``: one file with the picture, the patches and all that shows them, which needs no network.

The picture is cut into tiles of several levels, as maps on the web are, so that a phone holds only what it shows. It stays on
its own grid, since a grid of the world would have to resample it; the page's coordinates are the picture's pixels. The library
that moves it, Leaflet, is in the file, too.
"""

from __future__ import annotations

import base64
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image

from spurgekit.export.drawing import rings_of
from spurgekit.export.kml import DECIMALS
from spurgekit.export.patches import Patches
from spurgekit.export.picture import Picture, Pixels, halved
from spurgekit.imagery import PixelGrid, name_crs
from spurgekit.imagery.crs import EARTH, points_in, to_pyproj
from spurgekit.imagery.site_picture import Colour
from spurgekit.maps.areas import AreaEstimate

PAGE = "map.html"
TILE_PX = 512
TERMS = tuple((i, n - i) for n in range(4) for i in range(n, -1, -1))
"""Powers of x and y in a polynomial of degree 3: within a centimetre of any projection over 10 km."""

STATIC = "static"
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""What the page may load: what is in it, and nothing else."""

Ring = list[list[float]]


def tiles_of(rgba: Pixels, quality: int, threads: int = 2) -> dict[str, str]:
    """Return a picture as tiles of WebP in base 64, by ``level/column/row``; level 0 is one tile.

    Parameters
    ----------
    rgba : ndarray of uint8, shape (height, width, 4)
    quality : int
        Of 100.
    threads : int

    Returns
    -------
    dict of str by str
        Those that show anything.
    """
    level, tiles = levels_of(rgba.shape[1], rgba.shape[0]) - 1, dict[str, str]()
    with ThreadPoolExecutor(threads) as pool:
        while True:
            parts = {
                f"{level}/{col}/{row}": rgba[row * TILE_PX : (row + 1) * TILE_PX, col * TILE_PX : (col + 1) * TILE_PX]
                for row in range(-(-rgba.shape[0] // TILE_PX))
                for col in range(-(-rgba.shape[1] // TILE_PX))
            }
            shown = {name: part for name, part in parts.items() if part[..., 3].any()}
            tiles |= dict(zip(shown, pool.map(lambda part: _webp(part, quality), shown.values()), strict=True))
            if level == 0:
                return tiles
            rgba, level = halved(rgba), level - 1


def levels_of(width: int, height: int) -> int:
    """Return how many levels a picture has.

    >>> levels_of(512, 300), levels_of(513, 300), levels_of(5400, 5200)
    (1, 2, 5)
    """
    return 1 + max(0, math.ceil(math.log2(max(width, height) / TILE_PX)))


def page_of(
    title: str,
    picture: Picture,
    patches: Patches,
    colours: Mapping[str, Colour],
    areas: Mapping[str, Sequence[tuple[str, AreaEstimate]]],
    tiles: Mapping[str, str],
) -> str:
    """Return the page.

    Parameters
    ----------
    title : str
    picture : Picture
    patches : Patches
        In any CRS.
    colours : mapping of colour by class
        Of those that are shown, in their order.
    areas : mapping of (what it is, AreaEstimate) by class
        Of the whole site.
    tiles : mapping of str by str
        Of :func:`tiles_of`.
    """
    static = resources.files("spurgekit.export").joinpath(STATIC)
    read = {name: static.joinpath(*name.split("/")).read_text(encoding="utf-8") for name in _PARTS.values()}
    script = read["leaflet/leaflet.js"].partition("//# sourceMappingURL")[0]  # of a file that is not here
    data = _data(title, picture, patches, colours, areas)
    replaced = {
        "TITLE": html.escape(title),
        "POLICY": POLICY,
        "STYLES": f"{read['leaflet/leaflet.css']}\n{read['map.css']}",
        "DATA": _json(data),
        "TILES": _json(tiles),
        "LEAFLET": script,
        "SCRIPT": read["map.js"],
    }
    first, *rest = read["map.html"].split("{{")
    parts = [part.partition("}}") for part in rest]  # not one after the other: what is put in may hold anything
    return first + "".join(replaced[name] + after for name, _, after in parts)


_PARTS = {
    "page": "map.html",
    "own styles": "map.css",
    "own script": "map.js",
    "styles": "leaflet/leaflet.css",
    "script": "leaflet/leaflet.js",
}


def _json(value: object) -> str:
    """Return JSON that can stand in a script element: no text in it ends that."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _data(
    title: str,
    picture: Picture,
    patches: Patches,
    colours: Mapping[str, Colour],
    areas: Mapping[str, Sequence[tuple[str, AreaEstimate]]],
) -> dict[str, Any]:
    grid, names = picture.grid, list(colours)
    here, there = patches.to_crs(to_pyproj(grid.crs)), patches.to_crs(EARTH.to_wkt())
    cols, rows = grid.to_pixel(here.centres.x, here.centres.y)
    table = zip(
        here.rows.itertuples(index=False), here.rows[patches.mean], here.rows["class"], there.centres, cols, rows,
        here.rows.geometry, here.cells, strict=True,
    )  # fmt: skip
    return {
        "title": title,
        "image": picture.image,
        "cm": round(100 * grid.gsd_m, 2),
        "width": grid.width,
        "height": grid.height,
        "levels": levels_of(grid.width, grid.height),
        "tile": TILE_PX,
        "metres": grid.gsd_m,
        "north": round(_north(grid), 1),
        "crs": name_crs(grid.crs),
        "mean": patches.mean.replace("_", " "),
        "toDegrees": _polynomial(*_sample(grid)),
        "toPixels": _polynomial(*reversed(_sample(grid))),
        "classes": [
            {
                "name": name,
                "colour": "#{:02x}{:02x}{:02x}".format(*colours[name]),
                "areas": [{"what": what, **area.model_dump()} for what, area in areas.get(name, ())],
            }
            for name in names
        ],
        "patches": [
            {
                "name": row.name,
                "class": names.index(of_class),
                "area": row.area_m2,
                "gross": row.gross_m2,
                "mean": mean,
                "place": [f"{there.y:.{DECIMALS}f}", f"{there.x:.{DECIMALS}f}"],
                "centre": [round(float(col), 2), round(float(down), 2)],
                "outline": _parts(outline, grid),
                "cells": _parts(cells, grid),
            }
            for row, mean, of_class, there, col, down, outline, cells in table
        ],
    }


def _parts(shape: Any, grid: PixelGrid) -> list[list[Ring]]:
    """Return polygons as rings of columns and rows, to a tenth of a pixel."""
    return [
        [np.column_stack(grid.to_pixel(*ring.T)).round(1).tolist() for ring in rings_of(np.array([part], object))]
        for part in shapely.get_parts(shape)
    ]


def _north(grid: PixelGrid) -> float:
    """Return where north is in the picture, in degrees clockwise from up."""
    x, y = grid.to_world(grid.width / 2, grid.height / 2)
    (longitude, latitude), *_ = points_in(np.array([[x, y]]), grid.crs, EARTH)
    (col, row) = grid.to_pixel(*points_in(np.array([[longitude, latitude + 1e-4]]), EARTH, grid.crs)[0])
    return math.degrees(math.atan2(float(col) - grid.width / 2, grid.height / 2 - float(row)))


def _sample(grid: PixelGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return pixels all over a picture, and their degrees."""
    cols, rows = (np.ravel(part) for part in np.meshgrid(*(np.linspace(0, side, 9) for side in (grid.width, grid.height))))
    return np.column_stack([cols, rows]), points_in(np.column_stack(grid.to_world(cols, rows)), grid.crs, EARTH)


def _polynomial(source: NDArray[np.float64], target: NDArray[np.float64]) -> dict[str, Any]:
    """Return the polynomials of degree 3 that lead from places, shape (n, 2), to others.

    Both are counted from the middle, the first in halves of their extent, so that a phone's arithmetic does.
    """
    middle, half = (source.max(axis=0) + source.min(axis=0)) / 2, np.ptp(source, axis=0) / 2
    x, y = ((source - middle) / half).T
    zero = target.mean(axis=0)
    factors = np.linalg.lstsq(np.column_stack([x**i * y**j for i, j in TERMS]), target - zero, rcond=None)[0]
    found = {"middle": middle, "half": half, "zero": zero, "factors": factors}
    return {"terms": TERMS, **{name: values.tolist() for name, values in found.items()}}


def _webp(rgba: Pixels, quality: int) -> str:
    """Return a whole tile, transparent beyond the picture: the page draws all tiles in one size."""
    file = io.BytesIO()
    rgba = np.pad(rgba, [(0, TILE_PX - side) for side in rgba.shape[:2]] + [(0, 0)])
    opaque = bool(rgba[..., 3].all())
    Image.fromarray(np.ascontiguousarray(rgba[..., :3] if opaque else rgba)).save(file, "WEBP", quality=quality, method=3)
    return base64.b64encode(file.getvalue()).decode("ascii")
