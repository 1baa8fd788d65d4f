import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from spurgekit.classify.metrics import METRICS
from spurgekit.classify.place_sums import PlaceSums
from spurgekit.classify.scores import score
from spurgekit.evaluate.by_place import by_place
from spurgekit.evaluate.cell_metrics import tidy
from spurgekit.evaluate.predictions import pair_predictions
from tests.evaluate.drawn import CLASSES, table

BY_HAND = [("a", 1, 0.9), ("a", 0, 0.2), ("b", 1, 0.4), ("b", 0, 0.6)]
"""One place where all is right, one where all is wrong."""


def values(sums, *weights):
    """All metrics for some weights of places."""
    return {name: metric.value(sums, np.array(weights, float)).tolist() for name, metric in METRICS.items()}


def plain_ece(probabilities, target):
    """The calibration error as Guo et al. write it down: a sum over 15 bins."""
    confidence, right = probabilities.astype(float).max(axis=1), probabilities.argmax(axis=1) == target
    bins = pd.cut(confidence, np.linspace(0, 1, 16), include_lowest=True)
    return sum(
        len(of) / len(target) * abs(of["right"].mean() - of["confidence"].mean())
        for _, of in pd.DataFrame({"confidence": confidence, "right": right}).groupby(bins, observed=True)
    )


def drawn(seed, classes, tiles=40, places=5):
    """Random predictions, of coarse probabilities so that there are ties, and of tiles of all classes."""
    rng = np.random.default_rng(seed)
    probabilities = rng.multinomial(10, rng.dirichlet(np.ones(classes), tiles)) / 10
    target = np.r_[np.arange(classes), rng.integers(0, classes, tiles - classes)]
    return rng.integers(0, places, tiles), target, probabilities.astype(np.float32)


class TestByHand:
    @pytest.fixture
    def sums(self):
        _, target, weed = zip(*BY_HAND, strict=True)
        p1 = np.array(weed, np.float32)
        return PlaceSums.of(np.array([0, 0, 1, 1]), np.array(target), np.column_stack([1 - p1, p1]), 2)

    def test_both_places_once(self, sums):
        found = values(sums, [1, 1])
        assert found["balanced_accuracy"] == [0.5]
        assert found["auroc"] == [3 / 4], "only 0.4 is below 0.6"
        assert found["f1"] == [0.5], "one hit, one false alarm, one miss"
        assert found["brier"] == pytest.approx([(0.01 + 0.04 + 0.36 + 0.36) / 4])
        assert found["ece"] == pytest.approx([(0.1 + 0.2 + 1.2) / 4]), "the two of 0.6 share a bin"

    def test_the_good_place_twice(self, sums):
        found = values(sums, [2, 1])
        assert found["balanced_accuracy"] == pytest.approx([2 / 3])
        assert found["auroc"] == pytest.approx([8 / 9]), "of 3 x 3 pairs"
        assert found["f1"] == pytest.approx([4 / 6])
        assert found["brier"] == pytest.approx([(0.02 + 0.08 + 0.72) / 6])
        assert found["ece"] == pytest.approx([(0.2 + 0.4 + 1.2) / 6])

    def test_many_weights_at_once(self, sums):
        together = values(sums, [1, 1], [2, 1], [0, 3])
        assert together == {name: [values(sums, w)[name][0] for w in ([1, 1], [2, 1], [0, 3])] for name in METRICS}

    def test_a_draw_that_lacks_a_class_is_not_a_number(self):
        sums = PlaceSums.of(
            np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], np.float32), 2
        )
        found = values(sums, [0, 2])
        assert np.isnan([found[name][0] for name in ("balanced_accuracy", "auroc", "f1")]).all()
        assert found["brier"] == pytest.approx([0.49]), "which needs no classes"


