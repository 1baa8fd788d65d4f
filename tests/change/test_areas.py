import numpy as np
import pytest

from spurgekit.change.areas import NET, change_areas, true_transitions
from spurgekit.change.transitions import TRANSITIONS
from spurgekit.classify.held_out import HeldOutCounts
from tests.benchmarks.bench_change import TRUE, simulate


def perfect(tiles=500, places=8):
    counts = np.tile(np.eye(2, dtype=np.int64) * tiles, (places, 1, 1))
    return HeldOutCounts(counts, np.zeros((places, 2), np.int64))


class TestTrueTransitions:
    def mixing(self, old, new):
        """What is counted of each true transition where errors are independent, (false alarms, found) of each date."""
        return np.array([[np.outer([1 - a, a], [1 - b, b]).ravel() for a in old for b in new]])

    def test_by_hand(self):
        # Nothing is taken for the weed, half of it is found at the second date. 20 % gained: 10 % seen. 20 % stayed: 10 % seen
        # to stay, 10 % to go.
        mixing = self.mixing((0.0, 1.0), (0.0, 0.5))
        found = true_transitions(np.array([0.7, 0.1, 0.1, 0.1]), mixing, np.zeros((1, 4)))
        assert found[0] == pytest.approx([0.6, 0.2, 0.0, 0.2])

    def test_it_turns_round_what_mixes(self):
        true, mixing = np.array([0.5, 0.2, 0.1, 0.2]), self.mixing((0.1, 0.8), (0.2, 0.9))
        assert true_transitions(true @ mixing[0], mixing, np.zeros((1, 4)))[0] == pytest.approx(true)

    def test_unclear_ground_is_absent(self):
        # With each square metre of gain comes as much unclear ground, all of it seen as gain: of 40 % seen, 20 % are so.
        mixing = np.eye(4)[None] * np.array([1.0, 2.0, 1.0, 1.0])[:, None]
        found = true_transitions(np.array([0.6, 0.4, 0.0, 0.0]), mixing, np.array([[0.0, 1.0, 0.0, 0.0]]))
        assert found[0] == pytest.approx([0.8, 0.2, 0.0, 0.0])

    def test_rates_that_tell_nothing_cannot_be(self):
        assert (true_transitions(np.full(4, 0.25), self.mixing((0.5, 0.5), (0.5, 0.5)), np.zeros((1, 4))) < -1).any()


class TestChangeAreas:
    def test_good_models_need_little_correction(self):
        m2 = np.array([600.0, 120.0, 30.0, 250.0])
        areas = change_areas(m2, m2, (perfect(), perfect()))
        for name, counted in zip(TRANSITIONS, m2, strict=True):
            assert areas[name].counted_m2 == counted
            assert areas[name].estimate_m2 == pytest.approx(counted, abs=12)
            assert areas[name].low_m2 <= areas[name].estimate_m2 <= areas[name].high_m2
        assert areas[NET].counted_m2 == 90
        assert areas[NET].estimate_m2 == pytest.approx(areas["gain"].estimate_m2 - areas["loss"].estimate_m2)

    def test_transitions_add_up_to_the_ground(self):
        m2 = np.array([600.0, 120.0, 30.0, 250.0])
        areas = change_areas(m2, m2, (perfect(20), perfect(20)))
        assert sum(areas[name].estimate_m2 for name in TRANSITIONS) == pytest.approx(1000)

    def test_no_ground(self):
        areas = change_areas(np.zeros(4), np.zeros(4), (perfect(), perfect()))
        assert {area.high_m2 for area in areas.values()} == {0}

    def test_what_was_seen_nowhere_may_be_there_a_little(self):
        m2 = np.array([900.0, 0.0, 0.0, 100.0])
        few, many = (change_areas(m2, m2, (perfect(), perfect()), tile_m2=tile)["gain"] for tile in (100.0, 1.0))
        assert few.estimate_m2 == 0
        # The exact interval of none of 10: 1 - .025^(1/10) = 31 %.
        assert few.high_m2 == pytest.approx(308.5, abs=0.1)
        assert many.high_m2 < 50

    def test_models_of_which_nothing_is_known_leave_everything_open(self):
        blind = HeldOutCounts(np.full((8, 2, 2), 500), np.zeros((8, 2), np.int64))
        areas = change_areas([700.0, 100, 100, 100], [700.0, 100, 100, 100], (blind, blind))
        assert areas["gain"].low_m2 < 5
        assert areas[NET].low_m2 < -100 < 100 < areas[NET].high_m2

    @pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
    @pytest.mark.parametrize("name", TRUE)
    def test_intervals_hold_what_they_promise(self, name, shared):
        """Of 40 simulated surveys no more than 6 may miss where 2 are expected: by chance, one test in a hundred would fail."""
        rng, true, missed = np.random.default_rng(1), np.array(TRUE[name]), np.zeros(3)
        for seed in range(40):
            survey = simulate(rng, true, 8, shared, 1)
            areas = change_areas(survey.counted, survey.counted, survey.tested, site_places=(5, 5), seed=seed)
            for i, (word, share) in enumerate((("gain", true[1]), ("loss", true[2]), (NET, true[1] - true[2]))):
                missed[i] += not areas[word].low_m2 <= share <= areas[word].high_m2
        assert (missed <= 6).all()
