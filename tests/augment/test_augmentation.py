import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spurgekit.augment import AUGMENTATIONS, parse_augmentation
from spurgekit.dihedral import FLIPS, VIEWS, view_of, views_of
from spurgekit.errors import InputError
from tests.test_seeds import states

CORNERS = torch.tensor([[1, 2], [3, 4]])
DTYPES = (torch.uint8, torch.uint16, torch.float32)


def noise(*, n, side, bands=3, dtype=torch.uint8, seed=0):
    """Tiles that no two turns, and no two pixels to speak of, are alike in."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(1, 255, (n, bands, side, side)).astype(str(dtype).removeprefix("torch.")))


class TestTurns:
    @pytest.mark.parametrize(
        ("view", "expected"),
        [
            (0, [[1, 2], [3, 4]]),
            (1, [[2, 4], [1, 3]]),
            (2, [[4, 3], [2, 1]]),
            (3, [[3, 1], [4, 2]]),
            (4, [[2, 1], [4, 3]]),
            (5, [[4, 2], [3, 1]]),
            (6, [[3, 4], [1, 2]]),
            (7, [[1, 3], [2, 4]]),
        ],
    )
    def test_each_by_hand(self, view, expected):
        assert view_of(CORNERS, view).tolist() == expected

    def test_flips_are_the_identity_and_the_three_mirrorings(self):
        mirrored = [CORNERS.flip(dims) for dims in ((), (-1,), (-2,), (-2, -1))]
        found = [view_of(CORNERS, view) for view in FLIPS]
        assert sorted(one.tolist() for one in found) == sorted(one.tolist() for one in mirrored)

    @pytest.mark.parametrize("view", [-1, 8])
    def test_there_is_no_other(self, view):
        with pytest.raises(ValueError, match=f"there is no view {view} of 8"):
            view_of(CORNERS, view)

    def test_many_views_at_once_are_the_same_ones(self):
        images = torch.arange(2 * 3 * 5 * 5).view(2, 3, 5, 5)
        views = [5, 0, 1, 1, 7, 2, 3, 4, 6]
        found = list(views_of(images, views))
        assert all((image == view_of(images, view)).all() for image, view in zip(found, views, strict=True))
        assert all(image.is_contiguous(memory_format=torch.channels_last) for image in found)


class TestNames:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("none", "none"),
            ("flip", "flip"),
            ("dihedral+randaugment+cutmix", "dihedral+randaugment+cutmix"),
            ("cutmix + randaugment+dihedral", "dihedral+randaugment+cutmix"),
            ("mixup+cutmix", "cutmix+mixup"),
        ],
    )
    def test_have_one_order(self, text, name):
        augmentation = parse_augmentation(text)
        assert str(augmentation) == augmentation.name == name
        assert parse_augmentation(name) == augmentation

    @pytest.mark.parametrize("name", AUGMENTATIONS)
    def test_each_is_a_value(self, name):
        augmentation = parse_augmentation(name)
        assert pickle.loads(pickle.dumps(augmentation)) == augmentation
        assert {augmentation: 1}[parse_augmentation(name)] == 1
        with pytest.raises(AttributeError):
            augmentation.steps = ()

    @pytest.mark.parametrize(
        ("text", "views", "mixes", "needs_rgb"),
        [
            ("none", (0,), False, False),
            ("flip", (0, 2, 4, 6), False, False),
            ("dihedral", (0, 1, 2, 3, 4, 5, 6, 7), False, False),
            ("randaugment", None, False, True),
            ("dihedral+randaugment", None, False, True),
            ("cutmix", None, True, False),
            ("flip+mixup", None, True, False),
            ("randaugment+cutmix+mixup", None, True, True),
        ],
    )
    def test_what_they_say_of_themselves(self, text, views, mixes, needs_rgb):
        augmentation = parse_augmentation(text)
        assert (augmentation.views, augmentation.mixes, augmentation.needs_rgb) == (views, mixes, needs_rgb)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "rotate",
                "there is no augmentation 'rotate'; known are none, flip, dihedral, randaugment, cutmix, mixup, "
                "and several joined by '+'",
            ),
            ("flip+CutMix", "there is no augmentation 'CutMix', did you mean cutmix? known are none, flip"),
            ("dihedrall", "did you mean dihedral?"),
            ("flip+", "there is no augmentation ''; known are"),
            ("", "there is no augmentation ''; known are"),
            ("flip+none", "'flip+none' joins none with others; it stands alone"),
            ("cutmix+flip+cutmix", "'cutmix+flip+cutmix' has cutmix twice; name it once"),
            ("none+none", "has none twice"),
            ("dihedral+flip", "turns tiles in two ways, dihedral and flip; name one of them"),
        ],
    )
    def test_that_cannot_be(self, text, message):
        with pytest.raises(InputError) as caught:
            parse_augmentation(text)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


class TestAlter:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(("text", "views"), [("none", (0,)), ("flip", FLIPS), ("dihedral", tuple(range(VIEWS)))])
    def test_each_view_is_drawn_equally_often(self, text, views, dtype):
        n = 200 * len(views)
        tile = noise(n=1, side=3, bands=5, dtype=dtype)
        found = parse_augmentation(text).alter(tile.expand(n, -1, -1, -1), range(n))
        assert found.dtype == dtype
        counts = [int((found.double() == view_of(tile.double(), view)).flatten(1).all(dim=1).sum()) for view in range(VIEWS)]
        assert sum(counts) == n
        assert {view for view, count in enumerate(counts) if count} == set(views)
        # 200 of each, give or take 4.5 standard deviations of at most 13.2.
        assert all(140 <= counts[view] <= 260 for view in views)

    @given(st.sampled_from(["flip", "dihedral"]), st.integers(1, 6), st.lists(st.integers(0, 2**64), min_size=1, max_size=5))
    def test_turns_move_pixels_and_change_none(self, text, side, seeds):
        tiles = noise(n=len(seeds), side=side, bands=2, dtype=torch.uint16)
        found = parse_augmentation(text).alter(tiles, seeds).int().flatten(2)
        assert torch.equal(found.sort(dim=2).values, tiles.int().flatten(2).sort(dim=2).values)

    @pytest.mark.parametrize("text", ["none", "dihedral", "randaugment", "flip+randaugment+cutmix"])
    def test_neither_the_batch_nor_its_order_matters(self, text):
        augmentation, tiles, seeds = parse_augmentation(text), noise(n=7, side=16), [3, 1, 4, 1, 5, 9, 2]
        together = augmentation.alter(tiles, seeds)
        backwards = augmentation.alter(tiles.flip(0), seeds[::-1])
        alone = torch.cat([augmentation.alter(tiles[i : i + 1], seeds[i : i + 1]) for i in range(7)])
        assert torch.equal(together, backwards.flip(0))
        assert torch.equal(together, alone)

    def test_tiles_in_any_order_of_memory(self):
        augmentation, tiles = parse_augmentation("dihedral+randaugment"), noise(n=4, side=16)
        channels_last = tiles.contiguous(memory_format=torch.channels_last)
        assert torch.equal(augmentation.alter(tiles, range(4)), augmentation.alter(channels_last, range(4)))

    @pytest.mark.parametrize("text", ["dihedral", "randaugment", "dihedral+randaugment"])
    def test_tiles_and_generators_are_left_as_they_were(self, text):
        tiles, before = noise(n=4, side=16), states()
        kept = tiles.clone()
        found = parse_augmentation(text).alter(tiles, range(4))
        assert torch.equal(tiles, kept)
        assert not torch.equal(found, kept)
        assert states() == before

    def test_no_tiles(self):
        nothing = noise(n=0, side=4)
        assert parse_augmentation("dihedral+randaugment").alter(nothing, []).shape == (0, 3, 4, 4)

    def test_flips_suit_tiles_that_are_not_square(self):
        tiles = torch.arange(6).reshape(1, 1, 2, 3).expand(20, -1, -1, -1)
        assert parse_augmentation("flip").alter(tiles, range(20)).shape == (20, 1, 2, 3)

    def test_quarter_turns_do_not(self):
        with pytest.raises(InputError, match=r"tiles of 3 x 2 px are not square, .*; pass flip in place of dihedral"):
            parse_augmentation("dihedral+cutmix").alter(torch.zeros(1, 1, 2, 3), [0])

    def test_a_seed_for_each(self):
        with pytest.raises(ValueError, match="2 images want as many seeds, not 3"):
            parse_augmentation("flip").alter(noise(n=2, side=2), [1, 2, 3])


def slope_of(weights):
    """The slope of a line through pixels, by least squares."""
    rows, columns = np.indices(weights.shape)
    weights = weights.numpy() / float(weights.sum())
    x, y = columns - (weights * columns).sum(), rows - (weights * rows).sum()
    return (weights * x * y).sum() / (weights * x * x).sum()


class TestRandAugment:
    randaugment = parse_augmentation("randaugment")

    def test_draws_anew_for_each_tile(self):
        tile = noise(n=1, side=16)
        found = self.randaugment.alter(tile.expand(40, -1, -1, -1), range(40))
        assert found.dtype == torch.uint8
        assert len({one.numpy().tobytes() for one in found}) > 20

    def test_is_no_stronger_than_torchvision_s_defaults(self):
        """Magnitude 9 of 30: colours lose two bits at the most, and a tile is turned by 9 degrees."""
        flat = torch.full((1, 3, 64, 64), 0b01111111, dtype=torch.uint8)
        dark = min(int(one.max()) for one in self.randaugment.alter(flat.expand(300, -1, -1, -1), range(300)))
        assert dark >= 50, "brightness falls by 0.27 twice at the most, and posterising leaves 0b01111100"
        bar = torch.full((1, 3, 64, 64), 40, dtype=torch.uint8)
        bar[..., 28:36, :] = 170
        turned = self.randaugment.alter(bar.expand(300, -1, -1, -1), range(300)).float().mean(dim=1)
        slopes = [abs(slope_of(bar)) for one in turned if (bar := (one - one.median()).abs()).any()]
        assert 0.12 < max(slopes) < np.tan(np.deg2rad(18)) + 0.02, "turned twice"

    def test_pixels_without_data_have_the_colour_of_their_tile(self):
        colour = [40, 90, 60]
        whole = torch.tensor(colour, dtype=torch.uint8)[:, None, None].repeat(1, 16, 16)
        gap = whole.clone()
        gap[:, :4, :4] = 0
        found = self.randaugment.alter(gap.expand(60, -1, -1, -1), range(60))
        assert torch.equal(found, self.randaugment.alter(whole.expand(60, -1, -1, -1), range(60)))
        colours = [one.flatten(1).unique(dim=1).T.tolist() for one in found]
        # A flat tile stays flat, or is recoloured and then shifted: what comes in from outside is of its first colour.
        assert all(len(one) == 1 or colour in one for one in colours)
        assert {len(one) > 1 for one in colours} == {True, False}

    def test_what_becomes_black_has_data(self):
        """Solarizing, posterizing and stretches of the contrast make dark pixels 0."""
        dark = noise(n=1, side=16) % 3 + 1
        found = self.randaugment.alter(dark.expand(60, -1, -1, -1), range(60))
        assert (found == 0).any()
        assert found.any(dim=1).all()

    def test_a_tile_without_data(self):
        found = self.randaugment.alter(torch.zeros(5, 3, 8, 8, dtype=torch.uint8), range(5))
        assert found.shape == (5, 3, 8, 8)
        assert not found.any()

    @pytest.mark.parametrize(
        ("bands", "dtype", "what"),
        [(5, torch.uint8, "5 of uint8"), (3, torch.uint16, "3 of uint16"), (3, torch.float32, "3 of float32")],
    )
    def test_other_tiles_than_rgb(self, bands, dtype, what):
        message = (
            f"randaugment works on 3 bands of uint8, and these tiles have {what}; "
            "leave it out of the augmentation 'flip+randaugment'"
        )
        augmentation = parse_augmentation("flip+randaugment")
        with pytest.raises(InputError) as caught:
            augmentation.alter(torch.ones(1, bands, 4, 4).to(dtype), [0])
        assert str(caught.value) == message
        with pytest.raises(InputError) as caught:
            augmentation.check(bands, dtype)
        assert str(caught.value) == message
        parse_augmentation("dihedral+cutmix").check(bands, dtype)
