"""The way from a real orthomosaic to a map, as a user walks it."""

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.windows import Window
from rio_cogeo.cogeo import cog_validate

from spurgekit.classify.model_info import read_model_info
from spurgekit.maps import load_map_model
from tests.command import refuse, succeed

# The corner of the mosaic where it ends: about half of this piece lies outside.
PIECE = Window(4500, 4500, 680, 630)


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    """Tiles around the plants of the dune, a dataset with three clusters held out, and a model."""
    made = tmp_path_factory.mktemp("dune")
    copr, weights = data / "copr", data / "weights" / "mobilenetv2_035" / "model.safetensors"
    output = succeed(
        "tile", copr / "site.tif", "--layout", "points", "--points", copr / "plant_points.gpkg", "--size", 50,
        "--out", made / "tiles",
    )  # fmt: skip
    assert "site  294 png tiles at 1.00 cm a pixel" in output
    output = succeed(
        "build-dataset", made / "tiles", "--group-column", "cluster", "--test-groups", "0,3,6", "--out", made / "dataset"
    )
    assert "held out: cluster 0, 3, 6; no test tile touches a training tile" in output
    output = succeed(
        "train", made / "dataset", "--backbone", "mobilenetv2_035", "--weights", weights,
        "--backbone-option", "pad_type=same", "--backbone-option", "bn_eps=1e-3",
        "--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5", "--image-size", 112, "--out", made / "model",
    )  # fmt: skip
    assert "held-out balanced accuracy " in output
    return made


@pytest.fixture(scope="module")
def piece(data, folder):
    """A piece of the mosaic at its edge, cut out with plain rasterio."""
    path = folder / "piece.tif"
    with rasterio.open(data / "copr" / "site.tif") as file:
        profile = {
            "driver": "GTiff", "count": 4, "dtype": "uint8", "crs": file.crs, "width": PIECE.width, "height": PIECE.height,
            "transform": file.window_transform(PIECE), "photometric": "rgb", "alpha": "yes", "tiled": True,
        }  # fmt: skip
        with rasterio.open(path, "w", **profile) as out:
            out.write(file.read(window=PIECE))
    return path


@pytest.fixture(scope="module")
def mapped(folder, piece):
    output = succeed("map", piece, "--model", folder / "model", "--out", folder / "map")
    assert "in cells of 0.50 m" in output
    assert "present: " in output
    return folder / "map"


@pytest.fixture(scope="module")
def pixels(piece):
    with rasterio.open(piece) as file:
        return file.read()


class TestModel:
    def test_plants_are_told_from_sand_on_ground_not_seen_before(self, folder):
        held_out = read_model_info(folder / "model").held_out
        assert held_out.balanced_accuracy >= 0.97
        assert held_out.split.test_groups == ("0", "3", "6")

    def test_it_was_tested_on_the_clusters_held_out_and_no_others(self, folder):
        tiles = gpd.read_parquet(folder / "dataset" / "tiles.parquet")
        matrix = np.array(read_model_info(folder / "model").held_out.confusion_matrix)
        held_out = tiles["cluster"].isin([0, 3, 6])
        assert matrix.sum() == held_out.sum()
        assert (tiles["split"] == "test").tolist() == held_out.tolist()


