"""The log of decisions: what it comes to, and what it survives."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from spurgekit.tiles.review_log import (
    LOG,
    DamagedLogWarning,
    Decision,
    Opinion,
    append_decisions,
    opinions,
    outcome,
    read_decisions,
    read_outcomes,
)

WEED, SAND = (Opinion(verdict="accepted", label=label) for label in ("weed", "sand"))
REJECTED, UNSURE = Opinion(verdict="rejected"), Opinion(verdict="unsure")


def decided(tile, after, who="ada", before=None, **more):
    return Decision(who=who, tile=tile, before=before or Opinion(), after=after, **more)


class TestOutcome:
    @pytest.mark.parametrize(
        ("of_tile", "status", "label"),
        [
            ({"ada": WEED}, "accepted", "weed"),
            ({"ada": WEED, "bo": WEED}, "accepted", "weed"),
            ({"ada": WEED, "bo": SAND}, "disputed", None),
            ({"ada": WEED, "bo": REJECTED}, "disputed", None),
            ({"ada": REJECTED, "bo": REJECTED}, "rejected", None),
            ({"ada": UNSURE, "bo": WEED}, "accepted", "weed"),
            ({"ada": UNSURE, "bo": UNSURE}, "unsure", None),
        ],
    )
    def test_of_opinions(self, of_tile, status, label):
        found = outcome(of_tile)
        assert (found.status, found.label, found.reviewers) == (status, label, tuple(of_tile))

    def test_the_latest_opinion_of_a_reviewer_counts(self):
        log = [decided("t", WEED), decided("t", SAND, before=WEED)]
        assert opinions(log) == {"t": {"ada": SAND}}

    def test_a_decision_that_was_taken_back_is_none(self):
        assert opinions([decided("t", WEED), decided("t", Opinion(), before=WEED)]) == {}

    def test_an_accepted_tile_needs_a_label(self):
        with pytest.raises(ValidationError, match="needs a label"):
            Opinion(verdict="accepted")


class TestLog:
    @pytest.fixture
    def log(self, tmp_path):
        return tmp_path / LOG

    def test_a_line_says_who_when_and_what(self, log):
        when = datetime(2026, 6, 14, 9, 30, tzinfo=UTC)
        append_decisions(log, [decided("site_1_NW", WEED, before=UNSURE, id="7", when=when)])
        assert json.loads(log.read_text()) == {
            "id": "7",
            "when": "2026-06-14T09:30:00Z",
            "who": "ada",
            "tile": "site_1_NW",
            "before": {"verdict": "unsure", "label": None, "note": ""},
            "after": {"verdict": "accepted", "label": "weed", "note": ""},
        }

    def test_it_grows(self, log):
        first, second = decided("a", WEED), decided("b", SAND)
        append_decisions(log, [first])
        append_decisions(log, [second])
        assert read_decisions(log) == [first, second]

    def test_a_decision_that_was_sent_twice_counts_once(self, log):
        once = decided("a", WEED)
        append_decisions(log, [once, once])
        assert read_decisions(log) == [once]

    def test_no_log_no_decisions(self, tmp_path):
        assert read_outcomes(tmp_path) == {}

    def test_a_last_line_that_was_cut_off_is_left_out(self, log):
        append_decisions(log, [decided("a", WEED), decided("b", SAND)])
        log.write_bytes(log.read_bytes()[:-20])
        with pytest.warns(DamagedLogWarning, match="line 2 is cut off or damaged"):
            found = read_outcomes(log.parent)
        assert set(found) == {"a"}

    def test_and_spoils_no_line_after_it(self, log):
        append_decisions(log, [decided("a", WEED), decided("b", SAND)])
        log.write_bytes(log.read_bytes()[:-20])
        append_decisions(log, [decided("c", SAND)])
        with pytest.warns(DamagedLogWarning, match="line 2 is"):
            assert [decision.tile for decision in read_decisions(log)] == ["a", "c"]

    def test_a_line_that_lacks_only_its_end_is_whole(self, log):
        append_decisions(log, [decided("a", WEED)])
        log.write_bytes(log.read_bytes()[:-1])
        append_decisions(log, [decided("b", SAND)])
        assert [decision.tile for decision in read_decisions(log)] == ["a", "b"]