class TestAgainstScikitLearn:
    @given(seed=st.integers(0, 10**6), classes=st.integers(2, 4), weights=st.lists(st.integers(0, 3), min_size=5, max_size=5))
    def test_weighted_places(self, seed, classes, weights):
        place, target, probabilities = drawn(seed, classes)
        sums = PlaceSums.of(place, target, probabilities, 5)
        found = {name: value[0] for name, value in values(sums, weights).items()}
        each = np.array(weights)[place]
        there, predicted = each > 0, probabilities.argmax(axis=1)
        if len(np.unique(target[there])) < classes:
            assert np.isnan(found["balanced_accuracy"])
            assert np.isnan(found["auroc"])
            return
        truth, said, weight = target[there], predicted[there], each[there]
        assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, said, sample_weight=weight))
        f1 = f1_score(truth, said, labels=range(1, classes), average="macro", sample_weight=weight, zero_division=np.nan)
        assert found["f1"] == pytest.approx(f1)
        numbers = [1] if classes == 2 else range(classes)
        areas = [roc_auc_score(truth == c, probabilities[there, c], sample_weight=weight) for c in numbers]
        assert found["auroc"] == pytest.approx(np.mean(areas))
        squares = ((probabilities - np.eye(classes)[target]) ** 2).sum(axis=1) / 2
        assert found["brier"] == pytest.approx(np.average(squares, weights=each), rel=1e-5)
        repeated = np.repeat(np.arange(len(target)), each)
        assert found["ece"] == pytest.approx(plain_ece(probabilities[repeated], target[repeated]), rel=1e-5, abs=1e-9)


class TestTidy:
    @given(seed=st.integers(0, 10**6), classes=st.integers(2, 4), of=st.integers(1, 4))
    def test_cells_have_the_plain_scores(self, seed, classes, of):
        place, target, probabilities = drawn(seed, classes)
        kept = target < of  # some classes may have no tiles
        rows = pd.DataFrame({"arm": "plain", "n": 1, "trial": 0, "fold": "test", "place": place.astype(str), "target": target})
        rows = rows.assign(
            tile_id=[f"t{i:02d}" for i in range(len(rows))], **{f"p{c}": probabilities[:, c] for c in range(classes)}
        )
        found = tidy(pair_predictions(rows[kept], [f"class {c}" for c in range(classes)]))
        assert list(found.columns) == ["arm", "n", "trial", "fold", "metric", "value"]
        expected = score(probabilities[kept], target[kept])
        assert dict(zip(found["metric"], found["value"], strict=True)) == pytest.approx(expected, nan_ok=True)

    def test_folds_of_a_trial_together(self):
        east, west = table(BY_HAND[:2], fold="east"), table(BY_HAND[2:], fold="west")
        found = tidy(pair_predictions(pd.concat([west, east]), CLASSES))
        value = found[found["metric"] == "balanced_accuracy"].set_index("fold")["value"]
        assert value.to_dict() == {"east": 1.0, "west": 0.0, "all": 0.5}
        assert found["fold"].drop_duplicates().tolist() == ["east", "west", "all"]

    def test_a_fold_of_one_class_has_no_auroc(self):
        found = tidy(pair_predictions(table([("a", 1, 0.9), ("a", 1, 0.2)]), CLASSES)).set_index("metric")["value"]
        assert np.isnan(found["auroc"])
        assert found["brier"] == pytest.approx((0.01 + 0.64) / 2)


class TestByPlace:
    def test_recalls_by_hand(self):
        first = table([*BY_HAND, ("b", 0, 0.1)])
        second = table([("a", 1, 0.3), *BY_HAND[1:], ("b", 0, 0.1)], trial=1)
        found = by_place(pair_predictions(pd.concat([first, second]), CLASSES)).set_index("place")
        assert found.loc["a", ["tiles", "recall of sand", "recall of weed"]].tolist() == [2, 1.0, 0.5]
        assert found.loc["b", ["tiles", "recall of sand", "recall of weed"]].tolist() == [3, 0.5, 0.0]
        assert found["balanced_accuracy"].tolist() == [0.75, 0.25]
        assert found["trials"].tolist() == [2, 2]

    def test_a_place_without_a_class(self):
        found = by_place(pair_predictions(table([*BY_HAND, ("c", 0, 0.1)]), CLASSES)).set_index("place")
        assert np.isnan(found.loc["c", "recall of weed"])
        assert found.loc["c", "balanced_accuracy"] == 1

    def test_by_fold(self):
        rows = pd.concat([table(BY_HAND, fold="east"), table(BY_HAND[:2], fold="west")])
        found = by_place(pair_predictions(rows, CLASSES), by="fold")
        assert "place" not in found
        assert found.set_index("fold")["balanced_accuracy"].to_dict() == {"east": 0.5, "west": 1.0}
