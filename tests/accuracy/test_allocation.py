import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurgekit.accuracy import allocate, sample_size


def test_the_size_of_a_sample_of_a_small_map_is_less():
    cells, spread = [900, 100], [0.2, 0.5]
    # (0.9 * 0.2 + 0.1 * 0.5)^2 / ((0.05 / 1.96)^2 + (0.9 * 0.04 + 0.1 * 0.25) / 1000) = 0.0529 / 0.000712 = 74.3
    assert sample_size(cells, spread, 0.05) == 75
    assert sample_size([9 * 10**8, 10**8], spread, 0.05) == 82  # 0.0529 / 0.000651 = 81.3


def test_the_wanted_width_comes_of_it():
    cells, spread = np.array([3200, 6450, 200]), np.array([0.3, 0.2, 0.5])
    counts = allocate(cells, spread, sample_size(cells, spread, 0.03))
    weights = cells / cells.sum()
    se = np.sqrt((weights**2 * (1 - counts / cells) * spread**2 / counts).sum())
    assert 1.959964 * se == pytest.approx(0.03, rel=0.01)


def test_neymans_allocation():
    assert allocate([600, 300, 100], [0.1, 0.2, 0.6], 180).tolist() == [60, 60, 60]


def test_a_rare_class_gets_its_least_and_a_small_one_all():
    assert allocate([10_000, 300, 20], [0.2, 0.2, 0.2], 150, least=30).tolist() == [100, 30, 20]


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.floats(0, 0.5)), min_size=1, max_size=8),
    st.integers(0, 60),
    st.floats(0, 1),
)
def test_all_are_allocated_within_bounds(strata, least, part):
    cells, spread = np.array([one[0] for one in strata]), np.array([one[1] for one in strata])
    floors = np.minimum(least, cells)
    sampled = int(floors.sum() + part * (cells.sum() - floors.sum()))
    counts = allocate(cells, spread, sampled, least=least)
    assert counts.sum() == sampled
    assert (counts >= floors).all()
    assert (counts <= cells).all()
