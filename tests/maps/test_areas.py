import numpy as np
import pytest

from spurgekit.maps.areas import class_areas


def corrected(areas):
    return [area.corrected_m2 for area in areas]


def holds(area, value):
    return area.low_m2 <= value <= area.high_m2


class TestCorrection:
    def test_a_perfect_classifier_needs_none(self):
        areas = class_areas([70, 30], [[50, 0], [0, 50]])
        assert [area.mapped_m2 for area in areas] == [70, 30]
        assert corrected(areas) == pytest.approx([70, 30], abs=1e-3)

    def test_rogan_and_gladen_by_hand(self):
        # Of weed 90 % are found, and 20 % of the rest are taken for it. Mapped 34 % = 0.9 p + 0.2 (1 - p), so p = 20 %.
        areas = class_areas([660, 340], [[80, 20], [10, 90]])
        assert corrected(areas) == pytest.approx([800, 200], abs=0.1)

    def test_the_other_way_round(self):
        # 0.5 p of the weed is found and nothing is taken for it: there is twice as much as mapped.
        assert corrected(class_areas([900, 100], [[40, 0], [20, 20]])) == pytest.approx([800, 200], abs=0.1)

    def test_what_false_alarms_alone_explain_is_no_area(self):
        # A fifth of bare ground is taken for weed, and a tenth is mapped: none is there, never less.
        assert corrected(class_areas([900, 100], [[80, 20], [10, 90]])) == pytest.approx([1000, 0], abs=0.1)

    def test_three_classes(self):
        rates = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.0, 0.1, 0.9]])
        truth = np.array([500, 300, 200])
        areas = class_areas(truth @ rates, 100 * rates)
        assert corrected(areas) == pytest.approx(truth, abs=0.1)
        assert all(holds(area, true) for area, true in zip(areas, truth, strict=True))

    def test_areas_add_up(self):
        areas = class_areas([123.25, 45.5, 67.25], [[30, 3, 1], [2, 20, 2], [4, 0, 25]])
        assert sum(corrected(areas)) == pytest.approx(236)


class TestInterval:
    def test_holds_the_estimate_and_is_narrower_with_more_tiles(self):
        few, many = (class_areas([660, 340], n * np.array([[8, 2], [1, 9]])) for n in (1, 100))
        for areas in (few, many):
            assert all(0 <= area.low_m2 <= area.corrected_m2 <= area.high_m2 <= 1000 for area in areas)
        width = [areas[1].high_m2 - areas[1].low_m2 for areas in (few, many)]
        assert width[1] < width[0] / 5
        assert holds(many[1], 200)

    def test_covers_the_truth_about_as_often_as_it_says(self):
        rng = np.random.default_rng(0)
        rates, truth = np.array([[0.9, 0.1], [0.15, 0.85]]), np.array([700.0, 300.0])
        mapped = truth @ rates
        found = [holds(class_areas(mapped, [rng.multinomial(60, row) for row in rates])[1], truth[1]) for _ in range(30)]
        assert np.mean(found) >= 0.85

    def test_the_same_every_time(self):
        assert class_areas([660, 340], [[80, 20], [10, 90]]) == class_areas([660, 340], [[80, 20], [10, 90]])

    def test_a_perfect_score_on_few_tiles_is_no_certainty(self):
        _, weed = class_areas([700, 300], [[5, 0], [0, 5]])
        assert weed.low_m2 < 250
        assert weed.high_m2 > 330


class TestDegenerate:
    def test_nothing_mapped(self):
        assert [area.model_dump() for area in class_areas([0, 0], [[5, 0], [0, 5]])] == [
            {"mapped_m2": 0, "corrected_m2": 0, "low_m2": 0, "high_m2": 0}
        ] * 2

    def test_a_classifier_that_guesses(self):
        areas = class_areas([500, 500], [[20, 20], [20, 20]])
        assert sum(corrected(areas)) == pytest.approx(1000)
        assert all(np.isfinite(list(area.model_dump().values())).all() for area in areas)
        assert areas[1].high_m2 - areas[1].low_m2 > 900  # nothing is known

    def test_a_class_that_no_tile_tested_is_taken_as_mapped(self):
        areas = class_areas([600, 300, 100], [[50, 0, 0], [0, 50, 0], [0, 0, 0]])
        assert corrected(areas) == pytest.approx([600, 300, 100], abs=0.1)
        tested = class_areas([600, 300, 100], [[50, 0, 0], [0, 50, 0], [0, 0, 50]])
        assert areas[2].high_m2 - areas[2].low_m2 > 2 * (tested[2].high_m2 - tested[2].low_m2)
