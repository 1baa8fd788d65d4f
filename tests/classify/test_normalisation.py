import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spurgekit.classify import normalisation as normalisation_module
from spurgekit.classify.normalisation import BandStatistics, band_statistics, normalisation
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.tile_reader import batches
from spurgekit.errors import InputError

NAN = np.nan
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.fixture
def write_tiles(tmp_path, make_tif):
    """Write arrays as tiles, and return their paths."""

    def make(*tiles, **profile):
        return [make_tif(tmp_path / f"{i:03d}.tif", tile, **profile) for i, tile in enumerate(tiles)]

    return make


class TestByHand:
    def test_floats_in_their_own_units(self, write_tiles):
        paths = write_tiles(*(np.array([[[v, v + 2]], [[100 * v, 100 * v]]], np.float32) for v in (1, 3)))
        found = band_statistics(paths)
        # Band 1 holds 1, 3, 3, 5; band 2 holds 100, 100, 300, 300.
        assert found.mean == (3, 200)
        assert found.std == pytest.approx((np.sqrt(2), 100))
        assert (found.dtype, found.bands, found.tiles, found.notes) == ("float32", 2, 2, ())

    def test_uint16_in_their_own_units(self, write_tiles):
        found = band_statistics(write_tiles(np.array([[[1000, 3000]]], np.uint16)))
        assert (found.mean, found.std, found.dtype) == ((2000,), (1000,), "uint16")

    def test_bytes_from_0_to_1(self, write_tiles):
        found = band_statistics(write_tiles(np.array([[[51, 153]], [[255, 102]], [[51, 51]]], np.uint8)))
        assert found.mean == pytest.approx((0.4, 0.7, 0.2))
        assert found.std[:2] == pytest.approx((0.2, 0.3))
        assert found.dtype == "uint8"

    def test_pixels_without_data_do_not_count(self, write_tiles):
        first, second = np.array([[[NAN, 2]], [[1, 20]]]), np.array([[[4, 6]], [[40, 60]]])
        found = band_statistics(write_tiles(first.astype(np.float32), second.astype(np.float32)))
        assert found.mean == pytest.approx((4, 40))
        assert found.std == pytest.approx((np.sqrt(8 / 3), 10 * np.sqrt(8 / 3)))

    def test_whole_numbers_that_are_0_in_all_bands_do_not_either(self, write_tiles):
        found = band_statistics(write_tiles(np.array([[[0, 0, 200]], [[0, 500, 700]]], np.uint16)))
        assert (found.mean, found.std) == ((100, 600), (100, 100))

    def test_a_tile_without_data_changes_nothing(self, write_tiles):
        empty, full = np.full((1, 2, 2), NAN, np.float32), np.array([[[0, 2], [0, 2]]], np.float32)
        found = band_statistics(write_tiles(empty, full, empty))
        assert (found.mean, found.std, found.tiles) == ((1,), (1,), 3)


class TestPrecision:
    @given(
        tiles=st.lists(
            arrays(np.float32, (2, 3, 3), elements=st.floats(-1000, 1000, width=32, allow_subnormal=False)),
            min_size=1,
            max_size=6,
        ),
        offset=st.sampled_from([0, 8192]),
    )
    def test_as_of_all_pixels_at_once(self, tiles, offset):
        shifted = [tile + np.float32(offset) for tile in tiles]
        mean, std = normalisation_module._moments(shifted)
        pixels = np.stack(shifted).astype(np.float64)
        assert mean == pytest.approx(pixels.mean(axis=(0, 2, 3)), abs=1e-9)
        assert std == pytest.approx(pixels.std(axis=(0, 2, 3)), abs=1e-6)

    def test_high_and_nearly_flat_ground(self, write_tiles):
        """A sum of squares in float32, or even in float64 less the mean's, would lose centimetres at 4,000 m."""
        rng = np.random.default_rng(0)
        ground = (4000 + rng.normal(0, 0.02, (4, 1, 50, 50))).astype(np.float32)
        found = band_statistics(write_tiles(*ground))
        assert found.std[0] == pytest.approx(ground.astype(np.float64).std(), rel=1e-9)
        assert found.notes == ()


