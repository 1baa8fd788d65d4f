"""What lies around a tile: from its image where that is found, else from other tiles; and where the image is looked for."""

import io
import json
import shutil

import cv2
import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from PIL import Image
from shapely import affinity

from spurgekit.dataset import DatasetOptions, build_dataset
from spurgekit.errors import InputError
from spurgekit.review import open_folder
from spurgekit.review.site_images import find_site_images
from spurgekit.review.surroundings import PAPER, Surroundings
from spurgekit.review.tile_pictures import TilePictures
from spurgekit.tiles import PlotOptions, TileOptions, tile_images
from tests.conftest import CORNER
from tests.dataset import add_columns
from tests.review import COLUMNS

MIDDLE = COLUMNS + 1
"""A tile in the second row and column, with neighbours all around."""


@pytest.fixture
def look():
    """Return the surroundings of tiles of a folder as arrays, and what they were made from."""
    opened = []

    def look(folder, tile, **options):
        opened.append(Surroundings(folder, TilePictures(folder), find_site_images(folder, **options)))
        view = opened[-1].view(tile)
        return np.asarray(Image.open(io.BytesIO(view.jpeg))).astype(int), view.origin

    yield look
    for surroundings in opened:
        surroundings.close()


@pytest.fixture
def smooth(tmp_path, make_tif):
    """A site of smooth ground, since JPEGs of a ramp are far from it, and 3 x 3 tiles of its middle."""
    rng = np.random.default_rng(0)
    site = cv2.GaussianBlur(rng.normal(0, 1, (320, 320, 3)).astype(np.float32), (0, 0), 9)
    site = np.clip(128 + 900 * site, 0, 255).astype(np.uint8)
    make_tif(tmp_path / "dune.tif", np.moveaxis(site, -1, 0))
    return site


def close_to(found, expected):
    assert found.shape == expected.shape
    return np.abs(found - expected.astype(int)).mean() < 3


class TestFromTheImage:
    def test_three_sides_of_the_tile_with_the_tile_in_the_middle(self, tmp_path, smooth, look):
        tile_images([tmp_path / "dune.tif"], tmp_path / "tiles", TileOptions(size_px=64, layout="grid"))
        folder = open_folder(tmp_path / "tiles")
        found, origin = look(folder, folder.by_id["dune_r00001_c00002"])
        assert origin == "dune.tif"
        assert close_to(found, smooth[0:192, 64:256])

    def test_beyond_the_image_it_is_grey(self, tmp_path, smooth, look):
        tile_images([tmp_path / "dune.tif"], tmp_path / "tiles", TileOptions(size_px=64, layout="grid"))
        folder = open_folder(tmp_path / "tiles")
        found, _ = look(folder, folder.tiles[0])
        assert close_to(found[64:, 64:], smooth[:128, :128])
        assert (np.abs(found[:50, :50] - PAPER) <= 3).all()

    def test_the_same_way_up_as_a_tile_that_lies_aslant(self, tmp_path, smooth, look):
        tile_images([tmp_path / "dune.tif"], tmp_path / "tiles", TileOptions(size_px=64, layout="grid"))
        index = add_columns(tmp_path / "tiles")
        turned = affinity.rotate(index.geometry[6], -90)  # its upper left corner is the ground's upper right one
        index.loc[6, "geometry"] = turned
        index.to_parquet(tmp_path / "tiles" / "tiles.parquet")
        folder = open_folder(tmp_path / "tiles")
        found, _ = look(folder, folder.tiles[6])
        assert close_to(found, np.rot90(smooth[0:192, 0:192]))

    @pytest.mark.usefixtures("smooth")
    def test_of_a_tile_of_another_resolution_and_crs(self, tmp_path, look):
        options = TileOptions(size_px=32, layout="grid", gsd_m=0.02, crs="EPSG:32611")
        tile_images([tmp_path / "dune.tif"], tmp_path / "tiles", options)
        folder = open_folder(tmp_path / "tiles")
        tile = next(tile for tile in folder.tiles if tile.id.endswith("r00001_c00001"))
        found, origin = look(folder, tile)
        pixels = TilePictures(folder).pixels(tile)
        assert origin == "dune.tif"
        assert close_to(found[32:64, 32:64], pixels)

    def test_large_tiles_are_shrunk(self, tmp_path, make_tif, look):
        site = make_tif(tmp_path / "dune.tif", np.full((3, 1000, 1000), 77, np.uint8))
        tile_images([site], tmp_path / "tiles", TileOptions(size_px=1000, layout="grid"))
        folder = open_folder(tmp_path / "tiles")
        found, _ = look(folder, folder.tiles[0])
        assert found.shape == (900, 900, 3)
        assert np.abs(found[310:590, 310:590] - 77).max() <= 2


