import numpy as np
import pytest

from spurgekit.classify.held_out import HeldOutCounts, HeldOutTiles
from spurgekit.classify.model_info import Calibration
from spurgekit.maps.areas import COVER_SHIFT, covered_area, occupied_areas, true_shares
from tests.maps.brightness import brightness_model

COVER = brightness_model(4).info.model_copy(update={"target": "cover", "min_cover": 0.05})


def class_areas(counted_m2, confusion, *, places=10, unclear=None):
    """Areas by a confusion matrix of tiles that are spread evenly over some places."""
    counts = np.stack([split_evenly(np.asarray(confusion), places, g) for g in range(places)])
    nothing = np.zeros(np.shape(confusion)[0], int) if unclear is None else np.asarray(unclear)
    tested = HeldOutCounts(counts, np.stack([split_evenly(nothing, places, g) for g in range(places)]))
    return occupied_areas(counted_m2, tested, site_places=places)


def split_evenly(numbers, parts, part):
    whole = np.floor(np.asarray(numbers)).astype(np.int64)
    return (whole * (part + 1)) // parts - (whole * part) // parts


def corrected(areas):
    return [area.estimate_m2 for area in areas]


def holds(area, value):
    return area.low_m2 <= value <= area.high_m2


class TestTrueShares:
    """What would be seen as it was counted, by hand."""

    def shares(self, counted, rates, unclear=0.0, ratio=0.0):
        return true_shares(np.array(counted), np.array([rates], float), np.array([unclear]), np.array([ratio]))[0]

    def test_rogan_and_gladen_by_hand(self):
        # Of weed 90 % are found, and 20 % of the rest are taken for it. Mapped 34 % = 0.9 p + 0.2 (1 - p), so p = 20 %.
        assert self.shares([0.66, 0.34], [[0.8, 0.2], [0.1, 0.9]]) == pytest.approx([0.8, 0.2])

    def test_the_other_way_round(self):
        # 0.5 p of the weed is found and nothing is taken for it: there is twice as much as mapped.
        assert self.shares([0.9, 0.1], [[1, 0], [0.5, 0.5]]) == pytest.approx([0.8, 0.2])

    def test_three_classes(self):
        rates, truth = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.0, 0.1, 0.9]]), np.array([0.5, 0.3, 0.2])
        assert self.shares(truth @ rates, rates) == pytest.approx(truth)

    def test_unclear_ground_is_background(self):
        # To each weedy tile there is an unclear one, of which half are taken for weed: of 30 % counted, 20 % are weedy.
        assert self.shares([0.7, 0.3], [[1, 0], [0, 1]], unclear=0.5, ratio=1.0) == pytest.approx([0.8, 0.2])

    @pytest.mark.parametrize("rates", [[[0.8, 0.2], [0.1, 0.9]], [[0.5, 0.5], [0.5, 0.5]]])
    def test_negative_where_false_alarms_would_have_been_more_and_where_rates_tell_nothing(self, rates):
        assert (self.shares([0.9, 0.1], rates) < 0).any()

    def test_a_class_that_was_not_counted_is_not_there(self):
        rates = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0, 0, 1]]
        found = self.shares([0.6, 0.4, 0.0], rates)
        assert found == pytest.approx([*self.shares([0.6, 0.4], [[7 / 9, 2 / 9], [1 / 9, 8 / 9]]), 0])


