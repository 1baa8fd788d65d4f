"""``spurgekit demo``: a simulated survey carried the whole way, offline, and its map held against the truth."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import geopandas as gpd
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.features import rasterize
from sklearn.metrics import roc_auc_score

from spurgekit.classify import ModelInfo, TrainOptions, load_model, train_model
from spurgekit.classify.offline_weights import OFFLINE_BACKBONE, SOURCE, has_offline_weights
from spurgekit.dataset import DatasetInfo, DatasetOptions, build_dataset, open_dataset
from spurgekit.export import ExportReport, NothingToExportError, export_map
from spurgekit.maps import MapOptions, MapReport, map_site
from spurgekit.maps.bands import BANDS, PROBABILITY, BandLayout
from spurgekit.outputs import output_folder
from spurgekit.progress import Progress, silent
from spurgekit.simulate import SimulatedSurvey, SurveyOptions, draw_site
from spurgekit.simulate.survey_folder import plot_entries, write_survey
from spurgekit.survey import FILE_NAME, read_survey
from spurgekit.tiles import TileOptions, TilesReport, tile_images

IMAGE_SIZE_PX = 96

SEEING = TrainOptions(backbone=OFFLINE_BACKBONE, image_size_px=IMAGE_SIZE_PX)
"""With weights that need no connection, where they are installed."""

BLIND = TrainOptions(backbone="resnet10t", pretrained=False, image_size_px=IMAGE_SIZE_PX)
"""A shallow network: with random weights it still tells textures apart."""

TILE_PX = 64
STRIDE_PX = 32

SITE = SurveyOptions(name="rangeland", rotation_deg=5.0, missing=0.1, covered=0.1, distractors=6)
"""Nine plots of 10 m between crosses, of which two are gone and one is half hidden."""

CREW = Path("exports", SITE.name, "crew")
"""Where the map for a crew is, in the demo's folder."""

SURVEY = f"""\
# The survey that 'spurgekit demo' simulates: rangeland with leafy spurge, and the spurge drawn by a botanist.
schema_version = 1
name = "demo"
classes = ["no spurge", "leafy spurge"]
labels = "weed.gpkg"

[tiles]
size_px = {TILE_PX}

[[sites]]
name = "{{name}}"
image = "{{name}}.tif"
"""