class TestFromOtherTiles:
    @pytest.fixture
    def alone(self, dune):
        """The tiles without their image."""
        (dune / "dune.tif").unlink()
        return open_folder(dune / "tiles")

    def test_side_by_side(self, tmp_path, smooth, look):
        tile_images([tmp_path / "dune.tif"], tmp_path / "tiles", TileOptions(size_px=64, layout="grid"))
        (tmp_path / "dune.tif").unlink()
        folder = open_folder(tmp_path / "tiles")
        found, origin = look(folder, folder.by_id["dune_r00001_c00002"])
        assert origin == "tiles of this folder"
        assert close_to(found, smooth[0:192, 64:256])

    def test_a_damaged_neighbour_leaves_a_gap(self, alone, look):
        alone.tiles[0].path.write_bytes(b"hello")
        found, _ = look(alone, alone.tiles[MIDDLE])
        assert np.abs(found[4:20, 4:20] - PAPER).max() < 20
        assert np.abs(found[36:60, 36:60] - PAPER).max() > 100

    def test_larger_tiles_around_points(self, tmp_path, smooth, look):
        x, y = CORNER[0] + 1.6, CORNER[1] - 1.6
        gpd.GeoDataFrame({"label": ["weed"]}, geometry=gpd.points_from_xy([x], [y]), crs=32612).to_file(tmp_path / "p.gpkg")
        options = TileOptions(size_px=64, points=tmp_path / "p.gpkg", context_px=256)
        tile_images([tmp_path / "dune.tif"], tmp_path / "tiles", options)
        (tmp_path / "dune.tif").unlink()
        folder = open_folder(tmp_path / "tiles", classes=("sand", "weed"))
        found, _ = look(folder, folder.tiles[0])
        assert close_to(found, smooth[64:256, 64:256])

    @pytest.mark.usefixtures("smooth")
    def test_none_beside_it(self, tmp_path, look):
        tile_images([tmp_path / "dune.tif"], tmp_path / "tiles", TileOptions(size_px=320, layout="grid"))
        (tmp_path / "dune.tif").unlink()
        folder = open_folder(tmp_path / "tiles")
        with pytest.raises(
            InputError, match=r"^dune\.tif was not found; `imagery` says .* no other tile lies beside this one$"
        ):
            look(folder, folder.tiles[0])

    def test_an_image_that_is_damaged(self, dune, look):
        (dune / "dune.tif").write_text("hello")
        folder = open_folder(dune / "tiles")
        assert look(folder, folder.tiles[MIDDLE])[1] == "tiles of this folder"

    def test_an_image_of_elsewhere(self, dune, make_tif, look):
        make_tif(dune / "dune.tif", np.ones((3, 50, 50), np.uint8), transform=Affine(0.01, 0, 0, 0, -0.01, 0))
        folder = open_folder(dune / "tiles")
        assert look(folder, folder.tiles[MIDDLE])[1] == "tiles of this folder"

    def test_a_tile_of_which_nobody_knows_where_it_lies(self, dune, look):
        index = add_columns(dune / "tiles")
        index.loc[0, "geometry"] = None
        index.to_parquet(dune / "tiles" / "tiles.parquet")
        folder = open_folder(dune / "tiles")
        with pytest.raises(InputError, match="does not say what ground this tile covers"):
            look(folder, folder.tiles[0])


