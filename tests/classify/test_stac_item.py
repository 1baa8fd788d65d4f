"""The STAC item of a model, held against the schemas of STAC and of its extensions, without a connection."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import replace

import geopandas as gpd
import pandas as pd
import pytest
import timm
from pystac.errors import STACValidationError
from shapely import Polygon, box
from shapely.geometry import shape

from spurgekit.classify.model_info import Positions, read_model_info
from spurgekit.classify.stac_item import Extent, stac_item, training_extent
from spurgekit.dataset import open_dataset
from spurgekit.dataset.reader import SurveyInfo
from tests.chain import BACKBONE
from tests.classify.stac import validate

NOWHERE = Extent(None, None)


@pytest.fixture
def item(chain):
    return json.loads((chain.model / "model.stac.json").read_text())


@pytest.fixture
def described(chain):
    """Make the item of the drawn site's model with another description."""

    def make(extent=NOWHERE, pretrained=None, **update):
        info = read_model_info(chain.model).model_copy(update=update)
        return stac_item(chain.model, info, timm.create_model(BACKBONE, num_classes=2), extent, pretrained=pretrained)

    return make


class TestOfTheDrawnSite:
    def test_it_is_valid_by_all_three_schemas(self, item):
        assert validate(item) == 3

    @pytest.mark.parametrize("name", ["mlm:name", "mlm:architecture", "mlm:tasks", "mlm:input", "mlm:output"])
    def test_without_what_it_must_say_it_is_not(self, item, name):
        del item["properties"][name]
        with pytest.raises(STACValidationError, match="mlm"):
            validate(item)

    def test_what_goes_in_and_comes_out(self, chain, item):
        info = read_model_info(chain.model)
        (tiles,) = item["properties"]["mlm:input"]
        assert tiles["input"] == {
            "shape": [-1, 3, 32, 32],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": "float32",
        }
        assert tiles["value_scaling"] == [
            {"type": "z-score", "mean": pytest.approx(255 * mean), "stddev": pytest.approx(255 * std)}
            for mean, std in zip(info.mean, info.std, strict=True)
        ]
        (logits,) = item["properties"]["mlm:output"]
        assert (logits["result"]["shape"], logits["tasks"]) == ([-1, 2], ["scene-classification"])
        assert [(one["value"], one["name"]) for one in logits["classification:classes"]] == [(0, "sand"), (1, "weed")]

    def test_the_asset_is_the_file_beside_it(self, chain, item):
        asset = item["assets"]["model"]
        weights = (chain.model / asset["href"]).read_bytes()
        assert asset["file:checksum"] == "1220" + hashlib.sha256(weights).hexdigest()
        assert asset["file:size"] == len(weights)
        assert asset["mlm:artifact_type"] == "safetensors.torch.save_file"
        assert "mlm:model" in asset["roles"]
        assert item["id"] == f"probe-{hashlib.sha256(weights).hexdigest()[:12]}"
        assert all((chain.model / one["href"]).is_file() for one in item["assets"].values())

    def test_numbers_of_the_network(self, item):
        network = timm.create_model(BACKBONE, num_classes=2)
        said = item["properties"]
        assert said["mlm:total_parameters"] == sum(one.numel() for one in network.parameters())
        buffers = sum(one.numel() * one.element_size() for one in network.buffers())
        assert said["mlm:memory_size"] == 4 * said["mlm:total_parameters"] + buffers
        assert (said["mlm:pretrained"], said["mlm:pretrained_source"]) == (False, None)
        assert (said["mlm:framework"], said["gsd"]) == ("PyTorch", pytest.approx(0.01))

    def test_where_its_training_tiles_lie(self, chain, item):
        data = open_dataset(chain.dataset)
        train = data.split("train")
        ground = shape(item["geometry"])
        places = gpd.points_from_xy(train["longitude"], train["latitude"])
        assert all(ground.buffer(1e-7).contains(place) for place in places)
        hull = data.index().set_index("tile_id").loc[train["tile_id"]].union_all().convex_hull
        again = gpd.GeoSeries([ground], crs="EPSG:4326").to_crs("EPSG:32612").iloc[0]
        assert again.symmetric_difference(hull).area < 0.02 * hull.area  # of 3 m, a degree's seventh decimal is 1 cm
        assert item["bbox"] == list(ground.bounds)
        assert Polygon(item["geometry"]["coordinates"][0]).exterior.is_ccw


