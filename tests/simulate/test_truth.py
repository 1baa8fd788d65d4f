"""Maps of simulated sites held against the truth."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from spurgekit import compare_with_truth
from spurgekit.classify import TrainOptions, load_model, train_model
from spurgekit.dataset import DatasetOptions, build_dataset
from spurgekit.maps import MapOptions, map_site
from spurgekit.simulate import SurveyOptions, simulate_survey
from spurgekit.tiles import TileOptions, tile_images
from tests.chain import BACKBONE

TILE_PX = 50


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A simulated site of 24 x 24 m, a dataset of its tiles, and a model of that."""
    folder = tmp_path_factory.mktemp("survey")
    made = simulate_survey(folder / "survey", SurveyOptions(rows=1, columns=1, site_size_m=24, gsd_m=0.04, weed_share=0.15))
    tile_images(made.image, folder / "tiles", TileOptions(layout="grid", size_px=TILE_PX))
    labelled = DatasetOptions(labels=made.weed, classes=("no spurge", "leafy spurge"), shots=(1, 2), trials=2)
    build_dataset(folder / "tiles", folder / "dataset", labelled)
    how = TrainOptions(backbone=BACKBONE, pretrained=False, image_size_px=TILE_PX)
    train_model(folder / "dataset", folder / "model", how)
    return made, folder


@pytest.mark.parametrize("stride_px", [TILE_PX, 30])
def test_a_map_that_tells_the_truth_has_no_error(survey, tmp_path, stride_px):
    """Of tiles of any size; a cell is judged by the tile around it."""
    made, folder = survey
    model = load_model(folder / "model", views=1)
    presence = map_site(made.image, model, tmp_path / "map", MapOptions(stride_px=stride_px)).folder / "presence.tif"
    with rasterio.open(made.truth) as truth, rasterio.open(presence) as file:
        weed, bands = truth.read(1) == 1, file.read()
        to_pixels = ~truth.transform @ file.transform
    for row, column in np.argwhere(np.isfinite(bands[1])):
        middle_x, middle_y = to_pixels @ (column + 0.5, row + 0.5)
        down, across = (
            slice(max(0, round(middle - TILE_PX / 2)), round(middle + TILE_PX / 2)) for middle in (middle_y, middle_x)
        )
        bands[1, row, column] = 0.9 if weed[down, across].any() else 0.1
    with rasterio.open(presence, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        file.write(bands)
    quality = compare_with_truth(presence, made, folder / "dataset")
    assert quality.cells > 20
    assert quality.balanced_accuracy == quality.auroc == 1