class TestSources:
    def found(self, folder, **options):
        return {name: source.path.resolve() for name, source in find_site_images(folder, **options).items()}

    def test_where_the_provenance_says(self, dune, monkeypatch):
        (dune / "elsewhere").mkdir()
        monkeypatch.chdir(dune / "elsewhere")
        shutil.move(dune / "dune.tif", dune / "elsewhere" / "dune.tif")
        record = json.loads((dune / "tiles" / "provenance.json").read_text())
        (dune / "tiles" / "provenance.json").write_text(json.dumps({**record, "inputs": {"dune.tif": {}}}))
        assert self.found(open_folder(dune / "tiles")) == {"dune.tif": dune / "elsewhere" / "dune.tif"}

    def test_but_not_within_the_folder_which_may_be_anybodys(self, dune):
        shutil.move(dune / "dune.tif", dune / "tiles" / "dune.tif")
        record = json.loads((dune / "tiles" / "provenance.json").read_text())
        for name in ("tiles/dune.tif", "x" * 5000, "\0"):
            (dune / "tiles" / "provenance.json").write_text(json.dumps({**record, "inputs": {name: {}}}))
            assert self.found(open_folder(dune / "tiles")) == {}

    def test_where_the_user_says(self, dune):
        shutil.copytree(dune / "tiles", dune / "a" / "tiles")
        (dune / "a" / "tiles" / "provenance.json").unlink()
        folder = open_folder(dune / "a" / "tiles")
        assert self.found(folder) == {}
        assert (
            self.found(folder, imagery=dune) == self.found(folder, imagery=dune / "dune.tif") == {"dune.tif": dune / "dune.tif"}
        )

    def test_among_the_images_of_the_survey(self, dune):
        shutil.copytree(dune / "tiles", dune / "a" / "tiles")
        (dune / "a" / "tiles" / "provenance.json").unlink()
        (dune / "a" / "survey.toml").write_text('name = "a"\n[[sites]]\nname = "dune"\nimage = "../dune.tif"\n')
        assert self.found(open_folder(dune / "a" / "tiles")) == {"dune.tif": dune / "dune.tif"}

    def test_beside_the_folder(self, folder, dune):
        (dune / "tiles" / "provenance.json").write_text("{")
        assert self.found(folder) == {"dune.tif": dune / "dune.tif"}

    def test_of_a_dataset_where_that_of_its_tiles_says(self, dune):
        build_dataset(dune / "tiles", dune / "out" / "dataset", DatasetOptions(group_column="plot", buffer_m=0.0))
        assert self.found(open_folder(dune / "out" / "dataset")) == {"dune.tif": dune / "dune.tif"}

    def test_nowhere_that_the_user_says(self, folder, dune):
        (dune / "empty").mkdir()
        with pytest.raises(InputError, match=r"empty has none of the images that the tiles were cut from \(dune\.tif\)"):
            find_site_images(folder, dune / "empty")

    def test_an_image_that_was_placed_by_markers_is_not_used(self, folder, dune):
        record = json.loads((dune / "tiles" / "provenance.json").read_text())
        record["parameters"]["plots"]["gcp"] = "gcps.csv"
        (dune / "tiles" / "provenance.json").write_text(json.dumps(record))
        assert find_site_images(folder) == {}

    def test_a_path_in_the_index_is_a_name(self, dune):
        (dune / "tiles" / "provenance.json").unlink()
        add_columns(dune / "tiles", source="../../etc/passwd")
        assert find_site_images(open_folder(dune / "tiles")) == {}


def test_tiles_of_plots_are_upright_in_their_surroundings(tmp_path, make_tif, look):
    rng = np.random.default_rng(1)
    site = np.clip(128 + 900 * cv2.GaussianBlur(rng.normal(0, 1, (400, 400, 3)).astype(np.float32), (0, 0), 9), 0, 255)
    make_tif(tmp_path / "dune.tif", np.moveaxis(site.astype(np.uint8), -1, 0))
    corners = np.array([(1.5, 1.2), (2.7, 1.5), (2.4, 2.7), (1.2, 2.4)]) * (1, -1) + CORNER
    rows = [f"1,{name},{x},{y}" for name, (x, y) in zip(("NW", "NE", "SE", "SW"), corners, strict=True)]
    (tmp_path / "plots.csv").write_text("\n".join(["plot,corner,easting,northing", *rows]))
    plots = PlotOptions(file=tmp_path / "plots.csv", rows=1, columns=1)
    options = TileOptions(size_px=50, plots=plots, points_crs="EPSG:32612")
    tile_images([tmp_path / "dune.tif"], tmp_path / "tiles", options)
    folder = open_folder(tmp_path / "tiles")
    for tile in folder.tiles:
        found, _ = look(folder, tile)
        assert np.abs(found[50:100, 50:100] - TilePictures(folder).pixels(tile)).mean() < 3
    (tmp_path / "dune.tif").unlink()
    found, origin = look(folder, folder.tiles[0])
    assert origin == "tiles of this folder"
    assert np.abs(found[50:100, 50:100] - TilePictures(folder).pixels(folder.tiles[0])).mean() < 3
