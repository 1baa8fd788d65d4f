import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spurgekit.classify.metrics import METRICS
from spurgekit.classify.place_sums import BINS, PlaceSums
from spurgekit.classify.scores import confidence_bins, confusion, score, value_of
from spurgekit.errors import InputError

auroc, balanced_accuracy, brier, f1 = (partial(value_of, name) for name in ("auroc", "balanced_accuracy", "brier", "f1"))


def ece(probabilities, targets, bins=BINS):
    sums = PlaceSums.of(np.zeros(len(targets), int), targets, probabilities, 1, bins=bins)
    return METRICS["ece"].value(sums, np.ones((1, 1)))[0]


def two(*second):
    """Probabilities of two classes, from those of the second."""
    return np.column_stack([1 - np.array(second), second])


# Five tiles: predicted 0, 0, 1, 1, 1; true 0, 1, 1, 1, 0.
P = two(0.1, 0.4, 0.8, 0.7, 0.6)
T = np.array([0, 1, 1, 1, 0])


class TestByHand:
    def test_confusion(self):
        assert confusion(P, T).tolist() == [[1, 1], [1, 2]]

    def test_balanced_accuracy(self):
        assert balanced_accuracy(P, T) == pytest.approx((1 / 2 + 2 / 3) / 2)

    def test_auroc(self):
        # Pairs (present, absent): .4 > .1 but not > .6; .8 and .7 above both: 5 of 6.
        assert auroc(P, T) == pytest.approx(5 / 6)

    def test_f1(self):
        assert f1(P, T) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))

    def test_brier(self):
        assert brier(P, T) == pytest.approx((0.1**2 + 0.6**2 + 0.2**2 + 0.3**2 + 0.6**2) / 5)

    def test_ece(self):
        # Two bins up to 0.5 and up to 1: confidences .9 .6 .8 .7 .6 are all in the second, 3 of 5 right.
        assert ece(P, T, bins=2) == pytest.approx(abs(3.6 - 3) / 5)
        # Five bins: (.4, .6] holds .6 (wrong) and .6 (wrong), (.6, .8] .8 and .7 (both right), (.8, 1] .9 (right).
        assert ece(P, T, bins=5) == pytest.approx((1.2 + 0.5 + 0.1) / 5)

    def test_all_by_name(self):
        found = score(P, T)
        assert list(found) == ["balanced_accuracy", "auroc", "f1", "brier", "ece"]
        assert found["ece"] == ece(P, T, bins=15)

    def test_three_classes(self):
        p = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.3, 0.6], [0.5, 0.1, 0.4]])
        t = np.array([0, 1, 2, 2])
        assert balanced_accuracy(p, t) == pytest.approx((1 + 1 + 1 / 2) / 3)
        # Classes 0, 1 and 2 against the rest: 3 of 3, 3 of 3, 4 of 4 pairs in order.
        assert auroc(p, t) == 1
        # Class 1: F1 1. Class 2: one found, one missed, none made up: 2 / 3.
        assert f1(p, t) == pytest.approx((1 + 2 / 3) / 2)
        assert brier(p, t) == pytest.approx((0.26 + 0.38 + 0.26 + 0.62) / 8)


class TestMissingClasses:
    def test_recall_is_of_the_classes_present(self):
        assert balanced_accuracy(two(0.9, 0.8, 0.2), np.array([1, 1, 1])) == pytest.approx(2 / 3)

    def test_no_auroc(self):
        assert math.isnan(auroc(P, np.ones(5, int)))
        assert math.isnan(auroc(np.full((4, 3), 1 / 3), np.array([0, 1, 0, 1])))

    def test_f1_of_what_neither_occurs_nor_is_predicted(self):
        p = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1]])
        assert f1(p, np.array([0, 1])) == 1  # class 2 does not count
        assert math.isnan(f1(two(0.1, 0.2), np.array([0, 0])))
        assert f1(two(0.1, 0.9), np.array([0, 0])) == 0  # made up


class TestBins:
    def test_an_edge_belongs_to_the_bin_below(self):
        found = confidence_bins(two(0.5, 0.75, 0.76, 1.0), np.array([0, 1, 0, 1]), bins=4)
        assert found.counts.tolist() == [0, 1, 1, 2]
        assert found.right.tolist() == [0, 1, 1, 1]
        assert found.confidence[1:].tolist() == pytest.approx([0.5, 0.75, 0.88])
        assert math.isnan(found.confidence[0])

    def test_certainty_that_is_right_is_calibrated(self):
        assert ece(two(0.0, 1.0), np.array([0, 1])) == 0
        assert ece(two(0.0, 1.0), np.array([1, 0])) == 1


@given(arrays(np.float64, (6, 3), elements=st.floats(0.01, 1)), arrays(np.int64, 6, elements=st.integers(0, 2)))
def test_bounds_and_order(raw, targets):
    p = raw / raw.sum(axis=1, keepdims=True)
    found = score(p, targets)
    assert all(0 <= value <= 1 or math.isnan(value) for value in found.values())
    again = score(p[::-1], targets[::-1])
    assert list(again.values()) == pytest.approx(list(found.values()), nan_ok=True)


class TestBadInput:
    def test_no_number(self):
        with pytest.raises(InputError, match=r"tile 1 are not numbers from 0 to 1: \[nan, nan\]"):
            score(two(0.5, np.nan), np.array([0, 1]))

    def test_logits(self):
        with pytest.raises(InputError, match="tile 0 are not numbers from 0 to 1"):
            brier(np.array([[3.0, -2.0]]), np.array([0]))

    def test_no_tiles(self):
        with pytest.raises(InputError, match="no tiles to score"):
            score(np.empty((0, 2)), np.empty(0, int))

    def test_no_such_class(self):
        with pytest.raises(InputError, match=r"class numbers from 0 to 1; got 0 to 2 \(int64\)"):
            score(two(0.5, 0.5), np.array([0, 2]))

    def test_shapes(self):
        with pytest.raises(InputError, match=r"\(5, 2\) and targets \(4,\) do not go together"):
            score(P, T[:4])


def test_the_rounding_of_float32_is_no_error():
    assert ece(np.array([[1.0000001, 0]], np.float32), np.array([0])) == pytest.approx(0, abs=1e-6)
