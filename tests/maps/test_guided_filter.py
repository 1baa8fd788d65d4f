import numpy as np
import pytest

from spurgekit.maps.guided_filter import guided_filter


def test_edges_of_the_guide_stay_and_noise_within_them_goes():
    rng = np.random.default_rng(0)
    step = np.repeat([[0.0] * 12 + [1.0] * 12], 20, axis=0)
    guide = np.stack([step, 1 - step, step])
    noisy = 0.2 + 0.6 * step + rng.normal(0, 0.1, step.shape)
    (found,) = guided_filter(guide, noisy[None], np.ones(step.shape, bool))
    assert np.abs(found - (0.2 + 0.6 * step)).max() < 0.1
    assert found[:, 12].mean() - found[:, 11].mean() > 0.5  # a box of 7 cells would leave .6 / 7
    assert found[:, :9].std() < 0.04


def test_without_a_guide_it_is_a_mean_of_means():
    values = np.zeros((1, 15, 15))
    values[0, 7, 7] = 1
    found = guided_filter(np.full((3, 15, 15), 0.5), values, np.ones((15, 15), bool), radius=1)
    assert found[0, 7, 7] == pytest.approx(9 / 81)
    assert found[0, 7, 9] == pytest.approx(3 / 81)
    assert found.sum() == pytest.approx(1)


def test_what_sums_to_1_still_does():
    rng = np.random.default_rng(1)
    p = rng.random((1, 9, 11))
    found = guided_filter(rng.random((3, 9, 11)), np.concatenate([p, 1 - p]), rng.random((9, 11)) < 0.7)
    assert found.sum(axis=0) == pytest.approx(np.ones((9, 11)))


def test_cells_without_data_take_no_part():
    valid = np.ones((9, 9), bool)
    valid[:, 4:] = False
    values = np.where(valid, 0.25, 1e6)[None]
    found = guided_filter(np.where(valid, 0.5, 1e6)[None], values, valid)
    assert found[0, :, :4] == pytest.approx(np.full((9, 4), 0.25), abs=1e-6)
    assert (found[0, :, 4:] == 1e6).all()