class TestCorrection:
    def test_a_perfect_classifier_needs_none(self):
        areas = class_areas([70, 30], [[50, 0], [0, 50]])
        assert [area.counted_m2 for area in areas] == [70, 30]
        assert corrected(areas) == pytest.approx([70, 30], abs=0.1)

    def test_goes_farther_the_more_is_known(self):
        """By the rates alone there are 200 of 340 m2."""
        few, many = (class_areas([660, 340], n * np.array([[8, 2], [1, 9]]))[1] for n in (1, 100))
        assert 330 > few.estimate_m2 > many.estimate_m2 + 40 > 280

    def test_what_false_alarms_alone_explain_may_be_no_area(self):
        # A fifth of bare ground is taken for weed, and a tenth is mapped.
        _, weed = class_areas([900, 100], [[80, 20], [10, 90]])
        assert weed.low_m2 < 5
        assert weed.estimate_m2 < 50

    def test_is_none_where_the_tested_places_do_not_speak_of_the_site(self):
        # Of bare ground a fifth was taken for weed in all places, and here it is a hundredth of all.
        _, weed = class_areas([990, 10], [[800, 200], [10, 90]], places=40)
        assert (weed.estimate_m2, weed.low_m2) == (10, 0)
        assert weed.high_m2 > 11

    def test_three_classes(self):
        rates = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.0, 0.1, 0.9]])
        truth = np.array([500, 300, 200])
        areas = class_areas(truth @ rates, 100 * rates)
        assert all(holds(area, true) for area, true in zip(areas, truth, strict=True))

    def test_areas_add_up(self):
        areas = class_areas([123.25, 45.5, 67.25], [[30, 3, 1], [2, 20, 2], [4, 0, 25]])
        assert sum(corrected(areas)) == pytest.approx(236)


class TestInterval:
    def test_holds_the_estimate_and_is_narrower_with_more_tiles(self):
        few, many = (class_areas([660, 340], n * np.array([[8, 2], [1, 9]])) for n in (1, 100))
        for areas in (few, many):
            assert all(0 <= area.low_m2 <= area.estimate_m2 <= area.high_m2 <= 1000 for area in areas)
        width = [areas[1].high_m2 - areas[1].low_m2 for areas in (few, many)]
        assert width[1] < 0.75 * width[0]  # a site has something for itself, however many places were tested
        assert holds(many[1], 200)

    @pytest.mark.parametrize("correlation", [0.02, 0.2])
    def test_covers_the_truth_as_often_as_it_says_where_errors_are_clustered(self, correlation):
        """Sites as large as 5 places; at the correlation of 0.2 intervals from single tiles hold 55 to 75 %."""
        rng = np.random.default_rng(0)
        size = 1 / correlation - 1
        found = []
        for _ in range(100):
            counts = np.zeros((8, 2, 2), int)
            site = np.zeros((2, 2))
            for true, missed in enumerate((0.06, 0.12)):
                rates = rng.beta(missed * size, (1 - missed) * size, 8 + 5)
                tiles = rng.integers(3, 15, 8)
                wrong = rng.binomial(tiles, rates[:8])
                counts[:, true, 1 - true], counts[:, true, true] = wrong, tiles - wrong
                site[true, 1 - true] = rates[8:].mean()
                site[true, true] = 1 - site[true, 1 - true]
            seen = np.array([850, 150]) @ site
            found.append(holds(occupied_areas(seen, HeldOutCounts(counts, counts[:, 0] * 0), site_places=5)[1], 150))
        assert 88 <= sum(found) <= 100

    def test_tiles_of_one_place_tell_less_than_tiles_of_many(self):
        few, many = (class_areas([700, 300], [[90, 10], [10, 90]], places=places)[1] for places in (2, 20))
        assert few.high_m2 - few.low_m2 > 1.5 * (many.high_m2 - many.low_m2)

    def test_errors_that_are_all_in_one_place_correct_less_than_errors_that_are_spread(self):
        spread = np.tile([[9, 1], [1, 9]], (10, 1, 1))
        heaped = np.stack([[[0, 10], [1, 9]], *[[[10, 0], [1, 9]]] * 9])
        nothing = np.zeros((10, 2), int)
        even, odd = (
            occupied_areas([700, 300], HeldOutCounts(counts, nothing), site_places=10)[1] for counts in (spread, heaped)
        )
        assert abs(odd.estimate_m2 - 300) < abs(even.estimate_m2 - 300) / 2
        assert holds(odd, 250)

    def test_a_large_site_averages_out_what_a_place_has_for_itself(self):
        counts = np.tile([[9, 1], [1, 9]], (40, 1, 1))
        tested = HeldOutCounts(counts, np.zeros((40, 2), int))
        small, large = (occupied_areas([700, 300], tested, site_places=places)[1] for places in (1, 50))
        assert small.high_m2 - small.low_m2 > 1.05 * (large.high_m2 - large.low_m2)


