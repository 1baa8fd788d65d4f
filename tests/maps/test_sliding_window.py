import numpy as np
import pytest
from affine import Affine

from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid, Window, open_raster
from spurgekit.maps import Sliding, slide
from tests.maps.brightness import brightness_model, p_bright

GRID = PixelGrid(10, 7, Affine(0.01, 0, 500_000, 0, -0.01, 5_000_000))


def run(path, sliding_px, **options):
    """The whole map as one array: (classes, rows, columns)."""
    tile_px, stride_px = sliding_px
    with open_raster(path) as raster:
        sliding = Sliding(raster.grid, tile_px, stride_px)
        model = brightness_model(tile_px, bands=len(raster.bands), dtype=raster.dtype.name)
        runs = list(slide(raster, model, sliding, **options))
        whole = np.full((2, sliding.cells.height, sliding.cells.width), -1, np.float32)
        for row, found, _ in runs:
            whole[:, row : row + found.shape[1]] = found
    return whole


class TestGeometry:
    def test_a_cell_is_a_tile(self):
        sliding = Sliding(GRID, 4, 4)
        assert (sliding.cells.width, sliding.cells.height) == (3, 2)  # 10 x 7 px: the last ones reach outside
        assert sliding.margin_px == 0
        assert sliding.tile(1, 2) == Window(8, 4, 4, 4)
        assert sliding.strip(Window(0, 0, 3, 2)) == Window(0, 0, 12, 8)
        assert sliding.cells.transform == Affine(0.04, 0, 500_000, 0, -0.04, 5_000_000)

    def test_a_tile_reaches_beyond_its_cell(self):
        sliding = Sliding(GRID, 6, 2)
        assert (sliding.cells.width, sliding.cells.height) == (5, 4)
        assert sliding.margin_px == 2
        assert sliding.tile(0, 0) == Window(-2, -2, 6, 6)
        assert sliding.tile(1, 2) == Window(2, 0, 6, 6)
        assert sliding.strip(Window(0, 1, 5, 2)) == Window(-4, -2, 18, 12)

    @pytest.mark.parametrize(("tile_px", "stride_px"), [(4, 4), (6, 2), (7, 3), (5, 1)])
    def test_a_tile_and_its_cell_have_one_centre(self, tile_px, stride_px):
        sliding = Sliding(GRID, tile_px, stride_px)
        for row, column in np.ndindex(sliding.cells.height, sliding.cells.width):
            tile = sliding.tile(row, column)
            of_tile = GRID.to_world((tile.col + tile.stop_col) / 2, (tile.row + tile.stop_row) / 2)
            of_cell = sliding.cells.to_world(column + 0.5, row + 0.5)
            assert np.ravel(of_tile) == pytest.approx(np.ravel(of_cell), abs=1e-9)

    def test_an_odd_difference_is_refused(self):
        with pytest.raises(InputError, match=r"a stride of 3 px would put cells half a pixel off .* tiles of 6 px; pass 4"):
            Sliding(GRID, 6, 3)

    @pytest.mark.parametrize("stride_px", [0, -2, 8])
    def test_a_stride_from_one_pixel_to_a_tile(self, stride_px):
        with pytest.raises(InputError, match=f"a stride of {stride_px} px does not go with tiles of 6 px; pass 1 to 6"):
            Sliding(GRID, 6, stride_px)


