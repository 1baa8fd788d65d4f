import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spurgekit.errors import InputError
from spurgekit.evaluate.bootstrap import resample
from spurgekit.evaluate.intervals import estimate, paired_differences, summarise
from spurgekit.evaluate.predictions import pair_predictions
from tests.evaluate.drawn import CLASSES, simulated, table

TILES = [("a", 1, 0.9), ("a", 0, 0.2), ("b", 1, 0.4), ("b", 0, 0.6), ("c", 1, 0.8), ("c", 0, 0.7)]


def of_metric(table, metric="balanced_accuracy"):
    return table[table["metric"] == metric].reset_index(drop=True)


def bootstrap_of(rows, classes=CLASSES, **options):
    return resample(pair_predictions(rows, classes), **{"replicates": 200, **options})


class TestEstimate:
    EVEN = np.ones((4, 2))  # each replicate draws both trials once

    def test_what_trials_have_in_common_stays(self):
        of_places = np.array([[0.7, 0.9, 0.7, 0.9]] * 2)
        found = estimate(np.array([0.8, 0.8]), of_places, self.EVEN, 3)
        # Variance over replicates 0.04 / 3, and 3 / 2 of it for three places; none between trials.
        assert found.se == pytest.approx(np.sqrt(0.02))
        assert found.places_share == pytest.approx(1)
        assert found.degrees_of_freedom == 1, "one less than the two support sets, which are fewer than the places"

    def test_what_they_do_not_have_in_common_is_part_of_their_scatter(self):
        unlike = np.array([[0.7, 0.9, 0.7, 0.9], [0.7, 0.7, 0.9, 0.9]])
        found = estimate(np.array([0.7, 0.9]), unlike, self.EVEN, 3)
        assert found.se == pytest.approx(np.sqrt(0.02 / 2)), "standard deviation of trials over the root of their number"
        assert found.places_share == pytest.approx(0)
        assert found.degrees_of_freedom == 1
        assert found.sd_trials == pytest.approx(np.sqrt(0.02))

    def test_the_interval_has_the_size_of_a_t_interval_and_the_shape_of_the_replicates(self):
        rng = np.random.default_rng(0)
        skewed = rng.gamma(2, size=(1, 4000))
        found = estimate(np.array([0.5]), skewed, np.ones((4000, 1)), 9)
        low, high = found.interval()
        stretch = stats.t.isf(0.025, 8) / stats.norm.isf(0.025) * np.sqrt(9 / 8)
        middle = skewed.mean()
        assert 0.5 - low == pytest.approx(stretch * (middle - np.quantile(skewed, 0.025)))
        assert high - 0.5 == pytest.approx(stretch * (np.quantile(skewed, 0.975) - middle))

    def test_bonferroni(self):
        found = estimate(np.array([0.7, 0.9]), np.array([[0.8, 0.9, 0.8, 0.9]] * 2), self.EVEN, 3)
        ratio = stats.t.isf(0.025 / 10, found.degrees_of_freedom) / stats.t.isf(0.025, found.degrees_of_freedom)
        one, ten = np.diff(found.interval())[0], np.diff(found.interval(10))[0]
        assert ten / one == pytest.approx(ratio)

    def test_replicates_without_a_value_are_left_out(self):
        redrawn = np.array([[0.7, 0.9, np.nan, 0.7, 0.9]] * 2)
        found = estimate(np.array([0.8, 0.8]), redrawn, np.ones((5, 2)), 3)
        assert found.se == pytest.approx(np.sqrt(0.02))

    def test_trials_without_a_value_are_left_out(self):
        redrawn = np.array([[0.7, 0.9, 0.7, 0.9], [np.nan] * 4, [0.7, 0.9, 0.7, 0.9]])
        draws = np.array([[1, 1, 1], [0, 3, 0], [2, 0, 1], [1, 2, 0]])
        found = estimate(np.array([0.7, np.nan, 0.9]), redrawn, draws, 3)
        assert found.mean == pytest.approx(0.8)
        assert found.support_sets == 2

    def test_no_trial(self):
        assert estimate(np.array([np.nan]), np.full((1, 3), np.nan), np.ones((3, 1)), 3) is None


