import numpy as np
import pytest

from spurgekit.accuracy import share_limits, sum_limits, wilson_limits
from tests.accuracy.sites import draw, simulate_site

MANY = 1e12


def limits(found, sampled, cells=MANY, confidence=0.95):
    low, high = wilson_limits(*(np.array([value], float) for value in (found, sampled, cells)), confidence)
    return float(low[0]), float(high[0])


class TestOneStratum:
    def test_wilsons_interval(self):
        # 8 of 10 (Wilson 1927; Agresti and Coull 1998): (p + z2/2n -+ z sqrt(p(1-p)/n + z2/4n2)) / (1 + z2/n)
        assert limits(8, 10) == pytest.approx((0.4902, 0.9433), abs=5e-5)

    def test_none_found_is_not_none_there(self):
        assert limits(0, 50) == pytest.approx((0, 0.0713), abs=5e-5)  # z2 / (n + z2)
        assert limits(50, 50) == pytest.approx((0.9287, 1), abs=5e-5)

    def test_all_cells_sampled_are_known(self):
        assert limits(3, 20, cells=20) == (0.15, 0.15)

    def test_a_map_of_few_cells_is_known_better(self):
        # 50 of 99 cells: as good as 50 * 98 / 49 = 100 of many
        assert limits(10, 50, cells=99) == pytest.approx(limits(20, 100))

    def test_a_higher_level_is_wider(self):
        (low, high), (lower, higher) = limits(3, 30, confidence=0.9), limits(3, 30, confidence=0.99)
        assert lower < low < 0.1 < high < higher


class TestSums:
    def test_what_is_off_is_added_as_squares(self):
        weights, shares = np.array([0.6, 0.4]), np.array([0.5, 0.5])
        low, high = sum_limits(weights, shares, np.array([0.45, 0.4]), np.array([0.55, 0.6]))
        assert (low, high) == pytest.approx((0.5 - 0.05, 0.5 + 0.05))  # sqrt(0.03^2 + 0.04^2)

    def test_one_stratum_has_its_own_interval(self):
        assert sum_limits(np.ones(1), np.array([0.3]), np.array([0.2]), np.array([0.45])) == pytest.approx((0.2, 0.45))


class TestShares:
    def test_of_a_whole_that_is_known_it_is_the_parts(self):
        # part and rest add up to 1, so that they are off by the same
        assert share_limits((0.3, 0.2, 0.45), (0.7, 0.55, 0.8), -1.0) == pytest.approx((0.2, 0.45))

    def test_of_a_rest_that_is_known(self):
        low, high = share_limits((0.3, 0.2, 0.4), (0.1, 0.1, 0.1), 0.0)
        assert (low, high) == pytest.approx((0.2 / 0.3, 0.4 / 0.5))

    def test_neither(self):
        assert np.isnan(share_limits((0, 0, 0.1), (0, 0, 0.2), 0.0)).all()

    def test_no_part_is_found(self):
        low, high = share_limits((0, 0, 0.1), (0.2, 0.1, 0.3), 0.0)
        assert low == 0
        assert 0 < high < 0.5


@pytest.mark.parametrize(("confidence", "least", "most"), [(0.9, 0.85, 0.95), (0.95, 0.92, 0.98)])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_areas_of_clustered_weed_are_covered(share, confidence, least, most):
    """A short run of ``python -m tests.benchmarks.bench_check``: truth and errors in clusters, as they are in the field."""
    hits = []
    for number in range(400):
        rng = np.random.default_rng([number, round(1000 * share)])
        site = simulate_site(rng, share)
        area = draw(rng, site, 200).estimates(confidence).areas[1]
        hits.append(area.low <= site.truth.mean() <= area.high)
    assert least <= np.mean(hits) <= most
