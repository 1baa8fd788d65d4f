"""The three kinds of survey, on real imagery and on a simulated one: built, validated, and read by the usual readers."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
from PIL import Image

from spurgekit.dataset import DatasetOptions, build_dataset, open_dataset
from spurgekit.dataset.validate import validate_dataset
from spurgekit.simulate import SurveyOptions
from spurgekit.simulate.site import draw_site
from spurgekit.simulate.survey_folder import write_survey
from spurgekit.survey import read_survey
from spurgekit.tiles import TileOptions, tile_images

LEAFY_SPURGE_FIELDS = ["image", "label", "idx", "longitude", "latitude", "easting", "northing", "cluster"]


@pytest.fixture(scope="module")
def dune(data, tmp_path_factory):
    """Points of plants on a dune, as the V2 survey has points: crop, context and the rest of the mosaic."""
    folder = tmp_path_factory.mktemp("dune")
    options = TileOptions(points=data / "copr" / "plant_points.gpkg", size_px=50, context_px=256, unlabelled_px=50)
    tile_images([data / "copr" / "site.tif"], folder / "tiles", options)
    build_dataset(
        folder / "tiles",
        folder / "dataset",
        DatasetOptions(group_column="cluster", test_groups=("0", "3", "6"), buffer_m=0.0, licence="cc-by-sa-4.0"),
    )
    return folder / "dataset"


@pytest.fixture(scope="module")
def carrots(data, tmp_path_factory):
    """Somebody else's folder of tiles, split by the photo that they were cut from."""
    folder = tmp_path_factory.mktemp("carrots")
    options = DatasetOptions(group_pattern=r"IMG_\d+", classes=("absent", "present"))
    build_dataset(data / "carrot-weeds", folder / "dataset", options)
    return folder / "dataset"


@pytest.fixture(scope="module")
def rangeland(tmp_path_factory):
    """A simulated survey of plots, as the V1 survey has them, with what a botanist recorded of their quarters."""
    folder = tmp_path_factory.mktemp("rangeland")
    options = SurveyOptions(name="north", seed=8, weed_share=0.15, gsd_m=0.035)
    write_survey(draw_site(options), folder, options)
    survey = read_survey(folder)
    tile_images(survey.images, folder / "tiles", TileOptions(size_px=125))
    tiles = gpd.read_parquet(folder / "tiles" / "tiles.parquet")
    weed = gpd.read_file(folder / "weed.gpkg").union_all()
    presence = np.where(tiles.geometry.intersection(weed).area / tiles.geometry.area > 0.02, "yes", "no")
    tiles[["plot", "quarter"]].assign(presence=presence).to_csv(folder / "record.csv", index=False)
    options = DatasetOptions(record=folder / "record.csv", group_column="plot", classes=survey.classes)
    build_dataset(folder / "tiles", folder / "dataset", options)
    return folder / "dataset"


@pytest.fixture
def load(monkeypatch, tmp_path):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets.disable_progress_bars()
    return lambda folder: datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=str(tmp_path / "cache"))


def read_by_timm(folder, side):
    """Return (class folder, class number) of each image as timm's own training reads them."""
    from timm.data import create_dataset

    reader = create_dataset("folder", root=str(folder), split=side)
    return reader, [number for _, number in reader.reader.samples]


def check(folder, load):
    """Whether a dataset is valid, and whether both readers see what it says that it holds."""
    dataset = open_dataset(folder)
    assert validate_dataset(folder) == []
    loaded = load(folder)
    for side in ("train", "test"):
        rows, counts = dataset.split(side), list(dataset.info.counts[side].values())
        assert loaded[side]["label"] == rows["target"].tolist()
        assert loaded[side]["tile_id"] == rows["tile_id"].tolist()
        image = np.asarray(loaded[side][0]["image"])
        assert (image == np.asarray(Image.open(rows["path"].iloc[0]))).all()
        images, numbers = read_by_timm(folder, side)
        assert [numbers.count(number) for number in range(len(counts))] == counts
        assert images[0][0].size == (dataset.info.size_px, dataset.info.size_px)
    return loaded


class TestPoints:
    @pytest.mark.parametrize(("config", "size_px"), [("crop", 50), ("context", 256)])
    def test_both_configs(self, dune, load, config, size_px):
        loaded = check(dune / config, load)
        assert list(loaded["train"].features)[: len(LEAFY_SPURGE_FIELDS)] == LEAFY_SPURGE_FIELDS
        assert loaded["test"][0]["image"].size == (size_px, size_px)
        assert set(loaded["test"]["cluster"]) == {0, 3, 6}

    def test_the_rest_of_the_mosaic(self, dune):
        crop = open_dataset(dune / "crop")
        free = crop.unlabelled()
        assert len(free) == crop.info.unlabelled.tiles > 1000
        assert (free["valid_fraction"] == 1).all()

    def test_support_sets_are_of_the_training_tiles_of_each(self, dune):
        for dataset in (open_dataset(dune / name) for name in ("crop", "context")):
            sets = dataset.support_sets()
            assert sets.groupby("n")["trial"].nunique().to_dict() == dict.fromkeys((1, 2, 4, 8, 16), 20)
            assert set(sets["tile_id"]) <= set(dataset.split("train")["tile_id"])


def test_images_of_others(carrots, load):
    check(carrots, load)
    dataset = open_dataset(carrots)
    sides = {side: set(dataset.split(side)["group"]) for side in ("train", "test")}
    assert not sides["train"] & sides["test"]
    assert len(sides["train"] | sides["test"]) == 39
    assert sum(map(len, (dataset.split(side) for side in ("train", "test")))) == 630


def test_plots(rangeland, load):
    loaded = check(rangeland, load)
    assert open_dataset(rangeland).info.classes == ("no spurge", "leafy spurge")
    assert set(loaded["train"]["label_from"]) == {"quarter"}
    assert set(loaded["test"]["quarter"]) == {"NW", "NE", "SE", "SW"}
    assert not set(loaded["train"]["plot"]) & set(loaded["test"]["plot"])