class TestProbabilities:
    FIELDS = np.kron([[60, 100, 140], [180, 20, 90]], np.ones((4, 4))).astype(np.uint8)[None]

    def test_one_for_each_field(self, tmp_path, make_tif):
        found = run(make_tif(tmp_path / "a.tif", self.FIELDS), (4, 4))
        expected = p_bright([[60, 100, 140], [180, 20, 90]])
        assert expected[0, 1] == 0.5
        assert found[1] == pytest.approx(expected, abs=1e-5)
        assert found[0] == pytest.approx(1 - expected, abs=1e-5)

    def test_cells_that_reach_outside_see_what_is_inside(self, tmp_path, make_tif):
        found = run(make_tif(tmp_path / "a.tif", self.FIELDS[:, :6, :10]), (4, 4), min_valid=0)
        assert found[1] == pytest.approx(p_bright([[60, 100, 140], [180, 20, 90]]), abs=1e-5)

    def test_a_tile_sees_beyond_its_cell(self, tmp_path, make_tif):
        image = np.random.default_rng(0).integers(1, 256, (14, 20)).astype(np.uint8)
        found = run(make_tif(tmp_path / "a.tif", image[None]), (6, 2))
        # Around the image nothing is seen: there a tile is moved until it lies on it.
        starts = [np.clip(2 * np.arange(cells) - 2, 0, side - 6) for cells, side in ((7, 14), (10, 20))]
        expected = [[image[top : top + 6, left : left + 6].mean() for left in starts[1]] for top in starts[0]]
        assert found[1] == pytest.approx(p_bright(expected), abs=1e-5)

    def test_at_a_slanting_rim_tiles_are_moved_onto_the_mosaic(self, tmp_path, make_tif):
        """Bright ground beside nothing; the mean of half a tile is known worse than that of a whole one."""
        rng = np.random.default_rng(3)
        image = rng.integers(60, 240, (1, 40, 40)).astype(np.uint8)
        inside = np.add.outer(np.arange(40), np.arange(40)) < 40
        path = make_tif(tmp_path / "a.tif", image, mask=inside)
        with open_raster(path) as raster:
            sliding = Sliding(raster.grid, 10, 2)
            _, valid = raster.read(sliding.strip(sliding.cells.window))
        i, j = np.nonzero(np.add.outer(np.arange(20), np.arange(20)) < 19)
        top, left = sliding.corners(valid, i, j)
        moved = (top != i * 2 + 4) | (left != j * 2 + 4)
        assert 0.1 < moved.mean() < 0.6
        assert ((top <= i * 2 + 8) & (i * 2 + 8 + 2 <= top + 10)).all()  # it still holds its cell
        assert ((left <= j * 2 + 8) & (j * 2 + 8 + 2 <= left + 10)).all()
        share = np.array([valid[a : a + 10, b : b + 10].mean() for a, b in zip(top, left, strict=True)])
        centred = np.array([valid[a : a + 10, b : b + 10].mean() for a, b in zip(i * 2 + 4, j * 2 + 4, strict=True)])
        assert (share[moved] > centred[moved]).all()
        assert share.min() > 0.7  # at the tips of the mosaic
        assert centred.min() < 0.6

    def test_three_bands(self, tmp_path, make_tif):
        image = np.stack([np.full((4, 4), value, np.uint8) for value in (30, 90, 240)])
        assert run(make_tif(tmp_path / "a.tif", image), (4, 4))[1].tolist() == [[pytest.approx(p_bright(120), abs=1e-5)]]

    @pytest.mark.parametrize("strip_bytes", [1, 2500, 10_000, 1 << 30])
    @pytest.mark.parametrize("batch_size", [1, 7, 64])
    def test_neither_strips_nor_batches_show(self, tmp_path, make_tif, monkeypatch, strip_bytes, batch_size):
        rng = np.random.default_rng(1)
        image = rng.integers(1, 256, (1, 61, 83)).astype(np.uint8)
        path = make_tif(tmp_path / "a.tif", image, mask=rng.random((61, 83)) < 0.6, tiled=True, blockxsize=16, blockysize=16)
        whole = run(path, (12, 8))
        assert 0 < np.isnan(whole).mean() < 0.5
        monkeypatch.setattr("spurgekit.maps.sliding_window.STRIP_BYTES", strip_bytes)
        np.testing.assert_array_equal(run(path, (12, 8), batch_size=batch_size), whole)

    def test_every_strip_is_shown_and_every_cell_counted(self, tmp_path, make_tif, monkeypatch):
        monkeypatch.setattr("spurgekit.maps.sliding_window.STRIP_BYTES", 1)
        seen, done = [], []

        class Count:
            def __init__(self, description, total):
                assert (description, total) == ("mapping a.tif", 6)

            def __enter__(self):
                return done.append

            def __exit__(self, *error):
                pass

        run(make_tif(tmp_path / "a.tif", self.FIELDS), (4, 4), watch=lambda window, *_: seen.append(window), progress=Count)
        assert seen == [Window(0, 0, 12, 4), Window(0, 4, 12, 4)]
        assert sum(done) == 6


