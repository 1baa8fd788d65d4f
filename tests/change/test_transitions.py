import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import multivariate_normal

from spurgekit.change.transitions import GAIN, LOSS, TRANSITIONS, TransitionModel, fit_transitions

D = 8.0
"""Distance of classes in log odds: of calibrated, normal ones it is their variance as well."""


def two_dates(shares, correlation, cells, seed=0):
    """Return calibrated probabilities of two dates, and the true transition of each cell."""
    rng, shares = np.random.default_rng(seed), np.array(shares)
    true = rng.choice(4, cells, p=shares)
    r = np.where((true == 0) | (true == 3), correlation, 0.0)
    first, other = rng.normal(size=(2, cells))
    second = r * first + np.sqrt(1 - r**2) * other
    dates = []
    for there, noise in ((true >= 2, first), (true % 2 == 1, second)):
        share = shares[[2, 3]].sum() if there is not None and (there == (true >= 2)).all() else shares[[1, 3]].sum()
        dates.append(expit(np.log(share / (1 - share)) + D * (there - 0.5) + np.sqrt(D) * noise))
    return *dates, true


SHARES = (0.66, 0.06, 0.03, 0.25)


class TestModel:
    def test_bayes_by_hand(self):
        # Independent dates: .7 x .2, and so on.
        model = TransitionModel(np.outer([0.5, 0.5], [0.5, 0.5]), 0.0, 4.0, (0.0, 0.0))
        assert model.probabilities(np.array([0.3]), np.array([0.2]))[0] == pytest.approx([0.56, 0.14, 0.24, 0.06])

    def test_ground_that_mostly_stays(self):
        # .25 each way times how much commoner a transition is than by chance: .4 / .25 = 1.6 to .1 / .25 = .4.
        model = TransitionModel(np.array([[0.4, 0.1], [0.1, 0.4]]), 0.0, 4.0, (0.0, 0.0))
        assert model.probabilities(np.array([0.5]), np.array([0.5]))[0] == pytest.approx([0.4, 0.1, 0.1, 0.4])

    def test_errors_that_go_together_are_the_density_of_a_copula(self):
        model = TransitionModel(np.full((2, 2), 0.25), 0.6, 4.0, (0.0, 1.0))
        p, q = np.array([0.7]), np.array([0.4])
        x, y = (np.log(p / (1 - p)) + 2) / 2, (np.log(q / (1 - q)) - 1 + 2) / 2  # of a variance of 4 about -2 and -1
        joint = multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]]).pdf([x[0], y[0]])
        alone = multivariate_normal([0, 0], np.eye(2)).pdf([x[0], y[0]])
        assert model.weights(p, q)[0, 0] == pytest.approx(0.3 * 0.6 / 0.25 * joint / alone)

    def test_certainties_stay_what_they_are(self):
        model = fit_transitions(np.repeat([0.0, 1.0], 50), np.repeat([0.0, 1.0], 50))
        said = model.probabilities(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.0, 1.0]))
        assert said == pytest.approx(np.eye(4))


class TestFit:
    @pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
    def test_it_finds_shares_and_how_errors_go_together(self, correlation):
        old, new, _ = two_dates(SHARES, correlation, 20_000)
        model = fit_transitions(old, new)
        assert model.shares.ravel() == pytest.approx(SHARES, abs=0.02)
        assert model.correlation == pytest.approx(correlation, abs=0.1)

    def test_probabilities_are_calibrated_and_better_than_of_independent_dates(self):
        old, new, true = two_dates(SHARES, 0.7, 20_000)
        said = fit_transitions(old, new).probabilities(old, new)
        for kind, alone in ((GAIN, (1 - old) * new), (LOSS, old * (1 - new))):
            is_so = true == kind
            assert said[:, kind].mean() == pytest.approx(is_so.mean(), abs=0.01)
            surest = said[:, kind] > 0.5
            assert is_so[surest].mean() == pytest.approx(said[surest, kind].mean(), abs=0.06)
            assert ((said[:, kind] - is_so) ** 2).mean() < 0.7 * ((alone - is_so) ** 2).mean()

    def test_nothing_changed(self):
        old, new, _ = two_dates((0.7, 0.0, 0.0, 0.3), 0.8, 5000)
        model = fit_transitions(old, new)
        assert model.shares[0, 1] + model.shares[1, 0] < 0.01
        assert (model.probabilities(old, new)[:, [GAIN, LOSS]] > 0.5).mean() < 1e-3

    @pytest.mark.parametrize("said", [0.0, 0.3, 1.0])
    def test_maps_that_say_the_same_of_all_cells(self, said):
        found = fit_transitions(np.full(10, said), np.full(10, said)).probabilities(np.full(1, said), np.full(1, said))
        assert np.isfinite(found).all()
        assert found.sum() == pytest.approx(1)

    @pytest.mark.parametrize("said", [0.02, 0.2, 0.4])
    def test_cells_that_are_absent_on_both_maps_are_absent(self, said):
        old, new = np.repeat([said, 1 - said], [90, 10]), np.repeat([said, 1 - said], [88, 12])
        found = fit_transitions(old, new).probabilities(old, new).argmax(axis=1)
        assert (found[:88] == 0).all()
        assert (found[90:] == 3).all()

    def test_one_cell(self):
        found = fit_transitions(np.array([0.9]), np.array([0.1])).probabilities(np.array([0.9]), np.array([0.1]))
        assert TRANSITIONS[int(found[0].argmax())] == "loss"