class TestUnclearGround:
    """Tiles with some of the weed, but too little for their class: the rule of the labels leaves them out."""

    def test_is_taken_off_what_was_counted(self):
        # To each weedy tile there is an unclear one, of which half are taken for weed: of 300 m2 counted, 200 are weedy.
        areas = class_areas([700, 300], [[80, 0], [0, 80]], unclear=[40, 40])
        assert corrected(areas)[1] == pytest.approx(200, abs=10)

    def test_widens_the_interval(self):
        clear, unclear = (class_areas([700, 300], [[80, 0], [0, 80]], unclear=n)[1] for n in ([0, 0], [40, 40]))
        of_clear, of_unclear = ((area.high_m2 - area.low_m2) / area.estimate_m2 for area in (clear, unclear))
        assert of_unclear > 1.1 * of_clear

    def test_the_same_every_time(self):
        assert class_areas([660, 340], [[80, 20], [10, 90]]) == class_areas([660, 340], [[80, 20], [10, 90]])

    def test_a_perfect_score_on_few_tiles_is_no_certainty(self):
        _, weed = class_areas([700, 300], [[5, 0], [0, 5]])
        assert weed.low_m2 < 250
        assert weed.high_m2 > 330


class TestDegenerate:
    def test_a_class_that_was_not_counted_may_have_been_missed(self):
        counts = np.stack([split_evenly([[40, 0], [5, 35]], 10, g) for g in range(10)])
        tested = HeldOutCounts(counts, np.zeros((10, 2), int))
        of_tiles, of_few, unknown = (
            occupied_areas([1000, 0], tested, site_places=10, tile_m2=tile_m2)[1] for tile_m2 in (10, 100, 0)
        )
        assert (of_tiles.estimate_m2, of_tiles.low_m2) == (0, 0)
        # None of a hundred tiles: up to 1 - .025^(1/100) = 3.6 % of them, were all of it found.
        assert 36 < of_tiles.high_m2 < 2 * 36
        assert 308 < of_few.high_m2 < 2 * 308
        assert unknown.high_m2 == 0

    def test_nothing_mapped(self):
        assert [area.model_dump() for area in class_areas([0, 0], [[5, 0], [0, 5]])] == [
            {"counted_m2": 0, "estimate_m2": 0, "low_m2": 0, "high_m2": 0}
        ] * 2

    def test_nothing_of_a_class_and_nothing_else(self):
        for counted in ([500, 0], [0, 500]):
            areas = class_areas(counted, [[80, 20], [10, 90]])
            assert corrected(areas) == counted
            assert all(0 <= area.low_m2 <= area.high_m2 <= 500 for area in areas)

    def test_a_classifier_that_guesses(self):
        areas = class_areas([500, 500], [[20, 20], [20, 20]])
        assert sum(corrected(areas)) == pytest.approx(1000)
        assert all(np.isfinite(list(area.model_dump().values())).all() for area in areas)
        assert areas[1].high_m2 - areas[1].low_m2 > 900  # nothing is known

    def test_a_class_that_no_tile_tested_is_taken_as_mapped(self):
        areas = class_areas([600, 300, 100], [[50, 0, 0], [0, 50, 0], [0, 0, 0]])
        assert corrected(areas) == pytest.approx([600, 300, 100], abs=2)
        tested = class_areas([600, 300, 100], [[50, 0, 0], [0, 50, 0], [0, 0, 50]])
        assert areas[2].high_m2 - areas[2].low_m2 > 2 * (tested[2].high_m2 - tested[2].low_m2)