class TestResample:
    def test_same_trials_same_draws(self):
        rows = pd.concat([table(TILES, n=n, trial=t) for n in (1, 4, 8) for t in range(2 if n == 8 else 5)])
        found = bootstrap_of(rows)
        assert (found.trial_draws[0] == found.trial_draws[1]).all()
        assert (found.trial_draws[0].sum(axis=1) == 5).all()
        assert (found.trial_draws[2].sum(axis=1) == 2).all()
        assert not found.trial_draws[2, :, 2:].any()

    def test_other_arms_change_nothing(self):
        rows = simulated({"plain": 0.7, "probe": 0.8, "lora": 0.9}, trials=4, places=6, tiles=4, sd_trials=0.05, sd_places=0.05)
        both = summarise(bootstrap_of(rows))
        alone = summarise(bootstrap_of(rows[rows["arm"] == "lora"]))
        pd.testing.assert_frame_equal(both[both["arm"] == "lora"].reset_index(drop=True), alone)

    def test_a_seed_fixes_the_draws(self):
        rows = table(TILES)
        one, same, other = (bootstrap_of(rows, seed=seed).redrawn for seed in (0, 0, 1))
        assert np.array_equal(one, same)
        assert not np.array_equal(one, other)

    def test_every_draw_has_all_classes(self):
        found = bootstrap_of(table([("a", 0, 0.1), ("b", 1, 0.9)]))
        assert found.redrawn.shape[-1] == 200
        assert np.isfinite(found.redrawn).all()
        assert any("weed was tested in 1 of 2 places" in note for note in found.notes)

    @pytest.mark.parametrize(
        ("classes", "says"), [(6, "Most draws of the 6 test places lack a class"), (14, "No draw of the 14")]
    )
    def test_classes_that_are_seldom_drawn_together(self, classes, says):
        certain = np.eye(classes, dtype=np.float32)
        rows = pd.DataFrame({"arm": "plain", "n": 1, "trial": 0, "fold": "test", "target": range(classes)})
        rows = rows.assign(tile_id=rows["target"].astype(str), place=rows["target"].astype(str))
        rows = rows.assign(**{f"p{c}": certain[c] for c in range(classes)})
        found = bootstrap_of(rows, [f"class {c}" for c in range(classes)])
        assert any(note.startswith(says) for note in found.notes)
        assert np.isfinite(found.redrawn).all()
        assert summarise(found)["se"].isna().all() == says.startswith("No"), "one trial and no places show no scatter"

    def test_trials_of_one_support_set_count_as_one(self):
        tiles = [
            [("a", 1, p), ("a", 0, 0.2), ("b", 1, 0.9), ("b", 0, q)]
            for p, q in ((0.9, 0.1), (0.1, 0.1), (0.9, 0.9), (0.1, 0.9))
        ]
        rows = pd.concat([table(of, trial=t) for t, of in enumerate(tiles)])
        sets = {(1, 0): "x", (1, 1): "x", (1, 2): "y", (1, 3): "x"}
        found = resample(pair_predictions(rows, CLASSES), sets, replicates=200)
        assert found.observed[0, 0, :, 0].tolist()[0::2] == [(1 + 0.75 + 0.5) / 3, 0.75]
        assert np.isnan(found.observed[0, 0, [1, 3], 0]).all()
        assert found.trials[0, 0].tolist() == [3, 0, 1, 0]
        assert not found.trial_draws[0][:, [1, 3]].any()
        (row,) = of_metric(summarise(found)).itertuples()
        assert (row.mean, row.support_sets, row.trials) == (0.75, 2, 4)
        assert row.sd_trials == 0
        assert "The 4 trials at n = 1 have 2 different support sets among them, and count as so many." in found.notes

    def test_a_large_place_counts_for_more_than_small_ones(self):
        tiles = [(place, target, 0.9 * target) for place in "abc" for target in (0, 1)]
        many = [one for one in tiles for _ in range(2 if one[0] == "a" else 1)]
        found = bootstrap_of(table(many))
        assert found.effective_places("balanced_accuracy") == pytest.approx((2 + 1 + 1) ** 2 / (4 + 1 + 1))
        assert found.places_of("balanced_accuracy") == 3
        even = bootstrap_of(table(tiles))
        assert even.effective_places("brier") == 3

    def test_one_place_shows_trials_alone(self):
        rows = pd.concat([table([("a", 1, p), ("a", 1, 0.9), ("a", 0, 0.1)], trial=t) for t, p in enumerate((0.9, 0.1, 0.9))])
        found = bootstrap_of(rows)
        assert found.notes[0].startswith("All test tiles are of one place")
        (row,) = of_metric(summarise(found)).itertuples()
        assert row.se == pytest.approx(np.std([1, 0.75, 1], ddof=1) / np.sqrt(3))

    def test_one_trial_shows_places_alone(self):
        found = bootstrap_of(table(TILES))
        assert any(note.startswith("There is one support set at n = 1") for note in found.notes)
        (row,) = of_metric(summarise(found)).itertuples()
        assert row.low < row.mean < row.high
        assert np.isnan(row.sd_trials)

    def test_one_trial_on_one_place_has_no_interval(self):
        (row,) = of_metric(summarise(bootstrap_of(table([("a", 1, 0.9), ("a", 0, 0.1)])))).itertuples()
        assert row.mean == 1
        assert np.isnan([row.low, row.high, row.se]).all()

    def test_a_metric_that_is_not_defined_has_no_row(self):
        found = bootstrap_of(table([("a", 1, 0.9), ("b", 1, 0.1)]))
        assert "auroc" not in set(summarise(found)["metric"])
        assert any("No test tile is sand" in note for note in found.notes)


