"""Near-duplicates: what the hash sees, and which of several images are dropped."""

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy.fft import dctn

from spurgekit.augment.duplicates import THRESHOLD_BITS, near_duplicates, perceptual_hashes


def distances(a, b):
    return np.bitwise_count(a ^ b)


def texture(seed, size=96):
    """Ground with as much of every scale as nature has (amplitudes fall as wavelengths), as grey RGB."""
    waves = np.fft.rfft2(np.random.default_rng(seed).normal(size=(size, size)))
    noise = np.fft.irfft2(waves / np.maximum(np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)), 1 / size))
    grey = 120 + 35 * noise / noise.std()
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def tiles():
    return np.stack([texture(seed) for seed in range(60)])


@pytest.fixture(scope="module")
def hashes(tiles):
    return perceptual_hashes(tiles)


class TestHash:
    def test_is_the_signs_of_waves(self, tiles, hashes):
        grey = tiles @ np.array([0.299, 0.587, 0.114])
        waves = dctn(grey, axes=(1, 2))[:, 1:32:4, 1:32:4].reshape(len(tiles), 64)
        expected = [int("".join("01"[bit] for bit in signs), 2) for signs in (waves > 0).astype(int)]
        assert hashes.tolist() == expected

    def test_of_one_image_is_the_same_in_any_batch(self, tiles, hashes):
        assert perceptual_hashes(tiles[7:8]).tolist() == [hashes[7]]
        assert perceptual_hashes(tiles[:0]).tolist() == []

    def test_of_flat_pictures_is_0(self):
        assert (
            perceptual_hashes(np.stack([np.full((50, 50, 3), value, np.uint8) for value in (0, 77, 255)])).tolist() == [0] * 3
        )

    @pytest.mark.parametrize(
        "change",
        [
            lambda tile: cv2.imdecode(cv2.imencode(".jpg", tile, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], 1),
            lambda tile: (tile + np.random.default_rng(0).normal(0, 4, tile.shape)).clip(0, 255).astype(np.uint8),
            lambda tile: (0.8 * tile + 30).astype(np.uint8),
            lambda tile: cv2.resize(tile, (192, 192), interpolation=cv2.INTER_CUBIC),
            lambda tile: cv2.GaussianBlur(tile, (0, 0), 1),
        ],
        ids=["jpeg", "noise", "contrast", "size", "blur"],
    )
    def test_hardly_changes_with(self, tiles, hashes, change):
        changed = perceptual_hashes(np.stack([change(tile) for tile in tiles]))
        assert (distances(changed, hashes) <= THRESHOLD_BITS).mean() > 0.95

    def test_tells_tiles_apart(self, hashes):
        apart = distances(hashes[:, None], hashes)[np.triu_indices(len(hashes), 1)]
        assert apart.min() > 2 * THRESHOLD_BITS
        assert apart.mean() == pytest.approx(32, abs=0.5)

    def test_tells_textures_on_the_same_ground_apart(self):
        """What a hash of the lowest frequencies is blind to."""
        ground, *others = (texture(seed).astype(np.float32) for seed in range(21))
        grown = np.stack([cv2.GaussianBlur(ground, (0, 0), 3) + it - cv2.GaussianBlur(it, (0, 0), 3) for it in others])
        of_each = perceptual_hashes(grown.clip(0, 255).astype(np.uint8))
        assert distances(of_each[:, None], of_each)[np.triu_indices(20, 1)].min() > 2 * THRESHOLD_BITS

    def test_sees_no_colour(self, tiles, hashes):
        tinted = tiles.astype(float)
        tinted[..., 0] += 20
        tinted[..., 2] -= 20
        assert distances(perceptual_hashes(tinted.clip(0, 255).astype(np.uint8)), hashes).max() <= 2


class TestNearDuplicates:
    def test_the_first_of_each_stays(self):
        a, b = np.uint64(0), np.uint64(2**64 - 1)
        assert near_duplicates(np.array([a, b, a, a, b])).tolist() == [False, False, True, True, True]

    def test_what_is_near_a_dropped_one_stays(self):
        chain = np.array([0b0, 0b1111, 0b11111111], np.uint64)
        assert near_duplicates(chain).tolist() == [False, True, False]

    def test_the_threshold_is_the_most_bits(self):
        pair = np.array([0, 0b11111], np.uint64)
        assert near_duplicates(pair, threshold_bits=5).tolist() == [False, True]
        assert near_duplicates(pair, threshold_bits=4).tolist() == [False, False]

    def test_within_a_group_alone(self):
        same = np.zeros(5, np.uint64)
        groups = [(0, 4, "weed"), (1, 4, "weed"), (0, 4, "weed"), (1, 4, "sand"), (1, 4, "weed")]
        assert near_duplicates(same, groups).tolist() == [False, False, True, False, True]

    def test_missing_numbers_are_the_same_group(self):
        rows = pd.DataFrame({"trial": [None, 0, None], "class": "weed"})  # which makes them nan
        groups = list(zip(rows["trial"], rows["class"], strict=True))
        assert near_duplicates(np.zeros(3, np.uint64), groups).tolist() == [False, False, True]

    def test_groups_are_one_for_each_image(self):
        with pytest.raises(ValueError, match="zip"):
            near_duplicates(np.zeros(3, np.uint64), ["weed"])

    def test_no_two_that_are_left_are_near(self):
        hashes = np.random.default_rng(0).integers(0, 2**12, 500).astype(np.uint64)
        kept = hashes[~near_duplicates(hashes)]
        apart = distances(kept[:, None], kept)[np.triu_indices(len(kept), 1)]
        assert 1 < len(kept) < 500
        assert apart.min() > THRESHOLD_BITS

    def test_of_none(self):
        assert near_duplicates(np.array([], np.uint64)).tolist() == []


def test_real_tiles(data):
    files = sorted((data / "carrot-weeds").glob("*ent/*.png"))[::10]
    tiles = np.stack([cv2.imread(str(file))[..., ::-1] for file in files])
    copies = [cv2.imdecode(cv2.imencode(".jpg", tile, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], 1) for tile in tiles]
    hashes = perceptual_hashes(tiles)
    assert len(files) == 63
    assert not near_duplicates(hashes).any()
    assert (distances(perceptual_hashes(np.stack(copies)), hashes) <= THRESHOLD_BITS).mean() > 0.98