class TestCover:
    """Ground under the plant: what the map says, corrected by how far held-out tiles were off."""

    def held_out(self, predicted, cover, places):
        predicted = np.asarray(predicted, float)
        nobody = np.zeros(len(predicted), np.int64)
        return HeldOutTiles(np.column_stack([1 - predicted, predicted]), nobody, np.asarray(places, object), np.asarray(cover))

    def test_without_errors_what_sites_differ_by_is_left(self):
        said = [0.0, 0.2, 0.0, 0.6]
        area = covered_area([900, 100], [0, 40], self.held_out(said, said, list("aabb")), COVER)
        assert (area.counted_m2, area.estimate_m2) == (40, 40)
        # Of two places t = 12.7062, and sqrt(log(1 + .1^2)) = .09975.
        assert area.high_m2 / 40 == pytest.approx(np.exp(12.7062 * 0.09975), rel=1e-3)
        assert area.low_m2 * area.high_m2 == pytest.approx(40**2)

    def test_cells_with_and_without_are_corrected_each_by_their_own_tiles(self):
        # Tiles that are taken for bare hold 1 % more than was said; those taken for weedy 10 % less.
        tested = self.held_out([0.01, 0.3, 0.01, 0.5], [0.02, 0.2, 0.02, 0.4], list("aabb"))
        area = covered_area([900, 100], [9, 40], tested, COVER)
        assert area.estimate_m2 == pytest.approx(9 + 9 + 40 - 10)

    def test_of_a_calibrated_model_the_test_counts_by_its_tiles(self):
        tested = self.held_out([0.01, 0.3, 0.01, 0.5], [0.02, 0.2, 0.02, 0.4], list("aabb"))
        calibration = Calibration(method="vector", tiles=12, groups=3, ece_before=0.1, ece_after=0.05)
        area = covered_area([900, 100], [9, 40], tested, COVER.model_copy(update={"calibration": calibration}))
        assert area.estimate_m2 == pytest.approx(9 + 40 + (9 - 10) * 4 / 16)

    def test_where_all_that_was_said_is_taken_off(self):
        # A tenth of the site was said to be covered, and tiles were said to be by .2 where nothing was.
        tested = self.held_out([0.2] * 4, [0.0, 0.0, 0.0, 0.0], list("aabb"))
        area = covered_area([0, 10], [0, 1], tested, COVER)
        assert (area.estimate_m2, area.low_m2, area.high_m2) == (0, 0, 0)  # places do not differ

    def test_places_that_differ_make_it_wide_and_a_large_site_less_so(self):
        tested = self.held_out([0.3] * 6, [0.2, 0.2, 0.3, 0.3, 0.5, 0.5], list("aabbcc"))
        small, large = (covered_area([900, 100], [0, 30], tested, COVER, site_places=places) for places in (1, 100))
        assert small.high_m2 - small.low_m2 > 1.5 * (large.high_m2 - large.low_m2) > 0

    @pytest.mark.parametrize("places", ["aaaa", ""])
    def test_of_one_place_or_of_none_nothing_is_known(self, places):
        tested = self.held_out([0.3] * 4, [0.2] * 4, list(places)) if places else None
        area = covered_area([900, 100], [0, 30], tested, COVER)
        assert (area.estimate_m2, area.low_m2, area.high_m2) == (30, 0, 1000)

    def test_covers_the_truth_as_often_as_it_says_where_errors_are_clustered(self):
        rng = np.random.default_rng(0)
        found = []
        for _ in range(300):
            places, tiles, on_site = 8, 12, 5
            of_place = rng.normal(0.02, 0.04, places + on_site)  # what is missed in each place
            predicted = np.clip(rng.beta(1, 4, (places, tiles)), 0.06, 0.9)
            cover = np.clip(predicted + of_place[:places, None] + rng.normal(0, 0.05, predicted.shape), 0, 1)
            tested = self.held_out(predicted.ravel(), cover.ravel(), np.repeat(np.arange(places), tiles))
            truth = 1000 * (0.25 + of_place[places:].mean()) * np.exp(rng.normal(0, COVER_SHIFT))  # sites move as a whole
            area = covered_area([0, 1000], [0, 250], tested, COVER, site_places=on_site)
            found.append(area.low_m2 <= truth <= area.high_m2)
        assert 0.93 <= np.mean(found) <= 0.995