class TestDifferences:
    ROWS = simulated(
        {"plain": 0.7, "twin": 0.7, "better": 0.85},
        trials=10, places=20, tiles=8, sd_trials=0.05, sd_places=0.05, shots=(1, 4),
    )  # fmt: skip

    def test_an_arm_that_is_the_same_differs_by_nothing(self):
        plain = self.ROWS[self.ROWS["arm"] == "plain"]
        found = paired_differences(bootstrap_of(pd.concat([plain, plain.assign(arm="copy")])), "plain")
        numbers = found[["difference", "low", "high", "simultaneous_low", "simultaneous_high", "se"]]
        assert (numbers == 0).all(axis=None)
        assert not found["real"].any()

    def test_a_better_arm_is_found_and_one_as_good_is_not(self):
        found = of_metric(paired_differences(bootstrap_of(self.ROWS), "plain"))
        assert found["arm"].tolist() == ["twin", "twin", "better", "better"]
        assert found["real"].tolist() == [False, False, True, True]
        better = found[found["arm"] == "better"]
        assert (better["low"] < 0.15).all()
        assert (better["high"] > 0.15).all()

    @pytest.mark.parametrize(("trials", "places"), [(4, 20), (20, 4), (1, 20)])
    def test_nothing_is_real_where_little_was_replicated(self, trials, places):
        rows = simulated({"plain": 0.5, "better": 1}, trials=trials, places=places, tiles=40, sd_trials=0.0, sd_places=0.0)
        found = of_metric(paired_differences(bootstrap_of(rows), "plain"))
        assert (found["low"] > 0.3).all()
        assert not found["replicated"].any()
        assert not found["real"].any()

    def test_what_is_not_replicated_is_no_comparison(self):
        few = simulated({"plain": 0.7, "better": 0.8}, trials=3, places=8, tiles=8, sd_trials=0.05, sd_places=0.05, shots=(16,))
        many = simulated(
            {"plain": 0.7, "better": 0.8}, trials=8, places=8, tiles=8, sd_trials=0.05, sd_places=0.05, shots=(1, 4)
        )
        found = of_metric(paired_differences(bootstrap_of(pd.concat([few, many])), "plain"))
        assert found.set_index("n")["replicated"].to_dict() == {1: True, 4: True, 16: False}
        assert set(found["comparisons"]) == {2}

    def test_the_interval_for_all_holds_the_one_for_each(self):
        found = paired_differences(bootstrap_of(self.ROWS), "plain")
        assert (found["simultaneous_low"] < found["low"]).all()
        assert (found["simultaneous_high"] > found["high"]).all()

    def test_pairing_takes_away_what_arms_share(self):
        rows = simulated({"plain": 0.7, "probe": 0.7}, trials=10, places=20, tiles=40, sd_trials=0.1, sd_places=0.08)
        found = bootstrap_of(rows)
        of_means = of_metric(summarise(found))["se"]
        of_difference = of_metric(paired_differences(found, "plain"))["se"]
        assert of_difference[0] < 0.4 * of_means.min()

    def test_trials_that_one_arm_lacks_are_left_out_of_both(self):
        full = [
            table([("a", 1, 0.9), ("a", 0, p), ("b", 1, 0.9), ("b", 0, 0.1)], trial=t) for t, p in enumerate((0.1, 0.1, 0.9))
        ]
        other = [rows.assign(arm="other") for rows in full[:2]]
        found = bootstrap_of(pd.concat([*full, *other]))
        assert of_metric(summarise(found)).set_index("arm")["trials"].to_dict() == {"plain": 3, "other": 2}
        (row,) = of_metric(paired_differences(found, "plain")).itertuples()
        assert (row.difference, row.trials) == (0, 2)

    def test_no_such_baseline(self):
        with pytest.raises(InputError, match=r"no arm 'magic' to compare with; there are plain"):
            paired_differences(bootstrap_of(table(TILES)), "magic")

    def test_confidence_of_one(self):
        with pytest.raises(InputError, match=r"confidence of 1 cannot be"):
            summarise(bootstrap_of(table(TILES)), confidence=1)


@pytest.mark.parametrize(
    ("trials", "places", "sd_trials", "sd_places"), [(8, 12, 0.05, 0.08), (20, 16, 0.0, 0.0), (12, 6, 0.02, 0.1)]
)
def test_95_percent_intervals_hold_the_truth_about_95_times_in_100(trials, places, sd_trials, sd_places):
    """Each arm is a simulation of its own, with an expected balanced accuracy of 0.75."""
    arms = {f"simulation {number}": 0.75 for number in range(200)}
    rows = simulated(
        arms, trials=trials, places=places, tiles=4, sd_trials=sd_trials, sd_places=sd_places, paired=False
    )  # fmt: skip
    found = of_metric(summarise(bootstrap_of(rows, replicates=500)))
    covered = ((found["low"] <= 0.75) & (found["high"] >= 0.75)).mean()
    assert 0.88 <= covered <= 0.99
    assert found["se"].mean() == pytest.approx(found["mean"].std(), rel=0.12), "what the standard error is an estimate of"
