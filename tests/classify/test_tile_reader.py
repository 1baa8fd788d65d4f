import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from spurgekit.classify.tile_reader import TileKind, batches, mark_missing, read_batch, read_tile
from spurgekit.errors import InputError
from spurgekit.tiles import TileOptions, tile_images

NAN = np.nan
MASK = np.array([[True, True], [False, True]])


def pixels_of(bands, dtype, size=2):
    """Numbers that differ between all pixels and bands, none of them 0."""
    return (1 + np.arange(bands * size * size)).reshape(bands, size, size).astype(dtype)


def cut(folder, image, size_px=2, **options):
    """Tile an image into one tile, as the command does, and return its path."""
    tile_images([image], folder, TileOptions(size_px=size_px, **options))
    (path,) = folder.glob("*_r00000_c00000.*")
    return path


def refused(path):
    with pytest.raises(InputError) as caught:
        read_tile(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestTilesOfOurs:
    """What ``spurgekit tile`` writes is read back, whatever it is made of."""

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    @pytest.mark.parametrize("bands", [1, 2, 3, 4, 5, 11])
    def test_any_bands(self, tmp_path, make_tif, bands, dtype):
        pixels = pixels_of(bands, dtype)
        path = cut(tmp_path / "tiles", make_tif(tmp_path / "a.tif", pixels, photometric="minisblack"))
        assert path.suffix == (".png" if bands in (1, 3) and dtype != "float32" else ".tif")
        found = read_tile(path)
        assert found.dtype == dtype
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, pixels)

    @pytest.mark.parametrize("file_format", ["auto", "tif"])
    @pytest.mark.parametrize(
        ("bands", "dtype", "missing"), [(3, "uint8", 0), (3, "uint16", 0), (5, "uint16", 0), (5, "float32", NAN)]
    )
    def test_without_data(self, tmp_path, make_tif, bands, dtype, missing, file_format):
        pixels = pixels_of(bands, dtype)
        path = cut(tmp_path / "tiles", make_tif(tmp_path / "a.tif", pixels, mask=MASK), file_format=file_format)
        np.testing.assert_array_equal(read_tile(path), np.where(MASK, pixels, missing))

    def test_beyond_the_image(self, tmp_path, make_tif):
        pixels = pixels_of(2, np.float32)
        found = read_tile(cut(tmp_path / "tiles", make_tif(tmp_path / "a.tif", pixels), size_px=3))
        np.testing.assert_array_equal(found, np.pad(pixels, ((0, 0), (0, 1), (0, 1)), constant_values=NAN))

    def test_an_elevation_of_0_is_data_and_a_declared_value_is_not(self, tmp_path, make_tif):
        elevation = np.array([[[0, -1.5], [-9999, 250.25]]], np.float32)
        found = read_tile(cut(tmp_path / "tiles", make_tif(tmp_path / "dem.tif", elevation, nodata=-9999)))
        np.testing.assert_array_equal(found, [[[0, -1.5], [NAN, 250.25]]])

    def test_a_band_that_is_no_number_takes_the_others_with_it(self, tmp_path, make_tif):
        pixels = pixels_of(3, np.float32)
        pixels[1, 0, 1] = NAN
        found = read_tile(cut(tmp_path / "tiles", make_tif(tmp_path / "a.tif", pixels)))
        assert np.isnan(found).sum(axis=(1, 2)).tolist() == [1, 1, 1]
        assert np.isnan(found[:, 0, 1]).all()


