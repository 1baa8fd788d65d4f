"""Tiles of all kinds as pictures, and files that are none."""

import io

import geopandas as gpd
import numpy as np
import pytest
from PIL import Image

from spurgekit.errors import InputError
from spurgekit.review import open_folder
from spurgekit.review.tile_pictures import TilePictures
from spurgekit.tiles import TileOptions, tile_images
from tests.review import SIDE_PX
from tests.tiles import ramp


@pytest.fixture
def pictures(folder):
    return TilePictures(folder)


def decode(picture):
    return np.asarray(Image.open(io.BytesIO(picture.data)))


def cut(tmp_path, site, **options):
    tile_images([site], tmp_path / "tiles", TileOptions(size_px=SIDE_PX, layout="grid", **options))
    folder = open_folder(tmp_path / "tiles")
    return folder, TilePictures(folder)


class TestPicture:
    def test_a_png_is_sent_as_it_is(self, folder, pictures):
        picture = pictures.picture(folder.tiles[0])
        assert (picture.data, picture.media_type) == (folder.tiles[0].path.read_bytes(), "image/png")

    def test_a_jpeg_is_sent_as_it_is(self, tmp_path, make_tif):
        folder, pictures = cut(tmp_path, make_tif(tmp_path / "site.tif", ramp(3, SIDE_PX, SIDE_PX)), file_format="jpg")
        picture = pictures.picture(folder.tiles[0])
        assert (picture.data, picture.media_type) == (folder.tiles[0].path.read_bytes(), "image/jpeg")

    def test_of_many_bands_the_first_three(self, tmp_path, make_tif):
        site = ramp(5, SIDE_PX, SIDE_PX)
        folder, pictures = cut(tmp_path, make_tif(tmp_path / "site.tif", site))
        assert folder.tiles[0].path.suffix == ".tif"
        picture = pictures.picture(folder.tiles[0])
        assert picture.media_type == "image/png"
        assert (decode(picture) == np.moveaxis(site[:3], 0, -1)).all()

    def test_of_two_bands_the_first_as_grey(self, tmp_path, make_tif):
        site = ramp(2, SIDE_PX, SIDE_PX)
        folder, pictures = cut(tmp_path, make_tif(tmp_path / "site.tif", site))
        assert (decode(pictures.picture(folder.tiles[0])) == site[0][..., None]).all()

    @pytest.mark.parametrize("dtype", ["uint16", "float32"])
    @pytest.mark.parametrize("bands", [1, 3, 5])
    def test_other_types_are_stretched_alike_in_all_tiles(self, tmp_path, make_tif, dtype, bands):
        # A dark tile and a bright one: each has values of its own, which a stretch of its own would make alike.
        site = np.zeros((bands, SIDE_PX, 2 * SIDE_PX))
        site[..., :SIDE_PX] = np.linspace(1000, 2000, SIDE_PX)
        site[..., SIDE_PX:] = np.linspace(3000, 4000, SIDE_PX)
        scale = 1 if dtype == "uint16" else 1e-4
        folder, pictures = cut(tmp_path, make_tif(tmp_path / "site.tif", (scale * site).astype(dtype)))
        dark, bright = (decode(pictures.picture(tile)).astype(int) for tile in folder.tiles)
        assert dark.shape == (SIDE_PX, SIDE_PX, 3)
        assert (dark.min(), bright.max()) == (0, 255)
        assert dark.max() < 100 < 150 < bright.min()

    def test_what_has_no_data_is_transparent(self, tmp_path, make_tif):
        site = np.linspace(0, 1, 5 * SIDE_PX * SIDE_PX).reshape(5, SIDE_PX, SIDE_PX).astype(np.float32)
        site[:, :8] = np.nan
        folder, pictures = cut(tmp_path, make_tif(tmp_path / "site.tif", site))
        alpha = decode(pictures.picture(folder.tiles[0]))[..., 3]
        assert (alpha[:8] == 0).all()
        assert (alpha[8:] == 255).all()