class TestTypes:
    """uint16 and float32 go the way of bytes; what differs is how pixels without data are marked."""

    FIELDS = TestProbabilities.FIELDS

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    @pytest.mark.parametrize("bands", [1, 4, 5])
    def test_one_for_each_field(self, tmp_path, make_tif, bands, dtype):
        image = np.repeat(self.FIELDS, bands, axis=0).astype(dtype)
        found = run(make_tif(tmp_path / "a.tif", image, photometric="minisblack"), (4, 4))
        assert found[1] == pytest.approx(p_bright([[60, 100, 140], [180, 20, 90]]), abs=1e-5)

    @pytest.mark.parametrize("dtype", ["uint16", "float32"])
    def test_numbers_beyond_bytes(self, tmp_path, make_tif, dtype):
        image = np.array([[[60_000, 100]], [[60_000, 101]], [[0, 99]]], dtype)
        assert run(make_tif(tmp_path / "a.tif", image), (1, 1))[1, 0] == pytest.approx([1, 0.5], abs=1e-5)

    def test_an_elevation_of_0_is_data_and_what_is_missing_is_not_0(self, tmp_path, make_tif):
        # Tiles of 2 x 2 px: all sea level; half of one missing; half at sea level; below it.
        elevation = np.array([[0, 0, 120, -9999, 120, 0, -120, -120], [0, 0, 120, -9999, 120, 0, -120, -120]], np.float32)
        found = run(make_tif(tmp_path / "a.tif", elevation[None], nodata=-9999), (2, 2))
        assert found[1, 0] == pytest.approx(p_bright([0, 120, 60, -120]), abs=1e-5)

    def test_no_data_for_whole_numbers(self, tmp_path, make_tif):
        mask = np.ones((2, 4), bool)
        mask[:, 1] = False
        image = np.array([[[120, 9, 120, 0], [120, 9, 120, 0]], [[80, 9, 80, 200], [80, 9, 80, 200]]], np.uint16)
        found = run(make_tif(tmp_path / "a.tif", image, mask=mask), (2, 2))
        assert found[1, 0] == pytest.approx(p_bright([100, 100]), abs=1e-5)

    def test_what_lies_around_the_image_is_no_elevation(self, tmp_path, make_tif):
        found = run(make_tif(tmp_path / "a.tif", np.full((1, 3, 3), 130, np.float32)), (2, 2), min_valid=0)
        assert found[1] == pytest.approx(np.full((2, 2), p_bright(130)), abs=1e-5)

    def test_the_picture_is_shown_no_holes_as_nan(self, tmp_path, make_tif):
        seen = []
        image = np.full((1, 4, 4), 130, np.float32)
        image[:, 1] = np.nan
        run(make_tif(tmp_path / "a.tif", image), (2, 2), watch=lambda _window, pixels, _valid: seen.append(pixels.copy()))
        assert np.isfinite(np.concatenate(seen)).all()

    @pytest.mark.parametrize("strip_bytes", [1, 10_000, 1 << 30])
    def test_strips_do_not_show(self, tmp_path, make_tif, monkeypatch, strip_bytes):
        rng = np.random.default_rng(1)
        image = rng.normal(100, 30, (5, 61, 83)).astype(np.float32)
        image[:, rng.random((61, 83)) < 0.4] = np.nan
        path = make_tif(tmp_path / "a.tif", image, tiled=True, blockxsize=16, blockysize=16)
        whole = run(path, (12, 8))
        monkeypatch.setattr("spurgekit.maps.sliding_window.STRIP_BYTES", strip_bytes)
        np.testing.assert_array_equal(run(path, (12, 8), batch_size=3), whole)

    @pytest.mark.parametrize(("dtype", "strips"), [("uint8", 2), ("uint16", 3), ("float32", 6)])
    def test_a_strip_is_so_many_bytes_whatever_they_mean(self, tmp_path, make_tif, monkeypatch, dtype, strips):
        # A row of cells, 2 x 20 px of five numbers and a mask, is 240, 440 or 840 bytes: three, two or one of the six fit.
        monkeypatch.setattr("spurgekit.maps.sliding_window.STRIP_BYTES", 900)
        image, seen = np.ones((5, 12, 20), dtype), []
        run(make_tif(tmp_path / "a.tif", image, photometric="minisblack"), (2, 2), watch=lambda *strip: seen.append(strip))
        assert len(seen) == strips


class TestShareOfDataInACell:
    # Cells of 2 x 2 px with 4, 2, 1 and 0 valid pixels.
    VALID = np.array([[1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 0, 1, 0, 1, 0, 0]], bool)

    @pytest.mark.parametrize(("min_valid", "mapped"), [(0, 3), (0.25, 3), (0.26, 2), (0.5, 2), (0.51, 1), (1, 1)])
    def test_least(self, tmp_path, make_tif, min_valid, mapped):
        path = make_tif(tmp_path / "a.tif", np.full((1, 2, 8), 140, np.uint8), mask=self.VALID)
        found = run(path, (2, 2), min_valid=min_valid)
        assert np.isfinite(found[:, 0]).sum(axis=1).tolist() == [mapped, mapped]
        assert found[1, 0, :mapped] == pytest.approx(p_bright([140] * mapped), abs=1e-5)

    def test_what_surrounds_a_cell_does_not_count(self, tmp_path, make_tif):
        valid = np.zeros((6, 6), bool)
        valid[2:4, 2:4] = True  # the middle cell alone
        found = run(make_tif(tmp_path / "a.tif", np.full((1, 6, 6), 90, np.uint8), mask=valid), (6, 2), min_valid=0.5)
        assert np.argwhere(np.isfinite(found[1])).tolist() == [[1, 1]]
        assert found[1, 1, 1] == pytest.approx(p_bright(90), abs=1e-5)
