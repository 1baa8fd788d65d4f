"""``spurgekit model``: look at trained models, write them as ONNX, send them to the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import spurgekit
from spurgekit.classify.onnx_options import OnnxOptions
from spurgekit.cli import common
from spurgekit.cli.declared import given, options_of
from spurgekit.cli.spelling import echo, show, warn
from spurgekit.cli.types import MODEL, PATH
from spurgekit.dihedral import VIEW_COUNTS

if TYPE_CHECKING:
    from spurgekit.classify.model_info import ModelInfo

VIEWS = {1: "one, as it lies", 4: "mean over the 4 quarter turns", 8: "mean over the 8 ways to turn and mirror a tile"}


@click.group("model")
def command() -> None:
    """Look at trained models, write them as ONNX, send them to the Hugging Face Hub.

    Instead of a folder, hf://OWNER/NAME[@REVISION] names a model that is there.
    """


@command.command("info")
@click.argument("folder", type=MODEL, default=Path("models/probe"))
@common.as_json
def info(folder: Path | str, as_json: bool) -> None:
    """Say what a model FOLDER holds: arm, classes, tiles, calibration, and how it did on held-out places."""
    from spurgekit.classify.model_sources import find_model

    source = find_model(folder, weights=False)
    found = spurgekit.read_model_info(source.name)
    show(found.model_dump_json(indent=2) if as_json else "\n".join(describe_model(source.name, found)))


@command.command("export")
@click.argument("folder", type=MODEL, default=Path("models/probe"))
@click.option(
    "--out",
    type=PATH,
    metavar="FILE.onnx",
    help="File to write.  [default: model.onnx or deepness.onnx, in FOLDER; of a model on the Hub, here]",
)
@options_of(OnnxOptions, flags={"reader": "--for"}, types={"views": click.Choice(VIEW_COUNTS)})
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
def export(folder: Path | str, out: Path | None, overwrite: bool, **chosen: Any) -> None:
    """Write the model of a FOLDER as ONNX, with normalisation and calibration, and check that it gives the same.

    For 'onnxruntime', its input are tiles resized to the model's image size, as float32 in their own units (0 to 255 where they
    are of uint8); its output is a probability per class. For 'deepness', a plugin of QGIS, and GeoDeep, which reads the same
    file, its input are tiles as they are cut from an image, and its output are the probabilities of each pixel.
    """
    from spurgekit.classify.model_sources import find_model

    options = given(OnnxOptions, chosen)
    reader = options.known_reader
    out = out or (folder if isinstance(folder, Path) else Path()) / reader.file
    source = find_model(folder)
    file = spurgekit.export_model(source.name, out, options, overwrite=overwrite)
    for note in (*source.notes, *reader.notes(spurgekit.read_model_info(source.name))):
        echo(f"note: {note}")
    echo(str(file))


@command.command("push")
@click.argument("folder", type=PATH)
@click.argument("repository", metavar="OWNER/NAME")
@click.option("--licence", metavar="ID", help="Of the model, as the Hub names it, e.g. mit.  [default: what its card says]")
@click.option("--place", is_flag=True, help="Let the STAC item tell where the training tiles lie.")
@click.option("--private", is_flag=True, help="Make the repository private.")
@click.option("--revision", help="Branch.  [default: main]")
@click.option("--token", help="Of your account.  [default: that of 'hf auth login']")
def push(folder: Path, repository: str, **chosen: Any) -> None:
    """Upload a model FOLDER to the Hugging Face Hub: the files that are its own, without provenance."""
    pushed = spurgekit.push_model(folder, repository, **chosen, say=warn)
    echo(pushed.address)
    echo(f"hf://{repository}@{pushed.commit}")


def describe_model(name: Path | str, info: ModelInfo) -> Iterator[str]:
    """Yield what ``spurgekit model info`` prints."""
    settings = "".join(f", {key}={value!r}" for key, value in info.backbone_options.items())
    yield f"model       {name}"
    yield f"arm         {info.arm}"
    yield f"backbone    {info.backbone}{settings}, shown {info.image_size_px} x {info.image_size_px} px"
    yield f"classes     {', '.join(f'{name} ({info.training_counts.get(name, 0):,} to train)' for name in info.classes)}"
    yield f"tiles       {_tiles(info)}"
    yield f"views       {VIEWS[info.views]}"
    yield f"calibration {_calibration(info)}"
    yield f"tested      {info.held_out.split.describe()}"
    yield ""
    yield f"held-out balanced accuracy {info.held_out.balanced_accuracy:.3f}{metrics_text(info)}"
    yield from confusion_lines(info)


def confusion_lines(info: ModelInfo) -> Iterator[str]:
    """Yield the confusion matrix of the held-out test as aligned lines."""
    corner = "true \\ predicted"
    width = max(len(name) for name in (corner, *info.classes))
    columns = [max(7, len(name)) for name in info.classes]
    yield "  ".join([f"{corner:<{width}}", *(f"{name:>{c}}" for name, c in zip(info.classes, columns, strict=True))])
    for name, row in zip(info.classes, info.held_out.confusion_matrix, strict=True):
        yield "  ".join([f"{name:<{width}}", *(f"{count:>{c}d}" for count, c in zip(row, columns, strict=True))])


def _tiles(info: ModelInfo) -> str:
    ground = f", {info.tile_size_px * info.gsd_m:.2f} m at {100 * info.gsd_m:.2f} cm a pixel" if info.gsd_m else ""
    return f"{info.tile_size_px} x {info.tile_size_px} px{ground}, {info.bands} bands of {info.dtype}"


def _calibration(info: ModelInfo) -> str:
    found = info.calibration
    if found is None:
        return "none: the probabilities are as the training left them"
    how = f"{found.method} {info.temperature:.2f}" if found.method == "temperature" else found.method
    held_out = f" in {found.groups} groups" if found.groups else ""
    return (
        f"{how}, fitted to {found.tiles:,} predictions{held_out}; "
        f"expected calibration error {found.ece_before:.3f} -> {found.ece_after:.3f}"
    )


def metrics_text(info: ModelInfo) -> str:
    """Return the further scores of a model, each after a comma."""
    from spurgekit.classify.metrics import METRICS

    known = {name: metric.words for name, metric in METRICS.items()}
    return "".join(f", {known.get(name, name)} {value:.3f}" for name, value in info.held_out.metrics.items())
