from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spurgekit.classify.preprocess import Preprocess
from spurgekit.errors import InputError

CPU = torch.device("cpu")
NAN = np.nan


def tile(*bands, dtype=np.uint8):
    """One tile of the given bands, as a batch."""
    return np.array([bands], dtype)


class TestBytes:
    def test_normalisation_by_hand(self):
        ready = Preprocess(2, (0.5, 0.2, 0.0), (0.25, 0.1, 1.0), CPU)(
            tile([[255, 51], [102, 0]], [[255, 51], [102, 0]], [[255, 51], [102, 255]])
        )
        # Values from 0 to 1 are 1, 0.2, 0.4 and 0; less the mean, over the spread.
        assert ready[0, 0].flatten().tolist() == pytest.approx([2, -1.2, -0.4, -2], abs=1e-6)
        assert ready[0, 1].flatten().tolist() == pytest.approx([8, 0, 2, -2], abs=1e-6)
        assert ready[0, 2].flatten().tolist() == pytest.approx([1, 0.2, 0.4, 1], abs=1e-6)
        assert ready.dtype == torch.float32

    def test_resized_to_the_side_of_the_backbone(self):
        ready = Preprocess(4, (0.0,), (1.0,), CPU)(tile([[10, 110], [10, 110]]))
        # Bilinear: the new centres lie at -0.25, 0.25, 0.75 and 1.25 of the old ones.
        assert (255 * ready[0, 0]).numpy() == pytest.approx(np.array([[10, 35, 85, 110]] * 4), abs=1e-3)

    @pytest.mark.parametrize("bands", [1, 3, 4, 5, 9])
    def test_a_flat_tile_stays_flat_when_it_shrinks(self, bands):
        values = np.arange(10, 10 + bands, dtype=np.uint8)
        ready = Preprocess(3, (0.0,) * bands, (1.0,) * bands, CPU)(
            np.broadcast_to(values[:, None, None], (2, bands, 10, 10)).copy()
        )
        assert ready.shape == (2, bands, 3, 3)
        assert (255 * ready).numpy() == pytest.approx(np.broadcast_to(values[:, None, None], (2, bands, 3, 3)), abs=1e-3)

    def test_pixels_without_data_take_the_mean_of_their_tile(self):
        ready = Preprocess(2, (0.0,) * 3, (1.0,) * 3, CPU)(tile([[0, 10], [30, 50]], [[0, 20], [40, 60]], [[0, 30], [50, 70]]))
        assert (255 * ready[0, :, 0, 0]).tolist() == pytest.approx([30, 40, 50])
        assert (255 * ready[0, :, 0, 1]).tolist() == pytest.approx([10, 20, 30])

    def test_a_pixel_that_is_0_in_one_band_only_is_data(self):
        ready = Preprocess(1, (0.0,) * 3, (1.0,) * 3, CPU)(tile([[0]], [[7]], [[0]]))
        assert (255 * ready).flatten().tolist() == pytest.approx([0, 7, 0])

    def test_a_tile_without_data_is_the_models_mean_colour(self):
        ready = Preprocess(2, (0.2, 0.4), (0.1, 1.0), CPU)(np.zeros((1, 2, 2, 2), np.uint8))
        assert ready.flatten().tolist() == pytest.approx([0] * 8, abs=1e-6)  # 51 and 102 are whole

    def test_each_tile_has_its_own_mean(self):
        batch = np.concatenate([tile([[0, 100]]), tile([[0, 200]])])
        ready = 255 * Preprocess(2, (0.0,), (1.0,), CPU)(np.repeat(batch, 2, axis=2))
        assert ready[:, 0, 0, 0].tolist() == pytest.approx([100, 200])


