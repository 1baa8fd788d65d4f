import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spurgekit.errors import InputError
from spurgekit.evaluate.power import detectable_in_standard_errors, power_warnings, resolvable


def differences(se, share, sets=20, places=10, comparisons=1, arms=None):
    """Differences in balanced accuracy of the given standard errors."""
    count = len(se)
    return pd.DataFrame(
        {"arm": arms or [f"arm {i}" for i in range(count)], "n": 4, "metric": "balanced_accuracy", "se": se}
    ).assign(
        places_share=share,
        support_sets=sets,
        places=places,
        effective_places=float(places),
        degrees_of_freedom=min(count for count in (sets, places) if count > 1) - 1,
        replicated=min(sets, places) >= 5,
        comparisons=comparisons,
    )  # fmt: skip


class TestDetectable:
    def test_of_a_known_standard_error_it_is_the_textbook_s(self):
        assert detectable_in_standard_errors(100_000) == pytest.approx(1.960 + 0.842, abs=1e-3)

    @pytest.mark.parametrize(("places", "comparisons"), [(5, 1), (10, 1), (10, 25), (20, 25)])
    def test_it_is_found_four_times_in_five(self, places, comparisons):
        """Means of normal values of as many places, against a true mean of that many standard errors."""
        rng = np.random.default_rng(0)
        beyond = stats.t.isf(0.025 / comparisons, places - 1)
        draws = rng.standard_normal((200_000, places))
        se = draws.std(axis=1, ddof=1) / np.sqrt(places)
        # What a design is said to find varies with its estimate of the error; of half of the designs it is this or less.
        said = detectable_in_standard_errors(places - 1, comparisons) * np.median(se)
        assert ((draws.mean(axis=1) + said) / se > beyond).mean() == pytest.approx(0.8, abs=0.005)


class TestResolvable:
    def test_by_hand(self):
        table = resolvable(differences(se=[0.01], share=[0.2], comparisons=25))
        assert table["resolvable"][0] == pytest.approx(0.0557, abs=5e-4)
        assert table["resolvable_alone"][0] == pytest.approx(0.0324, abs=5e-4)

    def test_that_many_support_sets_or_places_resolve_it_and_one_fewer_does_not(self):
        se, share, sets, places = 0.007, 0.4, 12, 12
        (row,) = resolvable(differences([se], [share], sets, places)).itertuples()

        def finds(sets_then, places_then):
            variance = (1 - share) * se**2 * sets / sets_then + share * se**2 * places / places_then
            return detectable_in_standard_errors(min(sets_then, places_then) - 1) * np.sqrt(variance)

        assert finds(row.sets_needed, places) <= 0.02 < finds(row.sets_needed - 1, places)
        assert finds(sets, row.places_needed) <= 0.02 < finds(sets, row.places_needed - 1)

    def test_where_places_alone_are_too_much_no_number_of_trials_does(self):
        (row,) = resolvable(differences([0.012], [0.95])).itertuples()
        assert pd.isna(row.sets_needed)
        assert row.places_needed > 10

    def test_arms_that_never_differ(self):
        (row,) = resolvable(differences([0.0], [np.nan])).itertuples()
        assert row.resolvable == 0
        assert (row.sets_needed, row.places_needed) == (5, 5), "the fewest that anything is called real with"

    def test_one_support_set_does_not_say(self):
        table = resolvable(differences([0.01], [np.nan], sets=1))
        assert table[["sets_needed", "places_needed"]].isna().all(axis=None)

    def test_no_error_is_known(self):
        table = resolvable(differences([np.nan], [np.nan]).assign(degrees_of_freedom=0))
        assert table[["resolvable", "resolvable_alone"]].isna().all(axis=None)

    def test_no_difference_at_all(self):
        with pytest.raises(InputError, match=r"a difference of 0 cannot be resolved"):
            resolvable(differences([0.01], [0.5]), resolve=0)


class TestWarnings:
    def warnings(self, *args, **options):
        return power_warnings(resolvable(differences(*args, **options)), metric="balanced_accuracy")

    def test_none_where_the_design_does(self):
        assert self.warnings([0.005], [0.2]) == []

    def test_what_would_help(self):
        (line,) = self.warnings(
            [0.008, 0.012, 0.005], [0.2, 0.95, 0.2], arms=["flip", "mixup", "plain"], places=30, comparisons=3
        )
        assert line == (
            "At n = 4 this design may well miss a true difference of 0.02 in balanced accuracy for flip, mixup: with 80 % "
            "probability it calls one of 0.029 to 0.043, by arm, real among 3 comparisons. "
            "About 50 trials for flip (now 20) or 170 places to test on for mixup (now 30) would do."
        )

    def test_trials_that_have_the_same_tiles(self):
        (line,) = self.warnings([0.01], [np.nan], sets=1, arms=["flip"])
        assert line == (
            "At n = 4 nothing is called real for flip: it takes 5 support sets and 5 places, and there is one support set; "
            "what helps is more trials, or fewer shots where trials have the same tiles."
        )

    def test_few_places(self):
        (line,) = self.warnings([0.01, 0.01], [0.5, 0.5], places=3)
        assert line == (
            "At n = 4 nothing is called real: it takes 5 support sets and 5 places, and there are 3 places; what helps is more "
            "places to test on that hold tiles of each class, as by leaving out each place in turn."
        )

    def test_few_of_both(self):
        (line,) = self.warnings([0.01, 0.01], [0.5, 0.5], sets=2, places=1)
        assert "and there are 2 different support sets and one place; what helps is more trials" in line
