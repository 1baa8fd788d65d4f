import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime
from scipy.special import softmax

from spurgekit.classify.calibration import (
    TEMPERATURES,
    _smoothed,
    _vector_loss,
    apply_vector,
    calibrate,
    fit_temperature,
    fit_vector,
)
from spurgekit.classify.scores import value_of
from spurgekit.errors import InputError


def drawn(tiles, classes=3, *, spread=2.0, seed=0):
    """Logits that mean what they say: each target is drawn with their softmax."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=spread, size=(tiles, classes))
    chances = softmax(logits, axis=1).cumsum(axis=1)
    return logits, (rng.random(tiles)[:, None] > chances[:, :-1]).sum(axis=1)


SEPARABLE = np.array([[5.0, -5.0]] * 8 + [[-5.0, 5.0]] * 8), np.repeat([0, 1], 8)


class TestTemperature:
    @pytest.mark.parametrize("known", [0.05, 0.4, 1.0, 2.5, 30.0])
    def test_a_known_one_is_found(self, known):
        logits, targets = drawn(20_000)
        assert fit_temperature(known * logits, targets) == pytest.approx(known, rel=0.03)

    def test_of_two_classes(self):
        logits, targets = drawn(20_000, 2)
        assert fit_temperature(3 * logits, targets) == pytest.approx(3, rel=0.03)

    def test_separable_logits_stay_uncertain_as_far_as_their_number_goes(self):
        logits, targets = SEPARABLE
        temperature = fit_temperature(logits, targets)
        # All margins are 10, and of 8 tiles a class the truth counts 9 / 10: log(9) = 10 / T.
        assert temperature == pytest.approx(10 / np.log(9), rel=1e-3)

    def test_hundreds_of_separable_tiles_are_all_but_certain(self):
        logits, targets = (np.repeat(part, 100, axis=0) for part in SEPARABLE)
        assert fit_temperature(logits, targets) == pytest.approx(10 / np.log(801), rel=1e-3)

    @pytest.mark.parametrize("factor", [1e-9, 1e9])
    def test_bounds(self, factor):
        logits, targets = SEPARABLE
        assert TEMPERATURES[0] <= fit_temperature(factor * logits, targets) <= TEMPERATURES[1]

    def test_logits_that_are_worse_than_chance(self):
        logits, targets = SEPARABLE
        assert fit_temperature(logits, 1 - targets) == pytest.approx(TEMPERATURES[1], rel=1e-3)

    def test_logits_that_say_nothing(self):
        assert fit_temperature(np.full((4, 2), 7.0), np.array([0, 1, 0, 1])) == 1

    def test_one_tile(self):
        # The truth counts 2 / 3: margin log(2).
        assert fit_temperature(np.array([[1.0, 0.0]]), np.array([0])) == pytest.approx(1 / np.log(2), rel=1e-3)


class TestVector:
    def test_a_known_one_is_found(self):
        logits, targets = drawn(40_000, spread=2)
        scale, shift = np.array([0.5, 1.0, 2.0]), np.array([1.0, -0.5, -0.5])
        found_scale, found_shift = fit_vector((logits - shift) / scale, targets)
        assert found_scale == pytest.approx(scale, rel=0.05)
        assert found_shift == pytest.approx(shift, abs=0.05)

    def test_few_tiles_leave_plain_temperature_scaling(self):
        logits, targets = drawn(6, spread=1)
        temperature = fit_temperature(logits, targets)
        scale, shift = fit_vector(logits, targets)
        assert scale * temperature == pytest.approx(1, abs=0.5)
        assert shift == pytest.approx(0, abs=0.7)

    def test_separable_logits_stay_bounded(self):
        scale, shift = fit_vector(*SEPARABLE)
        assert np.abs(scale).max() < 1
        assert shift == pytest.approx(0, abs=1e-4)

    def test_logits_in_other_units_give_the_same_probabilities(self):
        logits, targets = drawn(200)
        found = []
        for factor in (1, 0.03):
            scale, shift = fit_vector(factor * logits, targets)
            found.append(softmax(scale * factor * logits + shift, axis=1))
        assert found[0] == pytest.approx(found[1], abs=1e-4)

    def test_gradient(self):
        logits, targets = drawn(30, 4)
        point = np.random.default_rng(1).normal(size=8)
        truth = _smoothed(targets, 4)
        gradient = _vector_loss(point, logits, truth)[1]
        numerical = approx_fprime(point, lambda at: _vector_loss(at, logits, truth)[0], 1e-7)
        assert gradient == pytest.approx(numerical, abs=1e-5)

    def test_gradient_by_hand(self):
        # One tile with logits (1, 0) at the identity: p = e / (e + 1); smoothed truth (2/3, 1/3); nothing of the penalty.
        p = np.e / (np.e + 1)
        loss, gradient = _vector_loss(np.array([1.0, 1, 0, 0]), np.array([[1.0, 0]]), _smoothed(np.array([0]), 2))
        assert loss == pytest.approx(-(2 * np.log(p) + np.log(1 - p)) / 3)
        assert gradient == pytest.approx([p - 2 / 3, 0, p - 2 / 3, 2 / 3 - p])

    def test_folded_into_a_linear_layer(self):
        torch.manual_seed(0)
        head, features = torch.nn.Linear(5, 3), torch.randn(4, 5)
        scale, shift = np.array([0.5, 1.0, 2.0]), np.array([1.0, -3.0, 2.0])
        with torch.inference_mode():
            before = head(features).numpy()
        apply_vector(head, scale, shift)
        with torch.inference_mode():
            assert head(features).numpy() == pytest.approx(scale * before + shift, abs=1e-5)


def test_smoothed_targets_by_hand():
    found = _smoothed(np.array([0, 0, 0, 2]), 3)
    assert found[0] == pytest.approx([4 / 5, 1 / 10, 1 / 10])
    assert found[3] == pytest.approx([1 / 6, 1 / 6, 2 / 3])


class TestCalibrate:
    def test_overconfidence_is_mended_and_said(self):
        logits, targets = drawn(3000)
        temperature, said = calibrate(3 * logits, targets, groups=np.arange(3000) % 5)
        assert temperature == pytest.approx(3, rel=0.1)
        assert (said.method, said.tiles, said.groups) == ("temperature", 3000, 5)
        assert said.ece_before == pytest.approx(value_of("ece", softmax(3 * logits, axis=1), targets))
        assert said.ece_after < said.ece_before / 3

    def test_accuracy_does_not_change_with_the_temperature(self):
        logits, targets = drawn(500)
        temperature, _ = calibrate(3 * logits, targets)
        before, after = softmax(3 * logits, axis=1), softmax(3 * logits / temperature, axis=1)
        assert value_of("balanced_accuracy", before, targets) == value_of("balanced_accuracy", after, targets)

    def test_each_group_is_measured_with_what_the_others_say(self):
        logits, targets = drawn(200)
        logits = 3 * logits
        groups = np.array(["east"] * 120 + ["west"] * 80)
        _, said = calibrate(logits, targets, groups=groups)
        probabilities = np.empty_like(logits)
        for place in ("east", "west"):
            here = groups == place
            probabilities[here] = softmax(logits[here] / fit_temperature(logits[~here], targets[~here]), axis=1)
        assert said.ece_after == pytest.approx(value_of("ece", probabilities, targets))

    @pytest.mark.parametrize(("method", "nothing"), [("temperature", 1.0), ("vector", ([1, 1, 1], [0, 0, 0]))])
    def test_what_is_right_already_stays_as_it_is(self, method, nothing):
        # 18 tiles that are told apart without an error: smoothed targets alone would make each less certain.
        targets = np.arange(18) % 3
        logits = 8.0 * np.eye(3)[targets]
        fitted, said = calibrate(logits, targets, method=method, groups=np.arange(18) // 6)
        assert np.array_equal(fitted, nothing)
        assert said.ece_after == said.ece_before

    def test_a_place_unlike_the_others_is_no_success(self):
        # Sure and right in one place, sure and wrong in the other: in-sample it would look calibrated.
        logits = np.tile([[4.0, -4.0], [-4.0, 4.0]], (40, 1))
        targets = np.tile([0, 1], 40)
        targets[40:] = 1 - targets[40:]
        _, apart = calibrate(logits, targets, groups=np.repeat([0, 1], 40))
        _, together = calibrate(logits, targets, groups=np.zeros(80, int))
        assert (apart.groups, together.groups) == (2, 1)
        assert together.ece_after < 0.02
        assert apart.ece_after > 0.45

    def test_without_groups_tiles_are_held_out(self):
        logits, targets = drawn(40)
        _, said = calibrate(logits, targets)
        parts = np.arange(40) % 10
        assert said == calibrate(logits, targets, groups=parts)[1].model_copy(update={"groups": 0})

    def test_by_vector(self):
        logits, targets = drawn(4000)
        (scale, shift), said = calibrate(logits / [0.5, 1, 2], targets, method="vector", groups=np.arange(4000) % 4)
        assert scale == pytest.approx([0.5, 1, 2], rel=0.15)
        assert said.method == "vector"
        assert said.ece_after < said.ece_before
        assert shift.sum() == pytest.approx(0, abs=1e-12)

    def test_one_tile(self):
        _, said = calibrate(np.array([[1.0, 0.0]]), np.array([0]))
        assert said.tiles == 1


class TestBadInput:
    def test_no_tiles(self):
        with pytest.raises(InputError, match="no tiles to calibrate on"):
            calibrate(np.empty((0, 2)), np.empty(0, int))

    def test_not_finite(self):
        with pytest.raises(InputError, match=r"logits of tile 1 are not finite: \[nan, 0.0\]"):
            fit_temperature(np.array([[0.0, 1], [np.nan, 0]]), np.array([0, 1]))

    def test_no_such_class(self):
        with pytest.raises(InputError, match="class numbers from 0 to 1; got 0 to 2"):
            fit_vector(np.zeros((2, 2)), np.array([0, 2]))

    def test_groups_of_other_tiles(self):
        with pytest.raises(InputError, match=r"16 tiles to calibrate on have groups of shape \(3,\)"):
            calibrate(*SEPARABLE, groups=np.arange(3))
