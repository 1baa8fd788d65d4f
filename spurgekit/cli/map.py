"""``spurgekit map``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

import spurgekit
from spurgekit.classify.runtime import RuntimeChoice
from spurgekit.cli import common
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.spelling import echo
from spurgekit.cli.types import IMAGE, MODEL, PATH, Choice
from spurgekit.dihedral import VIEW_COUNTS
from spurgekit.maps.map_options import MapOptions
from spurgekit.precision import Precision
from spurgekit.progress import bar
from spurgekit.text import counted, shown

if TYPE_CHECKING:
    from spurgekit.image_names import ImageName
    from spurgekit.maps import MapReport

MOST_ZONES = 20
"""Zones that a line is printed for."""


@click.command("map")
@click.argument("images", metavar="[IMAGE]...", type=IMAGE, nargs=-1)
@click.option("--model", type=MODEL, required=True, help="Folder that 'spurgekit train' made, or hf://OWNER/NAME[@REVISION].")
@click.option("--out", type=PATH, help="Folder to make.  [default: maps/SITE]")
@options_of(MapOptions, metavars=dict.fromkeys(("crs", "image_crs", "aoi_crs", "zones_crs"), "CRS"))
@click.option(
    "--views",
    type=click.Choice(VIEW_COUNTS),
    help="Turns of a tile to average; 1 is four times as fast as 4.  [default: as tested, at most 4]",
)
@click.option(
    "--prevalence", metavar="SHARE", help="How common the class is on this ground, e.g. 0.05, or NAME=0.05,NAME=0.1 of several."
)
@click.option(
    "--precision",
    type=Choice(get_args(Precision)),
    default="auto",
    show_default=True,
    help="What the backbone counts in; auto: bfloat16 where the hardware multiplies it.",
)
@click.option(
    "--runtime",
    type=Choice(get_args(RuntimeChoice)),
    default="torch",
    show_default=True,
    help="What runs the network on a CPU; auto: OpenVINO where a trial of two seconds finds it faster.",
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, ... (auto: a GPU if there is one).")
@common.executor
@common.overwrite
def command(
    images: tuple[ImageName, ...], model: Path | str, out: Path | None, executor: str, overwrite: bool, **chosen: Any
) -> None:
    """Map a whole site with a model: probabilities, polygons, areas.

    Of several images one map is made; where they overlap, the first that has data there is mapped. Inside a survey's folder,
    all its sites are mapped, each for itself, or those that --aoi and --zones have ground on. Images are resampled to the
    ground sample distance that the model was trained at, and a map cell lies where its tile lay.
    """
    from spurgekit.executors import open_workers
    from spurgekit.maps import load_map_model, sites_to_map
    from spurgekit.outputs import check_output

    loading = {name: chosen.pop(name) for name in ("device", "views", "prevalence", "precision", "runtime")}
    sites: dict[str, tuple[Path, tuple[ImageName, ...]]]
    if images:
        if len(images) > 1 and out is None:
            raise click.UsageError("name the folder of a map of several images with --out")
        sites = {images[0].stem: (out or Path("maps") / images[0].stem, images)}
    else:
        survey = common.sites_here("an image")
        chosen |= {"crs": chosen["crs"] or survey.crs, "image_crs": chosen["image_crs"] or survey.image_crs}
        chosen["nodata"] = survey.tiles.nodata if chosen["nodata"] is None else chosen["nodata"]
        sites = {name: ((out or Path("maps")) / name, (path,)) for name, path in survey.images.items()}
    mapping = given(MapOptions, chosen)
    loaded = load_map_model(model, **loading)
    if not images:
        kept, notes = sites_to_map({name: path for name, (_, (path,)) in sites.items()}, loaded, mapping)
        sites = {name: sites[name] for name in kept}
        _print_notes(notes)
    for folder, _ in sites.values():
        check_output(folder, "map", overwrite=overwrite)
    with open_workers(executor) as workers:
        for folder, paths in sites.values():
            _print(spurgekit.map_site(paths, loaded, folder, mapping, overwrite=overwrite, executor=workers, progress=bar))


def _print_notes(notes: Iterable[str]) -> None:
    for note in notes:
        echo(f"note: {note}")


def _print(report: MapReport) -> None:
    _print_notes(report.notes)
    of = "" if report.aoi_m2 is None else f" in an area of interest of {report.aoi_m2:,.1f} m2,"
    echo(f"mapped {report.mapped_m2:,.1f} of {report.image_m2:,.1f} m2{of} in cells of {report.cell_m:.2f} m")
    for name, area in report.occupied.items():
        echo(
            f"{name}: occupies tiles of {report.support_m:.2f} m on {area.counted_m2:,.1f} m2; "
            f"{area.corrected(interval='95 % interval')}"
        )
    for name, area in report.cover.items():
        echo(f"{name}: covers {area.counted_m2:,.1f} m2; {area.corrected(interval='95 % interval')}")
    _print_zones(report)
    if report.unlike_m2 is not None and report.mapped_m2:
        echo(
            f"{report.unlike_m2 / report.mapped_m2:.0%} of the mapped ground is unlike the tiles that the model learned from"
            + (": look at the band of dissimilarity before you trust it there" if report.unlike_m2 else "")
        )
    echo(f"{report.folder}: presence.tif, presence.gpkg ({report.polygons:,} polygons), summary.json, presence.png")


def _print_zones(report: MapReport) -> None:
    for name, zone in list(report.zones.items())[:MOST_ZONES]:
        said = [f"{of} on {area.counted_m2:,.1f} m2, {area.corrected()}" for of, area in zone.occupied.items()]
        said += [f"{of} covers {area.counted_m2:,.1f} m2, {area.corrected()}" for of, area in zone.cover.items()]
        echo(
            f"zone {shown(name, quotes=False)}: mapped {zone.mapped_m2:,.1f} of {zone.area_m2:,.1f} m2"
            + "".join(f"; {one}" for one in said)
        )
    if (more := len(report.zones) - MOST_ZONES) > 0:
        echo(f"and {counted(more, 'zone')} more: summary.json and the layer zones of presence.gpkg have all")
