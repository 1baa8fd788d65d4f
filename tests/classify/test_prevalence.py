import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurgekit.classify.prevalence import parse_prevalence, shift_prevalence
from spurgekit.errors import InputError

TWO = ("no spurge", "leafy spurge")
THREE = ("bare", "leafy spurge", "cheatgrass")
EVEN = {"no spurge": 40, "leafy spurge": 40}


def normal_classes(share, tiles=40_000, *, apart=2.0, seed=0):
    """Posteriors of a classifier trained on as many of each of two normal classes, where the second one has a given share."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=tiles) + apart * (rng.random(tiles) < share)
    second = 1 / (1 + np.exp(-apart * (x - apart / 2)))
    return np.column_stack([1 - second, second])


class TestParse:
    def test_a_number_is_the_share_of_the_second_of_two(self):
        assert parse_prevalence("0.05", TWO) == pytest.approx((0.95, 0.05))

    def test_names(self):
        assert parse_prevalence(" cheatgrass = 0.1, leafy spurge=0.05", THREE) == pytest.approx((0.85, 0.05, 0.1))

    def test_all_of_them(self):
        assert parse_prevalence("bare=0.7,leafy spurge=0.1,cheatgrass=0.2", THREE) == pytest.approx((0.7, 0.1, 0.2))

    def test_none_and_all(self):
        assert parse_prevalence("0", TWO) == (1, 0)
        assert parse_prevalence("1", TWO) == (0, 1)

    def test_a_class_whose_name_holds_the_sign(self):
        assert parse_prevalence("cover>=0.5=0.25", ("low", "cover>=0.5")) == (0.75, 0.25)

    @pytest.mark.parametrize(
        ("text", "classes", "words"),
        [
            ("0.1", THREE, "of 3 classes names none; write leafy spurge=0.05,cheatgrass=0.05"),
            ("thistle=0.1", TWO, "names no class 'thistle'; the classes are no spurge, leafy spurge"),
            ("leafy spurge=0.1", THREE, "leaves out 'cheatgrass'; write .*, and 0 where there is none"),
            ("leafy spurge=0.1,leafy spurge=0.2", TWO, "names 'leafy spurge' twice"),
            ("leafy spurge=0.7,cheatgrass=0.5", THREE, "sums to 1.2; the shares of all classes make 1"),
            ("no spurge=0.7,leafy spurge=0.1", TWO, "sums to 0.8, not 1; leave out 'no spurge', which takes the rest"),
            ("5", TWO, "5 is not from 0 to 1; write 0.05 for 5 %"),
            ("-0.1", TWO, "-0.1 is not from 0 to 1"),
            ("nan", TWO, "nan is not from 0 to 1"),
            ("5%", TWO, "'5%' is not a number; write 0.05 for 5 %"),
            ("", TWO, "'' is not a number"),
            ("leafy spurge=", TWO, "'' is not a number"),
            ("0.1,0.2", TWO, "names no class ''"),
        ],
    )
    def test_errors(self, text, classes, words):
        with pytest.raises(InputError, match=words) as caught:
            parse_prevalence(text, classes)
        assert "\n" not in str(caught.value)

    @given(st.lists(st.floats(0, 0.5), min_size=2, max_size=2))
    def test_shares_sum_to_one(self, shares):
        text = f"leafy spurge={shares[0]},cheatgrass={shares[1]}"
        found = parse_prevalence(text, THREE)
        assert sum(found) == pytest.approx(1)
        assert min(found) >= 0
        assert found[1:] == tuple(shares)


class TestShift:
    def test_by_hand(self):
        # Odds of 4 : 1 for the weed, trained at even shares; one to nine on the ground: 4 : 9.
        found = shift_prevalence(np.array([[0.2, 0.8]]), EVEN, (0.9, 0.1))
        assert found[0] == pytest.approx([9 / 13, 4 / 13])

    def test_trained_on_uneven_shares(self):
        # A classifier that saw 3 : 1 and says 1 : 1 has evidence of 3 for the second; at even shares that is 3 : 1.
        found = shift_prevalence(np.array([[0.5, 0.5]]), {"a": 30, "b": 10}, (0.5, 0.5))
        assert found[0] == pytest.approx([1 / 4, 3 / 4])

    def test_the_shares_of_training_change_nothing(self):
        p = normal_classes(0.3, 50)
        assert shift_prevalence(p, {"a": 10, "b": 30}, (0.25, 0.75)) == pytest.approx(p)

    def test_and_back(self):
        p = normal_classes(0.3, 50)
        there = shift_prevalence(p, EVEN, (0.9, 0.1))
        assert shift_prevalence(there, {"a": 0.9, "b": 0.1}, (0.5, 0.5)) == pytest.approx(p)

    def test_order_of_tiles_by_probability_stays(self):
        p = normal_classes(0.3, 50)
        assert (np.argsort(p[:, 1]) == np.argsort(shift_prevalence(p, EVEN, (0.97, 0.03))[:, 1])).all()

    def test_maps_keep_their_shape_type_and_gaps(self):
        p = np.full((2, 3, 2), 0.5, np.float32)
        p[1, 2] = np.nan
        found = shift_prevalence(p, EVEN, (0.9, 0.1))
        assert (found.shape, found.dtype) == (p.shape, p.dtype)
        assert np.isnan(found).nonzero()[0].tolist() == [1, 1]
        assert found[0, 0] == pytest.approx([0.9, 0.1])

    def test_certainty_of_what_is_not_there(self):
        found = shift_prevalence(np.array([[0.0, 1.0], [0.3, 0.7]]), EVEN, (1.0, 0.0))
        assert found.tolist() == [[1, 0], [1, 0]]

    def test_errors(self):
        p = np.array([[0.5, 0.5]])
        with pytest.raises(InputError, match="are of 3 classes, the probabilities of 2"):
            shift_prevalence(p, {"a": 1, "b": 1, "c": 1}, (0.5, 0.5))
        with pytest.raises(InputError, match="class 'b' was not in training"):
            shift_prevalence(p, {"a": 1, "b": 0}, (0.5, 0.5))
        with pytest.raises(InputError, match="1 shares are expected of 2 classes"):
            shift_prevalence(p, EVEN, (0.5,))