class TestTilesOfOthers:
    """Folders of images that were made elsewhere."""

    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    def test_an_alpha_band_is_no_band(self, tmp_path, dtype):
        pixels = pixels_of(3, dtype)
        cv2.imwrite(str(tmp_path / "a.png"), np.dstack([*pixels[::-1], np.where(MASK, np.iinfo(dtype).max, 0).astype(dtype)]))
        np.testing.assert_array_equal(read_tile(tmp_path / "a.png"), np.where(MASK, pixels, 0))

    def test_nor_is_that_of_a_geotiff(self, tmp_path, make_tif):
        pixels = pixels_of(3, np.uint8)
        colours = ("red", "green", "blue", "alpha")
        path = make_tif(tmp_path / "a.TIFF", np.array([*pixels, np.where(MASK, 255, 0)], np.uint8), colours=colours)
        np.testing.assert_array_equal(read_tile(path), np.where(MASK, pixels, 0))

    @pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32", "float64"])
    def test_other_types_become_float32(self, tmp_path, make_tif, dtype):
        values = (
            np.array([[[0, 2], [-99, 100]], [[7, 6], [-99, 4]]]) if dtype != "uint32" else np.array([[[0, 2], [99, 1 << 24]]])
        )
        nodata = 99 if dtype == "uint32" else -99
        found = read_tile(make_tif(tmp_path / "a.tif", values.astype(dtype), nodata=nodata))
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, np.where(values == nodata, NAN, values))

    def test_whole_numbers_that_float32_cannot_hold(self, tmp_path, make_tif):
        path = make_tif(tmp_path / "a.tif", np.array([[[1, (1 << 24) + 1]]], np.int32))
        assert (
            refused(path) == f"{path} holds int32 with values that float32 cannot hold; convert it to uint8, uint16 or float32"
        )

    def test_unless_they_stand_for_no_data(self, tmp_path, make_tif):
        lowest = np.iinfo(np.int32).min + 1
        path = make_tif(tmp_path / "a.tif", np.array([[[1, lowest]]], np.int32), nodata=lowest)
        np.testing.assert_array_equal(read_tile(path), [[[1, NAN]]])

    def test_complex_numbers(self, tmp_path, make_tif):
        assert "holds complex64 with values that float32 cannot hold" in refused(
            make_tif(tmp_path / "a.tif", np.ones((1, 2, 2), np.complex64))
        )

    def test_a_description_of_other_files_that_is_called_a_tile(self, tmp_path):
        transform = Affine(0.01, 0, 500_000, 0, -0.01, 5_000_000)
        parts = [tmp_path / "a.tif", tmp_path / "b.tif"]
        for path, dtype in zip(parts, ("uint8", "uint16"), strict=True):
            with rasterio.open(
                path, "w", driver="GTiff", width=2, height=2, count=1, dtype=dtype, crs="EPSG:32612", transform=transform
            ) as file:
                file.write(np.ones((1, 2, 2), dtype))
        bands = "".join(
            f'<VRTRasterBand dataType="{kind}" band="{i}"><SimpleSource><SourceFilename>{path}</SourceFilename>'
            "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
            for i, (path, kind) in enumerate(zip(parts, ("Byte", "UInt16"), strict=True), start=1)
        )
        (tmp_path / "both.tif").write_text(f'<VRTDataset rasterXSize="2" rasterYSize="2">{bands}</VRTDataset>')
        assert "both.tif is no GeoTIFF, PNG, JPEG or WebP" in refused(tmp_path / "both.tif")

    @pytest.mark.parametrize("name", ["a.png", "a.tif"])
    def test_a_palette_is_its_colours(self, tmp_path, name):
        picture = Image.new("P", (3, 3), 1)
        picture.putpalette([0, 0, 0, 30, 60, 90])
        picture.putpixel((0, 0), 0)
        picture.save(tmp_path / name)
        tile = read_tile(tmp_path / name)
        assert (tile.shape, tile.dtype) == ((3, 3, 3), np.uint8)
        assert tile[:, 1, 1].tolist() == [30, 60, 90]
        assert tile[:, 0, 0].tolist() == [0, 0, 0]

    def test_less_than_half_opaque_is_no_data(self, tmp_path):
        picture = Image.new("RGBA", (2, 1), (9, 9, 9, 127))
        picture.putpixel((1, 0), (9, 9, 9, 128))
        picture.save(tmp_path / "a.png")
        assert read_tile(tmp_path / "a.png")[:, 0].T.tolist() == [[0, 0, 0], [9, 9, 9]]

    def test_one_that_is_too_large_is_not_decoded(self, tmp_path):
        Image.new("1", (9_000, 9_000)).save(tmp_path / "a.png")
        assert "a.png is 9,000 x 9,000 px, and tiles are up to 8,192 x 8,192 px" in refused(tmp_path / "a.png")

    def test_large_tiles_come_in_smaller_batches(self, tmp_path, monkeypatch):
        monkeypatch.setattr("spurgekit.classify.tile_reader.BATCH_BYTES", 100)
        paths = [tmp_path / f"{i}.png" for i in range(5)]
        for i, path in enumerate(paths):
            Image.new("L", (7, 7), i).save(path)
        got = list(batches(paths, 4))
        assert [len(batch) for batch in got] == [2, 2, 1]
        assert np.concatenate(got)[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]


