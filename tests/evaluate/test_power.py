import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spurgekit.errors import InputError
from spurgekit.evaluate.power import detectable_in_standard_errors, power_warnings, resolvable


def differences(se, share, trials=20, arms=None):
    """Differences in balanced accuracy of the given standard errors."""
    count = len(se)
    return pd.DataFrame(
        {"arm": arms or [f"arm {i}" for i in range(count)], "n": 4, "metric": "balanced_accuracy", "se": se}
    ).assign(places_share=share, trials=trials)


def test_a_difference_of_that_many_standard_errors_is_found_four_times_in_five():
    found = detectable_in_standard_errors()
    assert found == pytest.approx(1.960 + 0.842, abs=1e-3)
    assert stats.norm.sf(1.959964 - found) == pytest.approx(0.8, abs=1e-4)


def test_by_hand():
    table = resolvable(differences(se=[0.01, 0.01, 0.005], share=[0.2, 0.6, 0.5]))
    assert table["resolvable"].tolist() == pytest.approx([0.028016, 0.028016, 0.014008], abs=1e-6)
    # (0.02 / 2.8016)^2 = 5.096e-5. Places take 2e-5 of it, trials share 20 * 8e-5 in the 3.096e-5 that are left: 51.7.
    # Where places take 6e-5 there is nothing left. Of 2.5e-5 half is of places: 20 * 1.25e-5 / 3.846e-5 = 6.5.
    assert table["trials_needed"].tolist()[::2] == [52, 7]
    assert table["trials_needed"].isna().tolist() == [False, True, False]


def test_that_many_trials_resolve_the_difference_and_one_fewer_does_not():
    se, share = 0.013, 0.15
    needed = int(resolvable(differences([se], [share]))["trials_needed"][0])

    def finds(trials):
        return 2.80159 * np.sqrt(share * se**2 + (1 - share) * se**2 * 20 / trials)

    assert finds(needed) <= 0.02 < finds(needed - 1)


def test_arms_that_never_differ_need_no_more_trials():
    table = resolvable(differences([0.0], [np.nan]))
    assert table["resolvable"][0] == 0
    assert table["trials_needed"][0] == 2, "the fewest that say anything"


def test_one_trial_does_not_say():
    table = resolvable(differences([0.01], [np.nan], trials=1))
    assert table["trials_needed"].isna().all()
    (line,) = power_warnings(table, metric="balanced_accuracy")
    assert line.endswith("One trial does not say how many would do.")


def test_no_difference_at_all():
    with pytest.raises(InputError, match=r"a difference of 0 cannot be resolved"):
        resolvable(differences([0.01], [0.5]), resolve=0)


class TestWarnings:
    def test_none_where_the_design_does(self):
        assert power_warnings(resolvable(differences([0.005], [0.2])), metric="balanced_accuracy") == []

    def test_what_would_help(self):
        table = resolvable(differences([0.01, 0.012, 0.005], [0.2, 0.9, 0.2], arms=["flip", "mixup", "plain"]))
        assert power_warnings(table, metric="balanced_accuracy") == [
            "At n = 4 this design may well miss a true difference of 0.02 in balanced accuracy for flip, mixup: with 80 % "
            "probability it finds one of 0.028 to 0.034, by arm. About 52 trials would do (now 20), but for mixup only more "
            "places to test on."
        ]

    def test_nothing_but_places(self):
        table = resolvable(differences([0.01], [0.9], arms=["flip"]))
        (line,) = power_warnings(table, metric="balanced_accuracy")
        assert line.endswith(
            "for flip: with 80 % probability it finds one of 0.028. More trials would not do, only more places to test on."
        )
