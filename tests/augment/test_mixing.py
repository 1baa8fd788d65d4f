import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spurgekit.augment import parse_augmentation
from tests.test_seeds import states

SIDE = 16
"""256 pixels: shares of area are whole 256ths, which floats hold exactly."""

MIXING = ("cutmix", "mixup", "cutmix+mixup")


def flat(values, *, bands=1, side=SIDE, dtype=torch.float32):
    """A tile of each value, constant."""
    return torch.tensor(values, dtype=torch.float64)[:, None, None, None].expand(-1, bands, side, side).to(dtype).clone()


def partners(n):
    """Whom each is mixed with: the first with the last and so on; the first of an odd batch with the one in the middle."""
    if n % 2 == 0:
        return [n - 1 - i for i in range(n)]
    return [n // 2] + [n - i for i in range(1, n)]


class TestCutMix:
    cutmix = parse_augmentation("cutmix")

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
    @pytest.mark.parametrize("n", [2, 3, 6, 7])
    @pytest.mark.parametrize("seed", range(8))
    def test_a_labels_weight_is_its_tiles_share_of_the_pixels(self, n, seed, dtype):
        values = [10 * (i + 1) for i in range(n)]
        tiles, labels = self.cutmix.mix(flat(values, bands=2, dtype=dtype), torch.eye(n), seed)
        assert tiles.dtype == dtype
        assert labels.dtype == torch.float32
        for i in range(n):
            counted = [int((tiles[i, 0].double() == value).sum()) for value in values]
            assert sum(counted) == SIDE * SIDE  # no pixel is anything in between
            assert labels[i].tolist() == [count / SIDE**2 for count in counted]
            assert set(np.flatnonzero(counted)) <= {i, partners(n)[i]}

    def test_half_of_the_tiles_get_a_rectangle_of_their_own(self):
        swapped = []
        for seed in range(60):
            tiles, _ = self.cutmix.mix(flat([1, 2, 3, 4]), torch.eye(4), seed)
            swapped += [tile[0] != i + 1 for i, tile in enumerate(tiles)]
        for one in swapped:
            assert int(one.sum()) == int(one.any(dim=1).sum() * one.any(dim=0).sum()) < SIDE * SIDE
        # Half of 240, and 4.5 standard deviations of 7.7; the rectangle of some has no pixel.
        assert 80 < sum(bool(one.any()) for one in swapped) < 155
        assert len({one.numpy().tobytes() for one in swapped[:4]}) > 2

    def test_any_share_is_as_likely_as_any_other(self):
        shares = np.array([self.cutmix.mix(flat([0, 1]), torch.eye(2), seed)[1][0, 1].item() for seed in range(600)])
        # Drawn from 0 to 1, then cut off at the tile's border: a part of the larger ones shrink.
        assert shares[shares > 0].min() < 0.02
        assert shares.max() > 0.75
        assert 0.25 < shares[shares > 0].mean() < 0.5


class TestMixUp:
    mixup = parse_augmentation("mixup")

    @pytest.mark.parametrize("n", [2, 3, 6, 7])
    @pytest.mark.parametrize("seed", range(8))
    def test_a_labels_weight_is_its_tiles_share_of_the_value(self, n, seed):
        # Only one tile is not black, so the value of any is that one's share in it.
        for bright in range(n):
            tiles, labels = self.mixup.mix(flat([float(i == bright) for i in range(n)]), torch.eye(n), seed)
            assert tiles.flatten(1).min(dim=1).values.tolist() == tiles.flatten(1).max(dim=1).values.tolist()
            assert tiles[:, 0, 0, 0].tolist() == labels[:, bright].tolist()
            holds_it = {i for i in range(n) if labels[i, bright] > 0}
            assert holds_it <= {bright} | {i for i in range(n) if partners(n)[i] == bright}

    @pytest.mark.parametrize(("dtype", "values"), [(torch.uint8, (3, 250)), (torch.uint16, (100, 65535))])
    @pytest.mark.parametrize("seed", range(8))
    def test_integers_are_rounded(self, dtype, values, seed):
        tiles, labels = self.mixup.mix(flat(values, dtype=dtype), torch.eye(2, dtype=torch.float64), seed)
        assert tiles.dtype == dtype
        exact = labels.numpy() @ np.array(values, np.float64)
        # Half a step for the rounding; the share is known to 1 / 2**24.
        assert np.abs(tiles[:, 0, 0, 0].double().numpy() - exact).max() <= 0.5 + values[1] / 2**22

    def test_a_value_mixed_with_itself_is_that_value(self):
        for seed in range(20):
            tiles, _ = self.mixup.mix(flat([65535, 65535], dtype=torch.uint16), torch.eye(2), seed)
            assert tiles.int().unique().tolist() == [65535]

    def test_shares_are_mostly_small(self):
        shares = [min(self.mixup.mix(flat([0, 1], side=1), torch.eye(2), seed)[1][0].tolist()) for seed in range(300)]
        # Of a beta distribution with alpha = 0.2, 67.3 % lie within 0.1 of 0 or of 1; 4.5 standard deviations are 12.2 %.
        assert 0.55 < np.mean(np.array(shares) < 0.1) < 0.80


class TestEither:
    def test_is_one_of_the_two_for_a_batch(self):
        both, kinds = parse_augmentation("cutmix+mixup"), []
        for seed in range(60):
            tiles, labels = both.mix(flat([0, 1]), torch.eye(2), seed)
            if 1e-3 < labels[0, 0] < 1 - 1e-3:  # else too little is mixed to tell
                kinds.append(set(tiles.unique().tolist()) == {0, 1})
        # Half of some 45, and 4.5 standard deviations of 3.4 about it.
        assert 8 < sum(kinds) < len(kinds) - 8

    @pytest.mark.parametrize("text", MIXING)
    def test_labels_may_be_soft_already(self, text):
        augmentation = parse_augmentation(text)
        soft = torch.tensor([[0.9, 0.1, 0.0], [0.25, 0.25, 0.5], [0.0, 1.0, 0.0]])
        for seed in range(5):
            _, shares = augmentation.mix(flat([1, 2, 3]), torch.eye(3), seed)
            _, labels = augmentation.mix(flat([1, 2, 3]), soft, seed)
            for i, j in enumerate(partners(3)):
                expected = shares[i, i] * soft[i] + shares[i, j] * soft[j]
                assert labels[i].tolist() == pytest.approx(expected.tolist(), abs=1e-6)

    @pytest.mark.parametrize("text", MIXING)
    @pytest.mark.parametrize("n", [2, 3, 8, 9])
    def test_each_is_mixed_with_another_and_none_with_itself(self, text, n):
        found = sum(parse_augmentation(text).mix(flat(range(n)), torch.eye(n), seed)[1] for seed in range(10))
        expected = {(i, i) for i in range(n)} | set(enumerate(partners(n)))
        assert set(zip(*(at.tolist() for at in found.nonzero(as_tuple=True)), strict=True)) == expected

    @given(st.sampled_from(MIXING), st.integers(1, 9), st.integers(1, 4), st.integers(0, 2**64))
    def test_labels_have_sum_1(self, text, n, classes, seed):
        targets = torch.eye(classes)[torch.arange(n) % classes]
        _, labels = parse_augmentation(text).mix(flat(range(n), side=4), targets, seed)
        assert labels.shape == (n, classes)
        assert labels.min() >= 0
        assert labels.sum(dim=1).tolist() == pytest.approx([1] * n, abs=1e-6)

    @pytest.mark.parametrize("text", MIXING)
    @pytest.mark.parametrize("n", [4, 5])
    def test_the_same_seed_gives_the_same_bytes(self, text, n):
        augmentation, tiles = parse_augmentation(text), torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        first, again, other = (augmentation.mix(tiles, torch.eye(n), seed) for seed in (5, 5, 6))
        assert torch.equal(first[0], again[0])
        assert torch.equal(first[1], again[1])
        assert not torch.equal(first[0], other[0])

    @pytest.mark.parametrize("text", MIXING)
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
    @pytest.mark.parametrize("n", [4, 5])
    def test_what_is_passed_in_and_generators_are_left_as_they_were(self, text, dtype, n):
        tiles, targets, before = flat(range(1, n + 1), dtype=dtype), torch.eye(n), states()
        found, _ = parse_augmentation(text).mix(tiles, targets, 0)
        assert torch.equal(tiles, flat(range(1, n + 1), dtype=dtype))
        assert torch.equal(targets, torch.eye(n))
        assert found.data_ptr() != tiles.data_ptr()
        assert states() == before

    @pytest.mark.parametrize(("text", "n"), [(text, 1) for text in MIXING] + [("none", 4), ("dihedral+randaugment", 4)])
    def test_nothing_to_mix(self, text, n):
        tiles, targets = flat(range(n)), torch.full((n, 2), 0.5)
        found, labels = parse_augmentation(text).mix(tiles, targets, 0)
        assert torch.equal(found, tiles)
        assert torch.equal(labels, targets)

    @pytest.mark.parametrize("targets", [torch.tensor([0, 1]), torch.eye(2, dtype=torch.int64), torch.eye(3)])
    def test_targets_are_rows_of_weights(self, targets):
        with pytest.raises(ValueError, match="2 images want targets of floats, one row each"):
            parse_augmentation("cutmix").mix(flat([0, 1]), targets, 0)