class TestDamage:
    @pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
    def test_missing(self, tmp_path, name):
        assert refused(tmp_path / name) == f"{tmp_path / name}: no such file; the dataset lists it: build it again"

    @pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
    @pytest.mark.parametrize("content", [b"", b"hello", bytes(100)])
    def test_something_else(self, tmp_path, name, content):
        (tmp_path / name).write_bytes(content)
        assert name in refused(tmp_path / name)

    @pytest.mark.parametrize("dtype", ["uint16", "float32", "int16"])
    def test_a_geotiff_that_was_cut_off(self, tmp_path, make_tif, dtype):
        rng = np.random.default_rng(0)
        path = make_tif(tmp_path / "a.tif", rng.integers(1, 30_000, (5, 64, 64)).astype(dtype), compress="deflate")
        path.write_bytes(path.read_bytes()[:20_000])
        assert "was cut off" in refused(path)


class TestMarking:
    @pytest.mark.parametrize(("dtype", "missing"), [("uint8", 0), ("uint16", 0), ("float32", NAN)])
    def test_in_place(self, dtype, missing):
        pixels = pixels_of(2, dtype)
        mark_missing(pixels, MASK)
        np.testing.assert_array_equal(pixels, np.where(MASK, pixels_of(2, dtype), missing))


class TestKind:
    def test_of_a_tile_and_of_a_batch(self):
        assert TileKind.of(np.zeros((5, 2, 2), np.uint16)) == TileKind(5, "uint16")
        assert TileKind.of(np.zeros((9, 4, 2, 2), np.float32)) == TileKind(4, "float32")


class TestBatches:
    @pytest.fixture
    def tiles(self, tmp_path, make_tif):
        """Seven tiles of five floats."""
        return [make_tif(tmp_path / f"{i}.tif", i + pixels_of(5, np.float32)) for i in range(7)]

    @pytest.mark.parametrize("ahead", [True, False])
    def test_are_full_but_for_the_last(self, tiles, ahead):
        found = list(batches(tiles, 3, ahead=ahead))
        assert [len(batch) for batch in found] == [3, 3, 1]
        assert {batch.dtype.name for batch in found} == {"float32"}
        np.testing.assert_array_equal(np.concatenate(found), np.stack([read_tile(path) for path in tiles]))

    def test_of_nothing(self):
        assert list(batches([], 3)) == []

    @pytest.mark.parametrize(
        ("pixels", "says"),
        [
            (
                pixels_of(5, np.float32, size=3),
                r"odd\.tif is 3 x 3 px, others 2 x 2 \(such as 0\.tif\); tile all images with one",
            ),
            (pixels_of(4, np.float32), r"odd\.tif has 4 bands of float32, others 5 of float32 \(such as 0\.tif\); tile all"),
            (
                pixels_of(5, np.uint16),
                r"odd\.tif has 5 bands of uint16, others 5 of float32 \(such as 0\.tif\); tile all images",
            ),
            (pixels_of(1, np.uint8), r"odd\.tif has 1 band of uint8, others 5 of float32 \(such as 0\.tif\); tile all images"),
        ],
    )
    @pytest.mark.parametrize("place", [1, 3, 7])  # within a batch, as the first of one, and as a batch of its own
    def test_all_tiles_are_alike(self, tiles, tmp_path, make_tif, pixels, says, place):
        tiles.insert(place, make_tif(tmp_path / "odd.tif", pixels, photometric="minisblack"))
        with pytest.raises(InputError, match=says) as caught:
            list(batches(tiles, 3))
        assert "\n" not in str(caught.value)


def test_a_batch_is_of_tiles_like_the_first_one_of_all(tmp_path):
    for name, side in (("first", 8), ("second", 8), ("other", 9)):
        Image.new("RGB", (side, side)).save(tmp_path / f"{name}.png")
    assert read_batch([tmp_path / "second.png"] * 2, tmp_path / "first.png").shape == (2, 3, 8, 8)
    with pytest.raises(InputError, match=r"other\.png is 9 x 9 px, others 8 x 8 \(such as first\.png\)"):
        read_batch([tmp_path / "other.png"], tmp_path / "first.png")
