import numpy as np
import pytest

from spurgekit.accuracy import UNLABELLED, estimate_accuracy
from spurgekit.errors import InputError

Z = 1.959964
A, B, C, D = range(4)


class TestOlofsson:
    """Table 8 of Olofsson et al. (2014): deforestation, forest gain, stable forest, stable non-forest; the map's in rows."""

    COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
    PIXELS = (200_000, 150_000, 3_200_000, 6_450_000)

    @pytest.fixture
    def found(self):
        mapped, reference = np.repeat(np.indices((4, 4)).reshape(2, -1), self.COUNTS.ravel(), axis=1)
        return estimate_accuracy(mapped, mapped, reference, self.PIXELS, classes=4)

    def test_users_accuracy(self, found):
        assert [round(one.value, 2) for one in found.users] == [0.88, 0.73, 0.93, 0.96]
        assert [round(Z * one.se, 2) for one in found.users] == [0.07, 0.10, 0.04, 0.02]

    def test_producers_accuracy(self, found):
        assert [round(one.value, 2) for one in found.producers] == [0.75, 0.85, 0.93, 0.96]
        assert [round(Z * one.se, 2) for one in found.producers] == [0.21, 0.25, 0.03, 0.02]  # as mapaccuracy has them

    def test_overall_accuracy(self, found):
        assert round(found.overall.value, 2) == 0.95
        assert round(Z * found.overall.se, 2) == 0.02

    def test_areas(self, found):
        """235,086 +- 68,418 pixels of deforestation, which are 21,158 +- 6,158 ha."""
        pixels = sum(self.PIXELS)
        assert round(found.areas[0].value * pixels) == 235_086
        assert Z * found.areas[0].se * pixels == pytest.approx(68_418, rel=2e-4)  # theirs without a finite population
        assert round(found.areas[0].value * pixels * 0.09) == 21_158

    def test_the_matrix_is_in_shares_of_the_area(self, found):
        assert found.matrix.sum() == pytest.approx(1)
        assert found.matrix.sum(axis=1) == pytest.approx([0.02, 0.015, 0.32, 0.645])
        assert found.matrix[0] == pytest.approx([0.02 * 66 / 75, 0, 0.02 * 5 / 75, 0.02 * 4 / 75])

    def test_intervals_are_about_the_estimates(self, found):
        for one in (found.overall, *found.users, *found.producers, *found.areas):
            assert 0 <= one.low < one.value < one.high <= 1


class TestStehman:
    """The example of Stehman (2014), whose strata are not the classes of the map; pages of what it is held against."""

    STRATA = np.repeat([A, B, C, D], 10)
    MAPPED = np.array([A] * 7 + [B] * 3 + [A] + [B] * 11 + [C] * 6 + [B] * 2 + [D] * 10)
    TRUE = np.array([A] * 5 + [C, B, A, B, C, A] + [B] * 5 + [A, A, B, B] + [C] * 5 + [D, D, B, B, A] + [D] * 7 + [C, C, B])

    @pytest.fixture
    def found(self):
        return estimate_accuracy(self.STRATA, self.MAPPED, self.TRUE, (40_000, 30_000, 20_000, 10_000), classes=4)

    @pytest.mark.parametrize(
        ("pick", "value", "se"),
        [
            (lambda found: found.areas[A], 0.35, 0.082),  # 4932, 4935
            (lambda found: found.areas[C], 0.20, 0.064),
            (lambda found: found.overall, 0.63, 0.085),  # 4932, 4936
            (lambda found: found.users[B], 0.574, 0.125),  # 4934, 4936
            (lambda found: found.producers[B], 0.794, 0.116),
        ],
    )
    def test_estimates_and_standard_errors(self, found, pick, value, se):
        assert pick(found).value == pytest.approx(value, abs=5e-4)
        assert pick(found).se == pytest.approx(se, abs=6e-4)

    def test_a_cell_of_the_matrix(self, found):
        assert found.matrix[B, C] == pytest.approx(0.08)  # 4935


def test_users_accuracy_of_one_stratum_is_its_own_interval():
    # 18 of 20 cells of class 1: Wilson's interval with the sample of 20 of 100 worth 20 * 99 / 80 = 24.75 cells
    found = estimate_accuracy([0] * 30 + [1] * 20, [0] * 30 + [1] * 20, [1] + [0] * 31 + [1] * 18, [900, 100], classes=2)
    n, p, z2 = 24.75, 0.9, Z**2
    middle, half = (p + z2 / 2 / n) / (1 + z2 / n), Z * np.sqrt(p * (1 - p) / n + z2 / 4 / n**2) / (1 + z2 / n)
    assert (found.users[1].low, found.users[1].high) == pytest.approx((middle - half, middle + half), abs=1e-5)


def test_a_map_that_is_known_whole_has_no_error():
    found = estimate_accuracy([0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [0, 0, 1, 1, 1], [3, 2], classes=2)
    assert (found.areas[1].value, found.areas[1].se, found.areas[1].low, found.areas[1].high) == (0.6, 0, 0.6, 0.6)
    assert (found.producers[1].low, found.producers[1].high) == pytest.approx((2 / 3, 2 / 3))


def test_a_class_that_is_nowhere_has_no_accuracy():
    found = estimate_accuracy([0] * 4 + [1] * 4, [0] * 4 + [1] * 4, [0] * 8, [40, 40], classes=3)
    assert np.isnan([found.users[2].value, found.producers[2].value, found.producers[1].value]).all()
    assert found.areas[2].value == 0
    assert found.areas[2].high > 0
    assert found.users[1].value == 0


@pytest.mark.parametrize("labels", [[0] * 19 + [1], [0]])
def test_a_stratum_with_one_label_is_refused(labels):
    reference = [*labels, *[UNLABELLED] * (20 - len(labels)), 1]
    with pytest.raises(InputError, match=r"^stratum [12] has 1 labelled of [59]0 cells"):
        estimate_accuracy([0] * 20 + [1], [0] * 20 + [1], reference, [90, 50], classes=2)


def test_unknown_cells_widen_the_interval_to_where_all_or_none_count():
    strata, known = np.repeat([0, 1], 20), np.array([0] * 18 + [1] * 2 + [1] * 20)
    unknown = known.copy()
    unknown[[0, 1, 39]] = UNLABELLED
    found = estimate_accuracy(strata, strata, unknown, [900, 100], classes=2)
    none, all_ = known.copy(), known.copy()
    none[39], all_[[0, 1]] = 0, 1
    least, most = (estimate_accuracy(strata, strata, labels, [900, 100], classes=2) for labels in (none, all_))
    assert (found.areas[1].low, found.areas[1].high) == (least.areas[1].low, most.areas[1].high)
    assert found.areas[1].value == pytest.approx(0.9 * 2 / 18 + 0.1)  # of the cells that are known
    worst = np.array([1, 1] + [0] * 16 + [1] * 2 + [1] * 19 + [0])
    assert found.producers[1].low == estimate_accuracy(strata, strata, worst, [900, 100], classes=2).producers[1].low
    assert found.overall.low == estimate_accuracy(strata, strata, worst, [900, 100], classes=2).overall.low
    assert found.overall.high == estimate_accuracy(strata, strata, known, [900, 100], classes=2).overall.high
