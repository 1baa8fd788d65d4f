"""Progress and agreement, worked out by hand."""

import pytest

from spurgekit.review import format_report, summarise
from spurgekit.review.agreement import independent_opinions
from tests.review import NOTHING, REJECTED, SAND, UNSURE, WEED, decided, tile_id


def two_reviewers(*pairs):
    """Decisions of ada and bo on tiles 0, 1, ...: she has done them all before he starts."""
    columns = zip(*pairs, strict=True)
    return [decided(who, i, said) for who, column in zip(("ada", "bo"), columns, strict=True) for i, said in enumerate(column)]


def kappa(folder, decisions):
    (pair,) = summarise(folder, decisions).pairs
    assert pair.reviewers == ("ada", "bo")
    return pair


class TestKappa:
    def test_by_hand(self, folder):
        both = [(WEED, WEED)] * 4 + [(SAND, SAND)] * 3 + [(WEED, SAND)] * 2 + [(SAND, WEED)]
        pair = kappa(folder, two_reviewers(*both))
        # Each agrees on 7 of 10. Ada says weed of 6, bo of 5: by chance they agree on .6 * .5 + .4 * .5 = half.
        assert (pair.tiles, pair.agreed, pair.kappa) == (10, 7, pytest.approx((0.7 - 0.5) / (1 - 0.5)))

    def test_rejected_is_one_more_class(self, folder):
        pair = kappa(folder, two_reviewers((WEED, WEED), (REJECTED, REJECTED), (REJECTED, SAND), (SAND, SAND)))
        # Of 4, 3 agree; by chance (1 * 1 + 2 * 1 + 1 * 2) / 16 do.
        assert (pair.tiles, pair.agreed, pair.kappa) == (4, 3, pytest.approx((3 / 4 - 5 / 16) / (1 - 5 / 16)))

    def test_who_is_unsure_has_not_judged(self, folder):
        assert kappa(folder, two_reviewers((WEED, WEED), (SAND, SAND), (UNSURE, WEED), (UNSURE, UNSURE))).tiles == 2

    def test_is_not_defined_where_all_is_the_same(self, folder):
        assert kappa(folder, two_reviewers((WEED, WEED), (WEED, WEED))).kappa is None

    def test_no_tile_of_both(self, folder):
        assert summarise(folder, [decided("ada", 0, WEED), decided("bo", 1, WEED)]).pairs == ()

    def test_does_not_rise_by_talking_it_over(self, folder):
        log = two_reviewers((WEED, SAND), (WEED, WEED), (SAND, SAND))
        before = kappa(folder, log)
        log.append(decided("bo", 0, WEED, before=SAND))
        assert kappa(folder, log) == before
        assert summarise(folder, log).disputed == {}


class TestIndependentOpinions:
    def of_tile(self, *decisions):
        return independent_opinions(decisions)[tile_id(0)]

    def test_a_slip_counts_for_nothing_while_nobody_else_has_decided(self):
        found = self.of_tile(decided("ada", 0, WEED), decided("ada", 0, SAND, before=WEED), decided("bo", 0, SAND))
        assert found == {"ada": SAND, "bo": SAND}

    def test_nor_does_one_that_is_undone_at_once(self):
        log = [decided("ada", 0, SAND), decided("bo", 0, WEED), decided("bo", 0, NOTHING, before=WEED), decided("bo", 0, SAND)]
        assert self.of_tile(*log) == {"ada": SAND, "bo": SAND}

    def test_a_change_after_seeing_the_other(self):
        log = [decided("ada", 0, SAND), decided("bo", 0, WEED), decided("ada", 0, WEED, before=SAND)]
        assert self.of_tile(*log) == {"ada": SAND, "bo": WEED}

    def test_what_was_taken_back_was_said(self):
        assert self.of_tile(decided("ada", 0, SAND), decided("ada", 0, NOTHING, before=SAND)) == {"ada": SAND}


class TestReport:
    @pytest.fixture
    def report(self, folder):
        log = two_reviewers((WEED, WEED), (WEED, SAND), (SAND, SAND), (UNSURE, REJECTED))
        elsewhere = decided("ada", 99, WEED)
        return summarise(folder, [*log, decided("ada", 4, UNSURE), elsewhere])

    def test_counts(self, report):
        assert (report.tiles, report.reviewed, report.elsewhere) == (30, 5, 1)
        assert report.outcomes == {"accepted": 2, "rejected": 1, "unsure": 1, "disputed": 1}
        ada, bo = report.reviewers
        assert (ada.reviewer, ada.reviewed, ada.accepted, ada.rejected, ada.unsure) == ("ada", 5, {"sand": 1, "weed": 2}, 0, 2)
        assert (bo.reviewer, bo.reviewed, bo.accepted, bo.rejected, bo.unsure) == ("bo", 4, {"sand": 2, "weed": 1}, 1, 0)

    def test_as_text(self, report):
        assert format_report(report, "tiles") == [
            "tiles: 5 of 30 tiles reviewed: 2 accepted, 1 rejected, 1 unsure, 1 disputed",
            "  ada       5: 1 sand, 2 weed, 2 unsure",
            "  bo        4: 2 sand, 1 weed, 1 rejected",
            "ada and bo: kappa 0.40; they agree on 2 of 3 tiles",
            "disputed: 1 tile",
            f"  {tile_id(1)}  ada: weed, bo: sand",
            "note: the log speaks of 1 tile that is not in this folder",
        ]

    def test_of_nothing(self, folder):
        assert format_report(summarise(folder, []), "tiles") == ["tiles: 0 of 30 tiles reviewed"]

    def test_an_undefined_kappa(self, folder):
        assert (
            "ada and bo: kappa is not defined, as both say the same of all of them; they agree on 1 of 1 tiles"
            in format_report(summarise(folder, two_reviewers((WEED, WEED))), "tiles")
        )