class TestThumbnail:
    def test_is_no_larger_than_asked(self, tmp_path, make_tif):
        site = make_tif(tmp_path / "site.tif", np.full((3, 200, 200), 90, np.uint8))
        tile_images([site], tmp_path / "tiles", TileOptions(size_px=200, layout="grid"))
        folder = open_folder(tmp_path / "tiles")
        picture = TilePictures(folder).thumbnail(folder.tiles[0], 128)
        assert picture.media_type == "image/jpeg"
        assert decode(picture).shape == (128, 128, 3)
        assert np.abs(decode(picture).astype(int) - 90).max() <= 2

    def test_a_small_tile_is_its_own(self, folder, pictures):
        assert pictures.thumbnail(folder.tiles[0], 128).data == folder.tiles[0].path.read_bytes()


class TestTrouble:
    def refused(self, folder, pictures, match):
        for ask in (pictures.picture, pictures.pixels, lambda tile: pictures.thumbnail(tile, 128)):
            with pytest.raises(InputError, match=match):
                ask(folder.tiles[0])

    def test_a_missing_tile(self, folder, pictures):
        folder.tiles[0].path.unlink()
        self.refused(folder, pictures, "is missing; make the tiles again")

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: data[: len(data) // 2],
            lambda data: data[:-100],
            lambda data: data[:30],
            lambda data: data[:60] + b"spurge",
        ],
    )
    def test_a_damaged_png(self, folder, pictures, damage):
        path = folder.tiles[0].path
        path.write_bytes(damage(path.read_bytes()))
        self.refused(folder, pictures, "cannot be decoded; it is damaged or was cut off")

    def test_a_jpeg_that_was_cut_off(self, folder, pictures):
        file = io.BytesIO()
        Image.fromarray(np.moveaxis(ramp(3, 64, 64), 0, -1)).save(file, "JPEG")
        folder.tiles[0].path.write_bytes(file.getvalue()[:-200])
        self.refused(folder, pictures, "cannot be decoded")

    @pytest.mark.parametrize("content", [b"", b"hello", b"GIF89a", b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
    def test_a_file_of_something_else(self, folder, pictures, content):
        folder.tiles[0].path.write_bytes(content)
        self.refused(folder, pictures, "is no GeoTIFF, PNG, JPEG or WebP")

    def test_a_geotiff_that_was_cut_off(self, tmp_path, make_tif):
        noise = np.random.default_rng(0).integers(0, 255, (5, SIDE_PX, SIDE_PX), np.uint8)
        folder, pictures = cut(tmp_path, make_tif(tmp_path / "site.tif", noise))
        path = folder.tiles[0].path
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        self.refused(folder, pictures, "cut off")

    def test_one_damaged_tile_does_not_keep_others_from_their_stretch(self, tmp_path, make_tif):
        noise = np.random.default_rng(0).integers(0, 4000, (3, SIDE_PX, 3 * SIDE_PX), np.uint16)
        folder, pictures = cut(tmp_path, make_tif(tmp_path / "site.tif", noise))
        folder.tiles[0].path.write_bytes(b"")
        assert decode(pictures.picture(folder.tiles[1])).max() == 255


class TestOutside:
    """Nothing outside of the folder is shown, whatever its index says."""

    @pytest.fixture
    def secret(self, dune):
        secret = dune / "secret.png"
        secret.write_bytes((dune / "tiles" / "overview.png").read_bytes())
        return secret

    def test_a_link(self, folder, pictures, secret):
        path = folder.tiles[0].path
        path.unlink()
        path.symlink_to(secret)
        with pytest.raises(InputError, match="lies outside tiles, and is not shown"):
            pictures.picture(folder.tiles[0])

    @pytest.mark.usefixtures("secret")
    @pytest.mark.parametrize("name", ["../secret.png", "{dune}/secret.png"])
    def test_a_path_in_the_index(self, dune, name):
        path = dune / "tiles" / "tiles.parquet"
        index = gpd.read_parquet(path)
        index.loc[0, "file_name"] = name.format(dune=dune)
        index.to_parquet(path)
        with pytest.raises(InputError, match=r"file_name of row 1 is .*, not a path within the folder"):
            open_folder(dune / "tiles")

    def test_a_link_within_the_folder(self, folder, pictures):
        first, second = folder.tiles[:2]
        first.path.unlink()
        first.path.symlink_to(second.path)
        assert pictures.picture(first).data == second.path.read_bytes()