class TestMap:
    def test_it_is_a_cog_in_the_crs_of_the_mosaic(self, mapped):
        assert cog_validate(mapped / "presence.tif", strict=True)[0]
        with rasterio.open(mapped / "presence.tif") as file:
            assert file.crs == "EPSG:32611"
            assert (file.width, file.height) == (14, 13)

    def test_cells_lie_where_the_pixels_lay(self, mapped, piece):
        with rasterio.open(mapped / "presence.tif") as file, rasterio.open(piece) as image:
            assert file.transform.almost_equals(image.transform @ rasterio.Affine.scale(50), 1e-9)
            assert (file.transform.a, file.transform.e) == pytest.approx((0.5, -0.5))

    def test_nothing_outside_the_mosaic_has_a_value(self, mapped, pixels):
        alpha = np.zeros((650, 700), bool)
        alpha[: PIECE.height, : PIECE.width] = pixels[3] > 0
        share = alpha.reshape(13, 50, 14, 50).mean(axis=(1, 3))
        with rasterio.open(mapped / "presence.tif") as file:
            has_value = np.isfinite(file.read())
        assert 40 < (share == 0).sum() < 140
        assert not has_value[:, share == 0].any()
        assert (has_value == (share >= 0.5)).all()

    def test_a_cell_is_what_the_model_says_of_its_pixels(self, mapped, folder, piece, pixels):
        model = load_map_model(folder / "model", "cpu")
        with rasterio.open(mapped / "presence.tif") as file, rasterio.open(piece) as image:
            values, to_world = file.read(), file.transform
            cells = np.argwhere(np.isfinite(values[0]))[::7]
            tiles = []
            for row, col in cells:
                left, top = (round(v) for v in ~image.transform @ (to_world @ (col, row)))
                tile = np.zeros((3, 50, 50), np.uint8)
                inside = pixels[:, top : top + 50, left : left + 50]
                tile[:, : inside.shape[1], : inside.shape[2]] = inside[:3] * (inside[3] > 0)
                tiles.append(tile)
        assert len(tiles) > 10
        assert pytest.approx(model.predict(np.stack(tiles)), abs=1e-5) == values[:2, cells[:, 0], cells[:, 1]].T

    def test_polygons_and_summary_add_up_to_the_valid_pixels_of_cells(self, mapped, pixels):
        with rasterio.open(mapped / "presence.tif") as file:
            absent, present = file.read([1, 2])
        valid = np.zeros((50 * present.shape[0], 50 * present.shape[1]))
        valid[: pixels.shape[1], : pixels.shape[2]] = pixels[3] > 0
        ground = 0.25 * valid.reshape(present.shape[0], 50, present.shape[1], 50).mean(axis=(1, 3))
        polygons = gpd.read_file(mapped / "presence.gpkg", layer="presence")
        summary = json.loads((mapped / "summary.json").read_text())
        assert 0 < ground[present > absent].sum() < summary["mapped_m2"]
        assert polygons["area_m2"].sum() == pytest.approx(ground[present > absent].sum(), abs=1e-3)
        assert polygons.geometry.area.sum() == pytest.approx(0.25 * (present > absent).sum())
        assert len(polygons) == summary["polygons"]
        occupied = summary["occupied"]["present"]
        assert occupied["counted_m2"] == pytest.approx(ground[present > absent].sum(), abs=1e-3)
        assert summary["mapped_m2"] == pytest.approx(ground[np.isfinite(present)].sum(), abs=1e-3)
        assert summary["image_m2"] == pytest.approx(ground.sum(), abs=1e-2)
        assert summary["cell_m"] == summary["support_m"] == pytest.approx(0.5)
        assert occupied["low_m2"] <= occupied["estimate_m2"] <= occupied["high_m2"]


class TestOtherImages:
    """Other cameras and places: what the model says there is worth little, but it lies in the right place."""

    @pytest.mark.parametrize(("name", "crs"), [("australia/australia.tif", "EPSG:32753"), ("plantcv/rgb.tif", "EPSG:32615")])
    def test_are_resampled_to_what_the_model_was_trained_on(self, data, chain, tmp_path, name, crs):
        image = data / "orthos" / name
        succeed("map", image, "--model", chain.model, "--out", tmp_path / "map")
        with rasterio.open(image) as file, rasterio.open(tmp_path / "map" / "presence.tif") as found:
            assert found.crs == crs
            assert found.res == pytest.approx((0.32, 0.32))  # 32 px of 1 cm
            assert (found.transform.c, found.transform.f) == pytest.approx((file.transform.c, file.transform.f))
            assert found.width == int(np.ceil(file.width * file.res[0] / 0.32))
            probabilities = found.read([1, 2])
        seen = np.isfinite(probabilities[0])
        assert seen.any()
        assert probabilities[:, seen].sum(axis=0) == pytest.approx(1, abs=1e-5)

    def test_five_float_bands(self, data, folder, tmp_path):
        image = data / "orthos" / "plantcv" / "615.tif"
        line = refuse("map", image, "--model", folder / "model", "--out", tmp_path / "map")
        assert "615.tif has 5 bands of float32, the model reads 3 of uint8; choose them with --bands" in line
        assert not list(tmp_path.iterdir())

    def test_no_crs(self, data, folder, tmp_path):
        image = data / "orthos" / "plantcv" / "rgb_uint16.tif"
        line = refuse("map", image, "--model", folder / "model", "--out", tmp_path / "map")
        assert "rgb_uint16.tif" in line
        assert "is not georeferenced: it has neither a CRS nor a geotransform; georeference it first" in line
