"""The log while it is written: each decision once, whoever else writes."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from spurgekit.errors import InputError
from spurgekit.review.shared_log import Entry, SharedLog, as_name
from spurgekit.tiles.review_log import LOG, DamagedLogWarning, append_decisions, read_decisions
from tests.review import NOTHING, REJECTED, SAND, WEED, decided, tile_id

WHEN = datetime(2026, 6, 14, 9, 30, tzinfo=UTC)


def entry(number, after, who="ada", **more):
    return Entry(
        **{"id": f"{who}-{number}-{after.label}", "when": WHEN, "who": who, "tile": tile_id(number), "after": after, **more}
    )


@pytest.fixture
def log(tmp_path):
    return SharedLog(tmp_path)


def test_an_entry_is_on_the_disk_when_it_is_recorded(log, tmp_path):
    log.record([entry(0, WEED)])
    assert json.loads((tmp_path / LOG).read_text()) == {
        "id": "ada-0-weed",
        "when": "2026-06-14T09:30:00Z",
        "who": "ada",
        "tile": tile_id(0),
        "before": {"verdict": None, "label": None, "note": ""},
        "after": {"verdict": "accepted", "label": "weed", "note": ""},
    }
    assert log.saved == 1


def test_what_was_before_is_what_the_log_says(log):
    log.record([entry(0, WEED), entry(0, SAND)])
    log.record([entry(0, REJECTED)])
    assert [decision.before for decision in log.decisions()] == [NOTHING, WEED, SAND]


def test_reviewers_have_their_own(log):
    log.record([entry(0, WEED), entry(0, SAND, who="bo"), entry(1, SAND, who="bo")])
    assert [decision.before for decision in log.decisions()] == [NOTHING] * 3
    assert log.of_reviewer("ada") == {tile_id(0): WEED}
    assert log.opinions()[tile_id(0)] == {"ada": WEED, "bo": SAND}


@pytest.mark.parametrize("again", [True, False])
def test_an_entry_that_is_sent_again_counts_once(log, tmp_path, again):
    log.record([entry(0, WEED)])
    if again:
        log = SharedLog(tmp_path)
    log.record([entry(0, WEED), entry(1, SAND), entry(1, SAND)])
    assert [decision.tile for decision in read_decisions(tmp_path / LOG)] == [tile_id(0), tile_id(1)]


def test_what_others_append_is_taken_in(log, tmp_path):
    log.record([entry(0, WEED)])
    before = log.revision
    append_decisions(tmp_path / LOG, [decided("bo", 1, SAND), decided("ada", 0, SAND, before=WEED)])
    assert log.of_reviewer("bo") == {tile_id(1): SAND}
    assert log.revision > before
    log.record([entry(0, REJECTED)])
    assert log.decisions()[-1].before == SAND


def test_the_revision_stays_while_nothing_is_decided(log):
    log.record([entry(0, WEED)])
    assert log.revision == log.revision
    before = log.revision
    log.record([entry(0, WEED)])
    assert log.revision == before


def test_a_note_without_a_verdict_is_kept(log):
    log.record([entry(0, NOTHING.model_copy(update={"note": "shade"}))])
    assert log.of_reviewer("ada")[tile_id(0)].note == "shade"
    assert log.opinions() == {}


def test_a_log_that_was_cut_off(tmp_path):
    append_decisions(tmp_path / LOG, [decided("ada", 0, WEED), decided("ada", 1, SAND)])
    (tmp_path / LOG).write_bytes((tmp_path / LOG).read_bytes()[:-20])
    log = SharedLog(tmp_path)
    assert log.damage.endswith("line 2 is cut off or damaged, and left out")
    log.record([entry(2, SAND)])
    with pytest.warns(DamagedLogWarning, match="line 2 is"):
        assert set(log.of_reviewer("ada")) == {tile_id(0), tile_id(2)}


def test_a_disk_that_is_full_for_a_while(log, tmp_path, monkeypatch):
    def full(path, decisions):
        first, *_ = decisions
        append_decisions(path, [first])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("spurgekit.review.shared_log.append_decisions", full)
        with pytest.raises(OSError, match="No space left"):
            log.record([entry(0, WEED), entry(1, SAND)])
    log.record([entry(0, WEED), entry(1, SAND)])
    assert [decision.tile for decision in read_decisions(tmp_path / LOG)] == [tile_id(0), tile_id(1)]


@pytest.mark.parametrize(
    "spoiled", [{"who": "  "}, {"who": "x" * 101}, {"id": ""}, {"when": datetime(2026, 6, 14)}, {"more": 1}]
)
def test_what_is_no_entry(spoiled):
    with pytest.raises(ValidationError):
        entry(0, WEED, **spoiled)


def test_names():
    assert as_name("  Ada \n Lovelace ") == "Ada Lovelace"
    with pytest.raises(InputError, match="a reviewer needs a name"):
        as_name(" ")