class TestConstantBands:
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    def test_get_1_and_are_named(self, write_tiles, dtype):
        tiles = [np.array([[[7, 7]], [[v, 40]], [[0, 0]]], dtype) for v in (10, 20)]
        found = band_statistics(write_tiles(*tiles))
        assert found.std[0] == found.std[2] == 1
        assert found.std[1] != 1
        assert found.notes == (
            "band 1 is 7 everywhere and tells nothing apart; leave it out with `bands`",
            "band 3 is 0 everywhere and tells nothing apart; leave it out with `bands`",
        )

    def test_of_a_number_that_binary_cannot_hold(self, write_tiles):
        found = band_statistics(write_tiles(*[np.full((1, 9, 9), 0.1, np.float32)] * 5))
        assert found.std == (1,)
        assert len(found.notes) == 1

    def test_constant_in_each_tile_is_not_constant(self, write_tiles):
        assert band_statistics(write_tiles(*(np.full((1, 2, 2), v, np.float32) for v in (1, 3)))).std == (1,)
        assert band_statistics(write_tiles(*(np.full((1, 2, 2), v, np.float32) for v in (1, 5)))).std == (2,)


class TestSample:
    @pytest.fixture
    def paths(self, write_tiles):
        return write_tiles(*(np.full((1, 2, 2), value, np.float32) for value in range(40)))

    def test_all_of_few(self, paths):
        assert band_statistics(paths).mean == band_statistics(paths, sample=None).mean == (19.5,)

    def test_some_of_many_are_always_the_same(self, paths):
        found = band_statistics(paths, sample=10)
        assert found == band_statistics(paths, sample=10)
        assert found.tiles == 10
        assert 0 < abs(found.mean[0] - 19.5) < 10

    def test_no_tile_counts_twice(self, paths):
        chosen = normalisation_module._draw(paths, 30)
        assert len(set(chosen)) == 30
        assert chosen == sorted(chosen)

    def test_every_tile_is_counted(self, paths):
        done = []

        class Count:
            def __init__(self, description, total):
                assert (description, total) == ("looking at bands", 10)

            def __enter__(self):
                return done.append

            def __exit__(self, *error):
                pass

        band_statistics(paths, sample=10, progress=Count)
        assert sum(done) == 10


class TestWhatCannotBe:
    def refused(self, paths, says):
        with pytest.raises(InputError, match=says) as caught:
            band_statistics(paths)
        assert "\n" not in str(caught.value)

    def test_no_tiles(self):
        self.refused([], "^there are no tiles to take the mean of")

    def test_no_data(self, write_tiles):
        paths = write_tiles(*[np.full((2, 2, 2), NAN, np.float32)] * 3)
        self.refused(paths, r"000\.tif and 2 more tiles hold no pixel with data; make the tiles again")

    def test_tiles_that_differ(self, write_tiles):
        paths = write_tiles(np.ones((2, 2, 2), np.float32), np.ones((3, 2, 2), np.float32))
        self.refused(paths, r"001\.tif has 3 bands of float32, others 2 of float32 \(such as 000\.tif\)")


class TestUse:
    PHOTO = BandStatistics((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "uint8", 9)

    def test_pretrained_weights_see_photos_as_they_know_them(self):
        assert normalisation(IMAGENET, self.PHOTO, pretrained=True) == (IMAGENET["mean"], IMAGENET["std"])

    def test_random_weights_know_nothing(self):
        assert normalisation(IMAGENET, self.PHOTO, pretrained=False) == (self.PHOTO.mean, self.PHOTO.std)

    @pytest.mark.parametrize(
        "own",
        [
            BandStatistics((0.1,) * 4, (0.2,) * 4, "uint8", 9),
            BandStatistics((0.1,), (0.2,), "uint8", 9),
            BandStatistics((900.0,) * 3, (99.0,) * 3, "uint16", 9),
            BandStatistics((0.1,) * 3, (0.2,) * 3, "float32", 9),
        ],
    )
    def test_nor_do_pretrained_ones_of_other_tiles(self, own):
        assert normalisation(IMAGENET, own, pretrained=True) == (own.mean, own.std)

    @pytest.mark.parametrize("config", [{}, {"mean": None, "std": None}, {"mean": (0.5,), "std": (0.5,)}])
    def test_a_backbone_that_does_not_say_for_rgb(self, config):
        assert normalisation(config, self.PHOTO, pretrained=True) == (self.PHOTO.mean, self.PHOTO.std)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    def test_normalised_tiles_have_mean_0_and_spread_1(self, write_tiles, dtype):
        rng = np.random.default_rng(0)
        tiles = [rng.integers(1, 200, (5, 8, 8)).astype(dtype) for _ in range(3)]
        paths = write_tiles(*tiles, photometric="minisblack")
        mean, std = normalisation({}, band_statistics(paths), pretrained=False)
        (batch,) = batches(paths, 3)
        ready = Preprocess(8, mean, std, torch.device("cpu"), dtype)(batch)
        assert ready.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0] * 5, abs=1e-5)
        assert ready.std(dim=(0, 2, 3), correction=0).tolist() == pytest.approx([1] * 5, abs=1e-5)
