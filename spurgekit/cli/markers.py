"""``spurgekit markers``."""

from __future__ import annotations

from functools import partial
from math import isnan, nan
from pathlib import Path

import click

from spurgekit.cli import options, plot_options
from spurgekit.cli.options import PATH, NumberList
from spurgekit.imagery import open_raster
from spurgekit.markers.families import DEFAULT_FAMILY, DEFAULT_SIZE_M, make_detector, size_hint
from spurgekit.markers.gcp_placement import place_by_markers
from spurgekit.markers.marker_list import check_list, list_markers
from spurgekit.parallel import cores
from spurgekit.progress import bar


@click.command("markers")
@click.argument("image", type=PATH)
@click.option(
    "--family",
    default=DEFAULT_FAMILY,
    show_default=True,
    help="cross, dark-cross, checker, bullseye, panel, disc, or a dictionary such as aruco-4x4-50 or apriltag-36h11.",
)
@click.option(
    "--marker-size",
    type=float,
    default=DEFAULT_SIZE_M,
    show_default=True,
    help="Side or diameter in metres; of codes, the black square's.",
)
@click.option(
    "--marker-color", type=NumberList(), metavar="R,G,B", help="Of panels and discs.  [default: brighter than the ground]"
)
@click.option("--marker-ids", type=NumberList(), help="The codes that were laid out; others are dropped.")
@click.option("--min-score", type=float, default=0.3, show_default=True, help="Least score of a marker that is listed, 0 to 1.")
@plot_options.control
@options.image_gsd
@options.crs
@click.option(
    "--out", type=PATH, help="List to write: .gpkg, .geojson, .csv, .json, or .txt (ODM).  [default: IMAGE_markers.gpkg]"
)
@options.overwrite
def command(
    image: Path,
    family: str,
    marker_size: float,
    marker_color: tuple[int, ...] | None,
    marker_ids: tuple[int, ...] | None,
    min_score: float,
    gcp: Path | None,
    gcp_crs: str | None,
    image_gsd_m: float | None,
    crs: str | None,
    out: Path | None,
    overwrite: bool,
) -> None:
    """Find the ground markers in an orthomosaic or a nadir frame, list them and draw them.

    The score is about the share of such detections that are markers. A picture of the same name shows them on the image.
    """
    out = out or Path(f"{image.stem}_markers.gpkg")
    check_list(out, overwrite=overwrite)
    detector = make_detector(family, marker_size, ids=marker_ids or (), color=marker_color)
    opened = partial(open_raster, image, image_gsd_m=image_gsd_m, threads=cores())
    placed = None
    if gcp is not None:
        placed = place_by_markers(lambda grid: opened(grid=grid), detector, gcp, crs=crs, declared_crs=gcp_crs, progress=bar)
    with opened(crs=crs, grid=placed.grid if placed else None) as raster:
        for note in [*([placed.note] if placed else []), *raster.notes]:
            click.echo(f"note: {note}")
        seen, pairs = (placed.markers, placed.georeference.pairs) if placed else (None, ())
        found = list_markers(raster, detector, out, min_score=min_score, known=seen, pairs=pairs, progress=bar)
        hint = "" if len(found) else size_hint(raster, family, marker_size, marker_color)
    click.echo(f"{len(found):,} {family} markers of {marker_size:g} m" + (":" if len(found) else hint))
    for row in found.to_dict("records"):
        code = f"  id {row['id']}" if found["id"].notna().any() else ""
        place = f"col {row['col']:9.2f}  row {row['row']:9.2f}"
        off_cm = row.get("residual_cm", nan)
        known = "" if isnan(off_cm) else f"  {off_cm:.1f} cm from {row['known'] or 'its point'}"
        click.echo(f"  {row['marker']:3d}  {place}  {row['size_m']:.2f} m  score {row['score']:.2f}{code}{known}")
    click.echo(f"{out}, {out.with_suffix('.png')}")
