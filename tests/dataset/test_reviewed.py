"""What was decided in a review is honoured."""

from __future__ import annotations

import json

import pytest

from spurgekit.dataset import DatasetOptions, build_dataset, open_dataset
from spurgekit.errors import InputError
from spurgekit.tiles.review_log import LOG, DamagedLogWarning, Decision, Opinion, append_decisions

HALVES = {"group_column": "half", "test_groups": ("east",), "buffer_m": 0.0}
SAND = Opinion(verdict="accepted", label="sand")


def decide(field, tile, after, who="ada"):
    append_decisions(field / "tiles" / LOG, [Decision(who=who, tile=f"field_r{tile[0]:05d}_c{tile[1]:05d}", after=after)])


def build(field, **options):
    return build_dataset(field / "tiles", field / "dataset", DatasetOptions(**HALVES, **options))


def test_a_label_that_was_changed(field):
    decide(field, (0, 1), SAND)  # its index says weed
    info = build(field)
    assert info.counts["train"] == {"sand": 4, "weed": 5}
    rows = open_dataset(field / "dataset").split("train").set_index("tile_id")
    assert rows.loc["field_r00000_c00001", ["class", "label_from", "reviewers"]].tolist() == ["sand", "review", "ada"]
    assert info.label_from == {"column": 20, "review": 1}


@pytest.mark.parametrize(
    ("opinions", "why"),
    [
        ({"ada": Opinion(verdict="rejected")}, "rejected in review"),
        ({"ada": Opinion(verdict="unsure")}, "unsure in review"),
        ({"ada": SAND, "bo": Opinion(verdict="accepted", label="weed")}, "disputed in review"),
    ],
)
def test_a_tile_that_is_left_out(field, opinions, why):
    for who, said in opinions.items():
        decide(field, (0, 1), said, who)
    info = build(field)
    assert info.counts["train"] == {"sand": 3, "weed": 5}
    assert info.left_out[why] == 1


def test_a_tile_without_a_label_gets_one(field):
    for column in (0, 4):
        decide(field, (0, column), SAND)
    info = build(field, label_column="gaps")  # "a" of all tiles but the first, of which it says nothing
    assert info.counts == {"train": {"a": 8, "sand": 1}, "test": {"a": 11, "sand": 1}}
    assert "without a label" not in info.left_out


def test_only_what_was_reviewed(field):
    for column in (0, 1, 4, 5):
        decide(field, (1, column), Opinion(verdict="accepted", label="weed" if column in (1, 5) else "sand"))
    info = build(field, reviewed_only=True)
    assert info.counts == {"train": {"sand": 1, "weed": 1}, "test": {"sand": 1, "weed": 1}}
    assert info.left_out == {"not reviewed": 20}


def test_a_class_that_there_is_not(field):
    decide(field, (0, 1), Opinion(verdict="accepted", label="shrub"))
    with pytest.raises(InputError, match="label 'shrub' is none of the classes sand, weed"):
        build(field, classes=("sand", "weed"))


def test_a_log_that_was_cut_off(field):
    decide(field, (0, 1), SAND)
    decide(field, (0, 2), SAND)
    log = field / "tiles" / LOG
    log.write_bytes(log.read_bytes()[:-10])
    with pytest.warns(DamagedLogWarning, match="line 2 is cut off"):
        info = build(field)
    assert info.label_from["review"] == 1


def test_the_log_is_among_the_inputs(field):
    decide(field, (0, 1), SAND)
    build(field)
    assert str(field / "tiles" / LOG) in json.loads((field / "dataset" / "provenance.json").read_text())["inputs"]
