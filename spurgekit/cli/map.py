"""``spurgekit map``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import spurgekit
from spurgekit.cli import common
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.spelling import echo
from spurgekit.cli.types import IMAGE, PATH
from spurgekit.maps.map_options import MapOptions
from spurgekit.progress import bar

if TYPE_CHECKING:
    from spurgekit.image_names import ImageName
    from spurgekit.maps import MapReport


@click.command("map")
@click.argument("image", type=IMAGE, required=False)
@click.option("--model", type=PATH, required=True, help="Model folder that 'spurgekit train' made.")
@click.option("--out", type=PATH, help="Folder to make.  [default: maps/SITE]")
@options_of(MapOptions, metavars={"crs": "CRS", "image_crs": "CRS"})
@click.option(
    "--views",
    type=click.Choice([1, 8]),
    help="Turns of a tile to average; 1 is eight times as fast.  [default: as tested]",
)
@click.option(
    "--prevalence", metavar="SHARE", help="How common the class is on this ground, e.g. 0.05, or NAME=0.05,NAME=0.1 of several."
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, ... (auto: a GPU if there is one).")
@common.overwrite
def command(image: ImageName | None, model: Path, out: Path | None, overwrite: bool, **chosen: Any) -> None:
    """Map a whole site with a model: probabilities, polygons, areas.

    Inside a survey's folder, all its sites are mapped. The image is resampled to the ground sample distance that the model was
    trained at, and a map cell lies where its tile lay.
    """
    from spurgekit.outputs import check_output

    loading = {name: chosen.pop(name) for name in ("device", "views", "prevalence")}
    if image is not None:
        sites: list[tuple[Path, ImageName]] = [(out or Path("maps") / image.stem, image)]
    else:
        survey = common.sites_here("an image")
        chosen |= {"crs": chosen["crs"] or survey.crs, "image_crs": chosen["image_crs"] or survey.image_crs}
        chosen["nodata"] = survey.tiles.nodata if chosen["nodata"] is None else chosen["nodata"]
        sites = [((out or Path("maps")) / name, path) for name, path in survey.images.items()]
    mapping = given(MapOptions, chosen)
    for folder, _ in sites:
        check_output(folder, "map", overwrite=overwrite)
    loaded = spurgekit.load_model(model, **loading)
    for folder, path in sites:
        _print(spurgekit.map_site(path, loaded, folder, mapping, overwrite=overwrite, progress=bar))


def _print(report: MapReport) -> None:
    for note in report.notes:
        echo(f"note: {note}")
    echo(f"mapped {report.mapped_m2:,.1f} of {report.image_m2:,.1f} m2 in cells of {report.cell_m:.2f} m")
    for name, area in report.occupied.items():
        echo(
            f"{name}: occupies tiles of {report.support_m:.2f} m on {area.counted_m2:,.1f} m2; "
            f"{area.corrected(interval='95 % interval')}"
        )
    for name, area in report.cover.items():
        echo(f"{name}: covers {area.counted_m2:,.1f} m2; {area.corrected(interval='95 % interval')}")
    if report.unlike_m2 is not None and report.mapped_m2:
        echo(
            f"{report.unlike_m2 / report.mapped_m2:.0%} of the mapped ground is unlike the tiles that the model learned from"
            + (": look at the band of dissimilarity before you trust it there" if report.unlike_m2 else "")
        )
    echo(f"{report.folder}: presence.tif, presence.gpkg ({report.polygons:,} polygons), summary.json, presence.png")