class TestOthers:
    def test_nobody_knows_where_or_when(self, described):
        item = described()
        assert item["geometry"] is None
        assert "bbox" not in item
        said = item["properties"]
        assert (said["datetime"], said["start_datetime"], said["end_datetime"]) == (
            None,
            "1900-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
        )
        assert validate(item) == 3

    def test_two_sites_in_two_summers(self, described):
        ground = box(-111.0, 45.0, -110.9, 45.1) | box(10, 50, 10.1, 50.1)
        item = described(Extent(ground, (dt.date(2025, 6, 1), dt.date(2026, 7, 2))))
        assert item["geometry"]["type"] == "MultiPolygon"
        assert item["bbox"] == [-111.0, 45.0, 10.1, 50.1]
        assert item["properties"]["start_datetime"] == "2025-06-01T00:00:00Z"
        assert item["properties"]["end_datetime"] == "2026-07-02T23:59:59Z"
        assert validate(item) == 3

    def test_other_bands_keep_their_units(self, described):
        item = described(mean=(1000.0,) * 5, std=(200.0,) * 5, dtype="uint16", arm="probe+cutmix", gsd_m=None)
        assert [band["data_type"] for band in item["properties"]["bands"]] == ["uint16"] * 5
        (tiles,) = item["properties"]["mlm:input"]
        assert tiles["value_scaling"][0] == {"type": "z-score", "mean": 1000.0, "stddev": 200.0}
        assert item["properties"]["mlm:name"] == f"spurgekit-probe-cutmix-{BACKBONE}"
        assert "gsd" not in item["properties"]
        assert validate(item) == 3

    def test_weights_from_the_hub(self, described):
        item = described(pretrained="https://huggingface.co/timm/resnet10t.c3_in1k")
        assert item["properties"]["mlm:pretrained"] is True
        assert validate(item) == 3

    def test_a_head_that_looks_at_positions(self, described):
        positions = Positions(features=768, stride_px=16, sharpness=None)
        item = described(head="segmentation", positions=positions, target="cover", min_cover=0.05, arm="segment")
        assert item["properties"]["mlm:tasks"] == ["scene-classification", "regression", "semantic-segmentation"]
        tiles, cells = item["properties"]["mlm:output"]
        assert tiles["tasks"] == ["scene-classification", "regression"]
        assert (cells["name"], cells["result"]["shape"]) == ("cells", [-1, 2, 2, 2])
        assert "config" not in item["assets"]
        assert validate(item) == 3


class TestExtent:
    def test_of_sites_far_apart(self, chain):
        data = open_dataset(chain.dataset)
        train = data.split("train")
        half = train["easting"] > train["easting"].median()
        ground = training_extent(data, train.assign(site=half.map({True: "east", False: "west"}))).ground
        assert ground.area < training_extent(data, train).ground.area

    def test_dates_are_said_only_if_all_are_known(self, chain):
        data = open_dataset(chain.dataset)

        def dates(*of):
            surveys = tuple(SurveyInfo(name=f"s{n}", date=date, tiles=1) for n, date in enumerate(of))
            return training_extent(replace(data, info=data.info.model_copy(update={"surveys": surveys})), train).dates

        train = data.split("train")
        assert dates("2026-06-01", "2025-07-01") == (dt.date(2025, 7, 1), dt.date(2026, 6, 1))
        assert dates("2026-06-01", None) is None
        assert dates("June") is None
        assert dates() is None

    def test_of_tiles_that_nobody_knows_the_ground_of(self, chain):
        rows = pd.DataFrame({"tile_id": ["elsewhere"], "site": ["dune"]})
        assert training_extent(open_dataset(chain.dataset), rows).ground is None