class TestNumbers:
    """uint16 and float32, normalised in their own units."""

    @pytest.mark.parametrize("dtype", ["uint16", "float32"])
    def test_normalisation_by_hand(self, dtype):
        ready = Preprocess(2, (1000.0, 20.0), (500.0, 10.0), CPU, dtype)(
            tile([[1000, 2000], [0, 65535]], [[20, 30], [40, 5]], dtype=dtype)
        )
        assert ready[0, 0].flatten().tolist() == pytest.approx([0, 2, -2, 129.07])
        assert ready[0, 1].flatten().tolist() == pytest.approx([0, 1, 2, -1.5])
        assert ready.dtype == torch.float32

    def test_resized_to_the_side_of_the_backbone(self):
        ready = Preprocess(4, (0.0,), (1.0,), CPU, "float32")(tile([[0.001, 0.011]] * 2, dtype=np.float32))
        assert ready[0, 0].numpy() == pytest.approx(np.array([[0.001, 0.0035, 0.0085, 0.011]] * 4))

    def test_it_is_antialiased(self):
        checks = np.indices((8, 8)).sum(axis=0) % 2
        ready = Preprocess(2, (0.5,), (1.0,), CPU, "float32")(tile(checks, dtype=np.float32))
        assert abs(ready).max() < 0.02  # any pixel by itself would be -0.5 or 0.5

    def test_an_elevation_of_0_is_data(self):
        ready = Preprocess(2, (1.0,), (2.0,), CPU, "float32")(tile([[0, 0], [-2, NAN]], dtype=np.float32))
        assert ready.flatten().tolist() == pytest.approx([-0.5, -0.5, -1.5, -5 / 6])

    @pytest.mark.parametrize("gone", [NAN, np.inf, -np.inf])
    def test_a_float_that_is_no_number_in_one_band_is_no_data_in_all(self, gone):
        ready = Preprocess(2, (0.0,) * 2, (1.0,) * 2, CPU, "float32")(
            tile([[5, 1], [2, 3]], [[gone, 10], [20, 30]], dtype=np.float32)
        )
        assert ready[0, :, 0, 0].tolist() == pytest.approx([2, 20])
        assert ready[0, :, 1, 1].tolist() == pytest.approx([3, 30])

    def test_whole_numbers_that_are_0_in_all_bands_are_no_data(self):
        ready = Preprocess(2, (0.0,) * 2, (1.0,) * 2, CPU, "uint16")(
            tile([[0, 1000], [0, 5000]], [[0, 300], [600, 900]], dtype=np.uint16)
        )
        assert ready[0, :, 0, 0].tolist() == pytest.approx([2000, 600])  # the mean of three pixels, one of which is 0 in band 1
        assert ready[0, :, 1, 0].tolist() == [0, 600]

    @pytest.mark.parametrize(("dtype", "gone"), [("uint16", 0), ("float32", NAN)])
    def test_a_tile_without_data_is_the_models_mean_colour(self, dtype, gone):
        batch = np.full((2, 1, 3, 3), gone, dtype)
        batch[1] = 7
        ready = Preprocess(2, (5.0,), (4.0,), CPU, dtype)(batch)
        assert ready[0].flatten().tolist() == [0] * 4
        assert ready[1].flatten().tolist() == pytest.approx([0.5] * 4)

    def test_high_ground_keeps_its_centimetres(self):
        hills = 4000 + 0.01 * np.arange(16).reshape(4, 4)
        ready = Preprocess(4, (4000.0,), (0.01,), CPU, "float32")(tile(hills, dtype=np.float32))
        # A float32 near 4,000 is right to 0.25 mm, 0.025 of that spread; nothing is lost on top.
        assert ready[0, 0].numpy() == pytest.approx(100 * (hills.astype(np.float32) - 4000), abs=1e-4)

    def test_the_batch_is_left_as_it_was(self):
        batch = tile([[1, NAN], [3, 4]], dtype=np.float32)
        before = batch.copy()
        Preprocess(2, (1.0,), (2.0,), CPU, "float32")(batch)
        np.testing.assert_array_equal(batch, before)


class TestAllTypes:
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    @pytest.mark.parametrize("bands", [1, 3, 5])
    def test_channels_last_and_of_the_same_memory(self, bands, dtype):
        preprocess = Preprocess(6, (0.0,) * bands, (1.0,) * bands, CPU, dtype)
        first = preprocess(np.full((2, bands, 9, 9), 3, dtype))
        kept = first.clone()
        assert first.is_contiguous(memory_format=torch.channels_last)
        assert preprocess(np.full((2, bands, 9, 9), 200, dtype)).data_ptr() == first.data_ptr()
        assert not torch.equal(first, kept)

    @given(
        batch=arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 6), st.just(7), st.just(7))),
        holes=arrays(np.bool_, (7, 7)),
        size_px=st.integers(2, 12),
    )
    def test_bytes_and_the_same_numbers_agree_but_for_rounding(self, batch, holes, size_px):
        bands = batch.shape[1]
        batch[:, :, holes] = 0
        mean, std = np.linspace(0.2, 0.6, bands), np.linspace(0.1, 0.3, bands)
        ready = [Preprocess(size_px, tuple(mean), tuple(std), CPU)(batch).numpy()]
        floats = np.where((batch == 0).all(axis=1, keepdims=True), np.float32(NAN), batch.astype(np.float32))
        for dtype, pixels in (("uint16", batch.astype(np.uint16)), ("float32", floats)):
            ready.append(Preprocess(size_px, tuple(255 * mean), tuple(255 * std), CPU, dtype)(pixels).numpy())
        assert ready[2] == pytest.approx(ready[1], abs=1e-4)
        # Bytes are rounded when holes are filled and twice when they are resized: along rows and along columns.
        assert np.abs((ready[1] - ready[0]) * 255 * std[:, None, None]).max() <= 1.6

    @pytest.mark.parametrize(
        ("model", "bands", "dtype", "says"),
        [
            (
                (3, "uint8"),
                5,
                "float32",
                r"tiles have 5 bands of float32, the model reads 3 of uint8: tile the image with the bands",
            ),
            ((3, "uint8"), 1, "uint8", r"tiles have 1 band of uint8, the model reads 3 of uint8: "),
            ((4, "float32"), 4, "uint16", r"tiles have 4 bands of uint16, the model reads 4 of float32: "),
            ((1, "uint16"), 1, "float64", r"tiles have 1 band of float64, the model reads 1 of uint16: "),
        ],
    )
    def test_other_tiles_than_the_model_reads(self, model, bands, dtype, says):
        preprocess = Preprocess(4, (0.0,) * model[0], (1.0,) * model[0], CPU, model[1])
        with pytest.raises(InputError, match=f"^{says}") as caught:
            preprocess(np.zeros((2, bands, 4, 4), dtype))
        assert "\n" not in str(caught.value)


def test_threads_that_share_it_do_not_meddle_with_each_others_tiles():
    preprocess = Preprocess(2, (0.0,) * 3, (1.0,) * 3, CPU)
    mine = preprocess(np.full((1, 3, 2, 2), 51, np.uint8))
    with ThreadPoolExecutor(1) as thread:
        theirs = thread.submit(preprocess, np.full((1, 3, 2, 2), 255, np.uint8)).result()
    assert theirs.unique().tolist() == [1.0]
    assert mine.unique().tolist() == pytest.approx([0.2])
