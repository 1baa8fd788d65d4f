from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from PIL import Image

from spurgekit.dataset import open_dataset
from spurgekit.errors import InputError
from spurgekit.pretrain.ground_sources import gather_ground, whole_tiles
from spurgekit.pretrain.pretrain_options import PretrainOptions
from spurgekit.tiles import TileOptions, tile_images


def options(**given):
    return PretrainOptions(**{"tile_px": 16, **given})


def noise(bands, height, width, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(1, 250, (bands, height, width)).astype(dtype)


@pytest.fixture
def site(tmp_path, make_tif):
    """640 x 320 px: 10 x 5 pieces of 4 x 4 tiles of 16 px, in 5 x 3 blocks."""
    return make_tif(tmp_path / "north-dune.tif", noise(3, 320, 640))


def refuse(sources, **given):
    with pytest.raises(InputError) as caught:
        gather_ground(sources, options(**given))
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestOrthomosaics:
    def test_blocks_are_held_out_as_a_whole(self, site):
        ground = gather_ground([site], options(held_out=0.2))
        assert ground.training_tiles + ground.held_out_tiles == 40 * 20
        pieces = [piece.id for piece in (*ground.training, *ground.held_out)]
        assert len(set(pieces)) == len(pieces) == 50

        def block(piece):
            row, column = piece.id.split("_r")[1].split("_c")
            return int(row) // 2, int(column) // 2

        assert len({block(piece) for piece in ground.held_out}) == 3  # of 15
        assert not {block(piece) for piece in ground.held_out} & {block(piece) for piece in ground.training}
        assert {piece.place for piece in ground.training} == {"north dune"}
        assert {piece.origins for piece in ground.training} == {49 * 49}

    def test_pixels_are_those_of_the_image(self, site):
        ground = gather_ground([site], options(held_out=0.0))
        assert ground.notes == ("no place is held out, so that the model is not judged",)
        pixels = noise(3, 320, 640).transpose(1, 2, 0)
        tiles = whole_tiles(ground.training[:2], 16)
        assert len(tiles) == 32
        assert np.array_equal(tiles[0], pixels[:16, :16])
        assert np.array_equal(tiles[-1], pixels[48:64, 112:128])

    def test_nothing_without_data_is_learned_from(self, tmp_path, make_tif):
        pixels = noise(3, 128, 256)
        alpha = np.full((1, 128, 256), 255, np.uint8)
        alpha[:, :, 100:] = 0
        site = make_tif(tmp_path / "edge.tif", np.concatenate([pixels, alpha]), colours=("red", "green", "blue", "alpha"))
        ground = gather_ground([site], options(held_out=0.0))
        assert ground.training_tiles == 8 * 6  # of 16 px, in the first 100 columns
        assert [piece.origins for piece in ground.training] == [49 * 49, 49 * (36 - 15)] * 2  # the second has 36 columns

    def test_the_seed_chooses_what_is_held_out(self, site):
        first, again, other = (
            tuple(piece.id for piece in gather_ground([site], options(seed=seed)).held_out) for seed in (0, 0, 1)
        )
        assert first == again != other

    def test_too_little_ground(self, tmp_path, make_tif):
        small = make_tif(tmp_path / "small.tif", noise(3, 64, 96))
        assert refuse([small], held_out=0.0) == (
            "there are 24 whole tiles of 16 px to learn from, of 24; it takes 32 at least, and hundreds to be of use: name "
            "more ground, or pass a smaller `tile_px` or `held_out`"
        )

    def test_too_little_to_judge_by(self, tmp_path, make_tif):
        site = make_tif(tmp_path / "strip.tif", noise(3, 48, 16 * 8 * 3 + 16))  # the last block has 3 tiles
        found = {gather_ground_or_message([site], seed) for seed in range(12)}
        assert any("there are 3 whole tiles to judge by" in said for said in found)

    def test_of_two_scales(self, tmp_path, make_tif, site):
        other = make_tif(tmp_path / "high.tif", noise(3, 64, 64), gsd=0.02)
        said = refuse([site, other])
        assert said == f"{site} has 0.01 m a pixel, and {other} 0.02 m; pass `gsd_m` to resample all of them"
        assert gather_ground([site, other], options(gsd_m=0.02)).tile_px == 16

    @pytest.mark.parametrize(
        ("bands", "dtype", "said"), [(5, np.uint8, "5 bands of uint8"), (3, np.uint16, "3 bands of uint16")]
    )
    def test_of_other_bands(self, tmp_path, make_tif, bands, dtype, said):
        site = make_tif(tmp_path / "multi.tif", noise(bands, 64, 64, dtype))
        assert f"{said}; diffusion models paint 3 of uint8: name red, green and blue as `bands`" in refuse([site])

    def test_bands_that_are_named(self, tmp_path, make_tif):
        site = make_tif(tmp_path / "multi.tif", noise(5, 128, 128))
        ground = gather_ground([site], options(bands=(3, 2, 1), held_out=0.0))
        assert np.array_equal(
            whole_tiles(ground.training[:1], 16)[0], noise(5, 128, 128)[[2, 1, 0], :16, :16].transpose(1, 2, 0)
        )

    def test_ground_to_go_without(self, tmp_path, site):
        """A square of 1 x 1 m, 10 px into the second tile of the second piece, is neither learned from nor judged by."""
        left, top = 500_000.0 + 0.01 * (64 + 26), 5_000_000.0 - 0.01 * 26
        square = shapely.box(left, top - 0.1, left + 0.1, top).buffer(-0.002)  # pixels of it, and no others
        gpd.GeoDataFrame(geometry=[square], crs="EPSG:32612").to_file(tmp_path / "test.gpkg")
        ground = gather_ground([site], options(without=tmp_path / "test.gpkg", held_out=0.0))
        assert ground.training_tiles == 40 * 20 - 4  # pixels 26 to 36 of the piece touch tiles 1 and 2 both ways
        origins = [piece.origins for piece in ground.training]
        # Crops of 16 px that touch columns 26 to 35 begin at 11 to 35.
        assert origins[1] == 49 * 49 - 25 * 25
        assert set(origins[:1] + origins[2:]) == {49 * 49}

    def test_ground_to_go_without_whose_file_says_no_crs(self, tmp_path, site):
        square = shapely.box(500_000, 4_999_999.5, 500_000.5, 5_000_000)
        gpd.GeoDataFrame(geometry=[square]).to_file(tmp_path / "test.gpkg")
        assert "does not say its CRS; pass `without_crs`" in refuse([site], without=tmp_path / "test.gpkg")
        found = gather_ground([site], options(without=tmp_path / "test.gpkg", without_crs="EPSG:32612", held_out=0.0))
        assert found.training_tiles < 40 * 20

    def test_ground_to_go_without_that_is_elsewhere(self, tmp_path, site):
        gpd.GeoDataFrame(geometry=[shapely.box(500_100, 4_999_000, 500_101, 4_999_001)], crs="EPSG:32612").to_file(
            tmp_path / "test.gpkg"
        )
        assert "touches none of the images; check its CRS (`without_crs`)" in refuse([site], without=tmp_path / "test.gpkg")

    def test_nothing_at_all(self, tmp_path):
        assert refuse([]) == "there is nothing to learn from; name orthomosaics, or a folder of tiles"
        assert "no such file" in refuse([tmp_path / "no.tif"])


def gather_ground_or_message(sources, seed):
    try:
        return str(gather_ground(sources, options(seed=seed)).held_out_tiles)
    except InputError as error:
        return str(error)


@pytest.fixture
def tiles(tmp_path, site):
    tile_images([site], tmp_path / "tiles", TileOptions(layout="grid", size_px=16))
    return tmp_path / "tiles"


class TestTiles:
    def test_blocks_of_ground_are_held_out(self, tiles):
        ground = gather_ground([tiles], options(held_out=0.2))
        assert ground.tile_px == 16
        assert ground.training_tiles + ground.held_out_tiles == 40 * 20
        assert 100 < ground.held_out_tiles < 250
        assert {piece.place for piece in ground.training} == {"north dune"}

    def test_tiles_that_overlap_held_out_ones_are_left_out(self, tmp_path, site):
        tile_images([site], tmp_path / "overlapping", TileOptions(layout="grid", size_px=16, overlap_px=8))
        ground = gather_ground([tmp_path / "overlapping"], options())
        assert any("left out that share ground with held-out ones" in note for note in ground.notes)

        def corner(piece):
            row, column = piece.id.split("_r")[1].split("_c")
            return 8 * int(row), 8 * int(column)

        held = {corner(piece) for piece in ground.held_out}
        assert not any(
            (row + dr, col + dc) in held for row, col in map(corner, ground.training) for dr in (-8, 0, 8) for dc in (-8, 0, 8)
        )

    def test_a_column_says_the_places(self, chain):
        ground = gather_ground([chain.dataset], PretrainOptions(leave_out="label", held_out=0.5))
        names = [{piece.id for piece in pieces} for pieces in (ground.training, ground.held_out)]
        data = open_dataset(chain.dataset)
        rows = pd.concat([data.split("train"), data.split("test")])
        assert sorted(map(sorted, names)) == sorted(sorted(of["tile_id"]) for _, of in rows.groupby("class"))

    def test_a_column_that_is_not_there(self, tiles):
        said = refuse([tiles], leave_out="plot")
        assert said.startswith("tiles have no column 'plot' with a place for each; there are tile_id, file_name, site")

    def test_a_dataset_is_judged_by_its_own_test_tiles(self, chain):
        ground = gather_ground([chain.dataset], PretrainOptions())
        assert {piece.id for piece in ground.held_out} == set(open_dataset(chain.dataset).split("test")["tile_id"])
        assert {piece.id for piece in ground.training} <= set(open_dataset(chain.dataset).split("train")["tile_id"])

    def test_tiles_with_gaps_are_left_out(self, tmp_path, make_tif):
        pixels = noise(3, 160, 160)
        pixels[:, :10, :10] = 0
        site = make_tif(tmp_path / "gap.tif", pixels, nodata=0)
        tile_images([site], tmp_path / "gaps", TileOptions(layout="grid", size_px=16))
        ground = gather_ground([tmp_path / "gaps"], options(held_out=0.0))
        assert ground.training_tiles == 99
        assert "1 tile of gaps with pixels without data left out" in ground.notes

    def test_a_folder_of_images(self, tmp_path):
        folder = tmp_path / "images"
        folder.mkdir()
        for number in range(100):
            Image.fromarray(noise(3, 20, 20, seed=number).transpose(1, 2, 0)).save(folder / f"{number:02d}.png")
        ground = gather_ground([folder], options())
        assert (ground.tile_px, ground.training_tiles, ground.held_out_tiles) == (20, 80, 20)

    def test_black_of_images_is_data(self, tmp_path):
        pixels = np.full((20, 20, 3), 200, np.uint8)
        pixels[4:9] = 0
        for number in range(48):
            Image.fromarray(pixels).save(tmp_path / f"{number:02d}.png")
        (tile, *_) = whole_tiles(gather_ground([tmp_path], options(held_out=0.0)).training[:1], 20)
        assert np.array_equal(tile, pixels)

    def test_of_several_sizes(self, tmp_path, tiles, site):
        tile_images([site], tmp_path / "large", TileOptions(layout="grid", size_px=32))
        said = refuse([tiles, tmp_path / "large"])
        assert said == (
            "tiles are not squares of one size (800 of 16 x 16 px, 200 of 32 x 32 px); tile again with one `size_px`"
        )

    def test_of_several_scales(self, tmp_path, tiles, site):
        tile_images([site], tmp_path / "coarse", TileOptions(layout="grid", size_px=16, gsd_m=0.02))
        assert "has 0.01 m a pixel, and" in refuse([tiles, tmp_path / "coarse"])

    def test_of_other_bands(self, tmp_path, make_tif):
        site = make_tif(tmp_path / "multi.tif", noise(5, 128, 128))
        tile_images([site], tmp_path / "multi", TileOptions(layout="grid", size_px=16))
        assert "5 bands of uint8; diffusion models paint 3 bands of uint8: tile with `bands=(1, 2, 3)`" in refuse(
            [tmp_path / "multi"]
        )

    def test_with_images(self, tiles, site):
        assert refuse([tiles, site]).startswith("images and folders of tiles cannot be mixed")

    def test_options_of_images(self, tiles):
        assert refuse([tiles], gsd_m=0.02) == "`gsd_m` is for images, and these are folders of tiles; leave it out"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"held_out": 1.0}, "`held_out=1` is no share below 1; pass e.g. 0.2"),
        ({"samples": 8}, "`samples=8` are too few to compare; pass 32 or more"),
        ({"tile_px": 8}, "`tile_px=8` is too small; pass 16 or more"),
        ({"gsd_m": 0.0}, "`gsd_m=0.0` is no ground sample distance"),
        ({"judge_weights": Path("x")}, "`judge_weights` are of a model of timm; name it as `judge_backbone`"),
    ],
)
def test_options_that_cannot_be(given, said):
    with pytest.raises(InputError) as caught:
        PretrainOptions(**given)
    assert said in str(caught.value)
