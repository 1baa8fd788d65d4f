"""What the server tells the page: the tiles once, opinions as they change. Columns and lists, since there may be many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from spurgekit.review.agreement import ReviewReport
from spurgekit.review.review_folder import ReviewFolder
from spurgekit.review.shared_log import SharedLog
from spurgekit.review.sitemap import SiteMap
from spurgekit.tiles.review_log import Opinion, outcome

DECIMALS = 4
"""Of confidences and of places on a map, which is more than a screen shows."""


def list_tiles(folder: ReviewFolder, maps: Sequence[SiteMap | None]) -> dict[str, Any]:
    """Return the tiles and what is known of them, one list for each column."""
    tiles, sites = folder.tiles, {site: number for number, site in enumerate(folder.sites)}
    places = {tile: place for drawn in maps if drawn for tile, place in drawn.places.items()}
    return {
        "name": f"{folder.path.parent.name}/{folder.path.name}",  # the latter alone is "tiles" or "dataset", as a rule
        "classes": folder.classes,
        "group": folder.group_name,
        "sites": [_describe(site, drawn) for site, drawn in zip(sites, maps, strict=True)],
        "tiles": {
            "id": [tile.id for tile in tiles],
            "label": [tile.label for tile in tiles],
            "site": [sites[tile.site] for tile in tiles],
            "group": [tile.group for tile in tiles],
            "confidence": [_rounded(tile.confidence) for tile in tiles],
            "size_px": [tile.size_px for tile in tiles],
            "gsd_m": [tile.gsd_m for tile in tiles],
            "place": [[round(share, DECIMALS) for share in places[t.id]] if t.id in places else None for t in tiles],
        },
    }


def list_opinions(log: SharedLog, who: str) -> dict[str, Any]:
    """Return what a reviewer has said, and what others have said of the tiles that the reviewer has a verdict on."""
    revision = log.revision  # before the rest: what comes in meanwhile is asked for again
    own, everybody = log.of_reviewer(who), log.opinions()
    decided = [tile for tile, said in own.items() if said.verdict is not None]
    return {
        "revision": revision,
        "own": {tile: _as_list(said) for tile, said in own.items()},
        "others": others(everybody, who, decided),
        "disputed": [tile for tile, of in everybody.items() if is_disputed(of)],
        "reviewers": sorted({name for of in everybody.values() for name in of}),
    }


def others(everybody: Mapping[str, Mapping[str, Opinion]], who: str, tiles: Iterable[str]) -> dict[str, Any]:
    """Return what others have said of tiles, where they have said anything."""
    found = {tile: {name: _as_list(said) for name, said in everybody.get(tile, {}).items() if name != who} for tile in tiles}
    return {tile: said for tile, said in found.items() if said}


def is_disputed(of_tile: Mapping[str, Opinion]) -> bool:
    """Whether those who are sure of a tile say different things."""
    return outcome(of_tile).status == "disputed"


def describe_report(report: ReviewReport) -> dict[str, Any]:
    """Return a report for the page."""
    return {**asdict(report), "reviewers": [{**asdict(one), "reviewed": one.reviewed} for one in report.reviewers]}


def _describe(site: str, drawn: SiteMap | None) -> dict[str, Any]:
    size = {"width": drawn.width_px, "height": drawn.height_px, "tile": drawn.tile_share} if drawn else None
    return {"name": site, "map": size}


def _as_list(said: Opinion) -> list[str | None]:
    return [said.verdict, said.label, said.note]


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, DECIMALS)