@dataclass(frozen=True, slots=True)
class MapQuality:
    """A map against the truth, cell by cell, on ground that held no training tile.

    Attributes
    ----------
    balanced_accuracy : float
        Of cells with at least ``MIN_COVER`` weed against cells without any.
    auroc : float
        Area under the receiver operating characteristic curve, on the same cells.
    cells : int
    occupied_m2 : float
        Ground of all cells whose tile is under at least ``MIN_COVER`` weed.
    weed_m2 : float
        Ground that the weed itself covers.
    """

    balanced_accuracy: float
    auroc: float
    cells: int
    occupied_m2: float
    weed_m2: float


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo made.

    Attributes
    ----------
    folder : pathlib.Path
    markers : int
        Ground markers that were laid out.
    tiles : TilesReport
    dataset : DatasetInfo
    model : ModelInfo
    map : MapReport
    crew : ExportReport or None
        The map for a crew, if it has any patches.
    quality : MapQuality
    blind : MapQuality or None
        What the map would be with random weights, where others are installed.
    """

    folder: Path
    markers: int
    tiles: TilesReport
    dataset: DatasetInfo
    model: ModelInfo
    map: MapReport
    crew: ExportReport | None
    quality: MapQuality
    blind: MapQuality | None


MIN_COVER = 0.05
"""Share of a tile that the weed must cover for the tile to count as one of it, in labels and in the comparison."""


def run_demo(
    folder: str | Path,
    *,
    site: SurveyOptions = SITE,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> DemoReport:
    """Simulate a site, then tile, label, train, map and export it.

    Parameters
    ----------
    folder : str or pathlib.Path
        Survey folder to make.
    site : SurveyOptions
        What to simulate.
    seed : int
        Of the site, the split and the backbone.
    overwrite : bool
        Replace a folder that spurgekit made before.
    progress : Progress
    say : callable
        Is told what is being done.

    Returns
    -------
    DemoReport
    """
    options = replace(site, seed=seed)
    parameters = {"site": site.name, "seed": seed}
    with output_folder(folder, "demo", parameters=parameters, overwrite=overwrite) as work:
        say("simulating a site with plots, ground markers and weed")
        simulated = write_survey(draw_site(options, progress=progress), work, options)
        entries = SURVEY.format(name=site.name) + plot_entries(options) + 'quarters = "grid"\n'
        (work / FILE_NAME).write_text(entries, encoding="utf-8", newline="\n")
        survey = read_survey(work)
        say("finding the markers, working out the plots, cutting them into tiles")
        tiled = TileOptions(layout="plots", size_px=survey.tiles.size_px, plots=survey.plots)
        tiles = tile_images(survey.images, work / "tiles", tiled, progress=progress)
        say("labelling them, and splitting them by place")
        labelled = DatasetOptions(labels=simulated.weed, classes=survey.classes, min_cover=MIN_COVER, block_m=5.0, seed=seed)
        dataset = build_dataset(work / "tiles", work / "dataset", labelled, progress=progress)
        sees = has_offline_weights()
        weights = SOURCE if sees else "that are random, since the extra 'offline' is not installed"
        trained = replace(SEEING if sees else BLIND, seed=seed)
        say(f"training on features of {trained.backbone} with weights {weights}; mapping the whole site")
        model, report, quality = _train_and_map(
            work / "dataset", simulated, trained, work / "models" / "probe", work / "maps" / site.name, progress
        )
        say("exporting the map for a crew")
        crew = None
        with suppress(NothingToExportError):
            crew = export_map(work / "maps" / site.name, work / CREW)
        blind = None
        if sees:
            say(f"for comparison, the same with {BLIND.backbone} and random weights")
            with TemporaryDirectory(dir=work) as aside:
                _, _, blind = _train_and_map(
                    work / "dataset", simulated, replace(BLIND, seed=seed), Path(aside, "model"), Path(aside, "map"), progress
                )
    return DemoReport(Path(folder), simulated.laid, tiles, dataset, model, report, crew, quality, blind)


def _train_and_map(
    dataset: Path, site: SimulatedSurvey, options: TrainOptions, model: Path, maps: Path, progress: Progress
) -> tuple[ModelInfo, MapReport, MapQuality]:
    """Train a model, map the site it was trained on, and hold the map against the truth."""
    info = train_model(dataset, model, options, progress=progress)
    loaded = load_model(model, views=1)  # of the 8 that it was tested with, for the sake of time
    report = map_site(site.image, loaded, maps, MapOptions(stride_px=STRIDE_PX), progress=progress)
    return info, report, compare_with_truth(maps / "presence.tif", site, dataset)


def compare_with_truth(presence: str | Path, site: SimulatedSurvey, dataset: str | Path) -> MapQuality:
    """Hold a map against the truth of its simulated site.

    A cell is judged by the tile that was looked at for it: the truth is the share of that tile's ground under the weed. Cells
    whose tile shares ground with a training tile are left out.

    Parameters
    ----------
    presence : str or pathlib.Path
        The map.
    site : SimulatedSurvey
        That it is of.
    dataset : str or pathlib.Path
        That its model was trained on.

    Returns
    -------
    MapQuality
    """
    info = open_dataset(dataset).info
    weed_band = BandLayout(tuple(BANDS.values()), info.classes).channels(PROBABILITY.name).start + 2
    with rasterio.open(presence) as file, rasterio.open(site.truth) as truth:
        probability, cells = file.read(weed_band), file.transform
        weed, grid, no_truth = truth.read(1), truth.transform, truth.nodata
        stride = round(cells.a / grid.a)
    index = gpd.read_parquet(Path(dataset) / "tiles.parquet")
    training = index.geometry[index["split"] == "train"]
    used = rasterize(training, out_shape=weed.shape, transform=grid).astype(bool)
    cover = _means(weed == 1, probability.shape, stride, info.size_px)
    seen_in_training = _means(used, probability.shape, stride, info.size_px) > 0
    valid = _means(weed != no_truth, probability.shape, stride, stride)
    known = np.isfinite(probability)
    judged = known & ~seen_in_training & ((cover == 0) | (cover >= MIN_COVER))
    positive, found = cover[judged] >= MIN_COVER, probability[judged] > 0.5
    cell_m2 = abs(cells.determinant)
    return MapQuality(
        balanced_accuracy=float((found[positive].mean() + (~found[~positive]).mean()) / 2),
        auroc=float(roc_auc_score(positive, probability[judged])),
        cells=int(judged.sum()),
        occupied_m2=float(valid[known & (cover >= MIN_COVER)].sum() * cell_m2),
        weed_m2=float((weed == 1).sum() * abs(grid.determinant)),
    )


def _means(mask: NDArray[np.bool_], shape: tuple[int, int], stride: int, side: int) -> NDArray[np.float64]:
    """Return the mean of a mask over the square around each cell, which is False beyond its edges."""
    margin = (side - stride) // 2
    rows, columns = shape[0] * stride + 2 * margin, shape[1] * stride + 2 * margin
    padded = np.zeros((rows + 1, columns + 1))
    padded[1 + margin : 1 + margin + mask.shape[0], 1 + margin : 1 + margin + mask.shape[1]] = mask
    sums = padded.cumsum(axis=0).cumsum(axis=1)
    top = np.arange(shape[0])[:, None] * stride
    left = np.arange(shape[1])[None, :] * stride
    total = sums[top + side, left + side] - sums[top, left + side] - sums[top + side, left] + sums[top, left]
    return np.asarray(total / side**2)
